"""Progressive growing: networks whose blocks come into use one after the other, from few pixels to many.

Karras et al., 2018, Progressive Growing of GANs for Improved Quality, Stability, and Variation (arXiv:1710.10196).
All blocks exist from the start. A game says how many are in use (`games/growing.py`); unless one does, all are, and
the networks are like any others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.equalised import BatchDeviation, EqualisedConv2d, EqualisedLinear, pixel_norm
from gansmith.networks.layers import SLOPE, Critic, one_hot, pad_to, stages

ROOT = math.sqrt(2)
"""Gain before an activation (He et al., 2015), as in the paper."""


class Grown(nn.Module):
    """A network of levels, each with twice the pixels of the last, of which so many are in use.

    Args:
        shape: (C, H, W).
        width: the most channels; from 64 pixels on, four doublings from the smallest, they halve at each.

    Attributes:
        sizes: height and width of the image at each level, the last one the data's own.
        widths: channels at each level.
        level: the last level in use.
        fading: whether that level is being faded in.
        alpha: its share, a buffer; so that a sample is drawn as the training last saw it.
    """

    def __init__(self, shape: Sequence[int], width: int) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 8:
            raise ValueError(f"pggan makes images of 8 pixels a side or more, not {tuple(shape)}")
        top, self.base = stages(shape)
        self.sizes = [self.padded(level) for level in range(top)] + [(shape[1], shape[2])]
        self.widths = [max(min(width, 512 >> max(level - 3, 0)), 1) for level in range(top + 1)]
        self.level, self.fading = top, False
        self.register_buffer("alpha", torch.ones(()))
        self.alpha: torch.Tensor

    def padded(self, level: int) -> tuple[int, int]:
        """Height and width at a level, before what is too much at the last one is cut off."""
        return self.base[0] << level, self.base[1] << level

    def grow(self, level: int, fading: bool) -> None:
        """Use so many levels, the last of them wholly, or by a share that begins at zero."""
        self.level, self.fading = level, fading
        if fading:
            self.fade(0.0)

    def fade(self, alpha: float | torch.Tensor) -> None:
        """Set the share of a level that is being faded in."""
        self.alpha.fill_(alpha)

    def mixed(self, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """(1 − α) old + α new."""
        # A copy, since a later move of the round sets the buffer anew while this one's graph may live on.
        return old.lerp(new, self.alpha.to(new.dtype, copy=True))


def doubled(x: torch.Tensor, times: int = 1) -> torch.Tensor:
    """Twice the size so many times, each pixel repeated."""
    return F.interpolate(x, scale_factor=2**times, mode="nearest")


def halved(x: torch.Tensor, times: int = 1) -> torch.Tensor:
    """Half the size so many times, by the mean."""
    return F.avg_pool2d(x, 2**times)


class Generator(Grown):
    """Noise on a sphere → image; a class's embedding joins the noise.

    Each 3x3 convolution is followed by LeakyReLU and pixel norm; an image is written by a linear 1x1 layer of its
    level (Figure 2 and Table 2). The paper knows no classes.

    Args:
        shape: (C, H, W).
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        width: the most channels, the paper's 512 up to 32 pixels; beyond, 512 is halved at each doubling.
        embedding: dimensions of a class's embedding.
    """

    def __init__(
        self, shape: Sequence[int], noise: int, classes: int = 0, width: int = 512, embedding: int = 64
    ) -> None:
        super().__init__(shape, width)
        self.classes, widths, area = classes, self.widths, math.prod(self.base)
        self.embedding = EqualisedLinear(classes, embedding, bias=False, gain=math.sqrt(classes)) if classes else None
        # The paper's 4x4 convolution of one pixel: He's constant counts all its places.
        inputs = noise + (embedding if classes else 0)
        self.first = EqualisedLinear(inputs, widths[0] * area, bias=False, gain=ROOT / math.sqrt(area))
        self.bias = nn.Parameter(torch.zeros(widths[0]))
        self.start = EqualisedConv2d(widths[0], widths[0], 3, 1, gain=ROOT)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualisedConv2d(n, m, 3, 1, gain=ROOT), EqualisedConv2d(m, m, 3, 1, gain=ROOT)])
            for n, m in pairwise(widths)
        )
        self.write = nn.ModuleList(EqualisedConv2d(n, shape[0], 1) for n in widths)

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W], at the size of the level in use."""
        x = before = self._start(noise, labels)
        for block in list(self.blocks)[: self.level]:
            before, x = x, doubled(x)
            for layer in block:  # type: ignore[attr-defined]
                x = pixel_norm(F.leaky_relu(layer(x), SLOPE))
        image = self.write[self.level](x)
        if self.fading:
            image = self.mixed(doubled(self.write[self.level - 1](before)), image)
        height, width = self.sizes[self.level]
        return image[:, :, :height, :width]

    def _start(self, noise: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if self.embedding is not None:
            # Without labels, the mean over classes.
            like = noise.new_full((len(noise), self.classes), 1 / self.classes)
            given = like if labels is None else one_hot(labels, self.classes, noise)
            noise = torch.cat([noise, self.embedding(given)], 1)
        x = self.first(pixel_norm(noise)).view(len(noise), *self.base, -1).permute(0, 3, 1, 2)
        x = pixel_norm(F.leaky_relu(x + self.bias[:, None, None], SLOPE))
        return pixel_norm(F.leaky_relu(self.start(x), SLOPE))


class Discriminator(Grown, Critic):
    """Image → logit, the generator's mirror image; the batch's deviation joins the features of the smallest level.

    A class is given by projection, as in `networks/resnet.py`; the paper knows none.

    Args:
        shape: (C, H, W).
        classes: number of classes; 0 is unconditional.
        width: the most channels, as the generator's.
    """

    def __init__(self, shape: Sequence[int], classes: int = 0, width: int = 512) -> None:
        super().__init__(shape, width)
        self.classes, widths, area = classes, self.widths, math.prod(self.base)
        self.read = nn.ModuleList(EqualisedConv2d(shape[0], n, 1, gain=ROOT) for n in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualisedConv2d(m, m, 3, 1, gain=ROOT), EqualisedConv2d(m, n, 3, 1, gain=ROOT)])
            for n, m in pairwise(widths)
        )
        self.deviation = BatchDeviation()
        self.end = EqualisedConv2d(widths[0] + 1, widths[0], 3, 1, gain=ROOT)
        self.dense = EqualisedLinear(widths[0] * area, widths[0], gain=ROOT)
        self.feature_width = widths[0]
        self.last = EqualisedLinear(widths[0], 1)
        # Features times a class come to a number of size one at first.
        gain = math.sqrt(classes / widths[0])
        self.embedding = EqualisedLinear(classes, widths[0], bias=False, gain=gain) if classes else None

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W], at the size of the level in use → [B, F]."""
        image = pad_to(data, *self.padded(self.level))
        x = F.leaky_relu(self.read[self.level](image), SLOPE)
        for i in reversed(range(self.level)):
            for layer in self.blocks[i]:  # type: ignore[attr-defined]
                x = F.leaky_relu(layer(x), SLOPE)
            x = halved(x)
            if self.fading and i == self.level - 1:
                x = self.mixed(F.leaky_relu(self.read[i](halved(image)), SLOPE), x)
        x = F.leaky_relu(self.end(self.deviation(x)), SLOPE)
        return F.leaky_relu(self.dense(x.permute(0, 2, 3, 1).flatten(1)), SLOPE)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B]."""
        logits = self.last(features).squeeze(1)
        if labels is None or self.embedding is None:
            return logits
        return logits + (features * self.embedding(one_hot(labels, self.classes, features))).sum(1)
