"""StyleGAN2: a mapping of noise to styles, which modulate the convolutions of a synthesis network.

Karras et al., 2020, Analyzing and Improving the Image Quality of StyleGAN (arXiv:1912.04958); the class-conditional
form is that of Karras et al., 2020, Training Generative Adversarial Networks with Limited Data (arXiv:2006.06676).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith import collectives
from gansmith.networks.convolution import blur, downsample, upsample
from gansmith.networks.equalised import BatchDeviation, EqualisedConv2d, EqualisedLinear
from gansmith.networks.layers import SLOPE, Critic, is_still, one_hot, pad_to, squashed, stages
from gansmith.networks.modulation import ROOT, Mapping, StyledConv2d, ToImage, drawn

HALF = math.sqrt(0.5)
"""Gain of a sum of two of equal variance."""


def _layout(shape: Sequence[int], base: int, most: int, form: str) -> tuple[tuple[int, int], list[int]]:
    """Height and width of the coarsest stage, and the channels of each, coarsest first."""
    if len(shape) != 3:
        raise ValueError(f"stylegan2 makes images, not examples of shape {tuple(shape)}")
    if form not in ("skip", "residual"):
        raise ValueError(f"form is `skip` or `residual`, not {form!r}")
    if base < 1 or most < 1:
        raise ValueError(f"base and most are numbers of channels above 0, not {base} and {most}")
    number, coarsest = stages(shape)
    return coarsest, [max(min(most, base // (4 << i)), 1) for i in range(number + 1)]


class Up(nn.Module):
    """Two styled convolutions, the first of which doubles the size; residual, (their result + a shortcut) / √2.

    Karras et al., 2020, Figures 2 and 7 (arXiv:1912.04958).

    Args:
        inputs, outputs: channels.
        width_w: dimensions of w.
        place: the first one's place among all layers.
        size: height and width of the result.
        residual: add a shortcut.
    """

    def __init__(
        self, inputs: int, outputs: int, width_w: int, place: int, size: tuple[int, int], residual: bool
    ) -> None:
        super().__init__()
        self.first = StyledConv2d(inputs, outputs, width_w, place, size, up=True)
        self.second = StyledConv2d(outputs, outputs, width_w, place + 1, size, gain=ROOT * HALF if residual else ROOT)
        self.shortcut = EqualisedConv2d(inputs, outputs, 1, bias=False, gain=HALF) if residual else None

    def forward(self, x: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W], and w of each layer [B, width_w] → [B, O, 2H, 2W]."""
        inner = self.second(self.first(x, first), second)
        return inner if self.shortcut is None else inner + upsample(self.shortcut(x))


class Generator(nn.Module):
    """Noise → w → styles → image.

    Args:
        shape: (C, H, W).
        noise: dimensions of the latent vector.
        classes: number of classes, whose embeddings join the noise; 0 is unconditional.
        form: `skip` (the paper's choice: the image is a sum over resolutions) or `residual`.
        base: channels of a stage are so many over its nominal side 4, 8, 16, …; config-f at 256 pixels has 32768.
        most: the most that a stage has.
        mapping_layers: from noise to w.
        width_w: dimensions of w.
        mixing: probability that in training the finer layers, from one at random on, take the styles of other noise.
        squash: end in tanh, for drawings; the paper's image is linear.

    Attributes:
        layers: number of styles that an image takes.
        w_mean: the running mean of w, [1, width_w], or of each class's.
    """

    DECAY = 0.995
    """Share of the running mean that a batch leaves."""

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        form: str = "skip",
        base: int = 16384,
        most: int = 512,
        mapping_layers: int = 8,
        width_w: int = 512,
        mixing: float = 0.9,
        squash: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= mixing <= 1:
            raise ValueError(f"mixing is a probability, not {mixing}")
        (height, width), widths = _layout(shape, base, most, form)
        self.shape, self.noise, self.mixing, self.squash = tuple(shape), noise, mixing, squash
        self.skips = form == "skip"
        self.layers = 2 * len(widths)
        self.mapping = Mapping(noise, classes, width_w, mapping_layers)
        self.register_buffer("w_mean", torch.zeros(max(classes, 1), width_w))
        self.w_mean: torch.Tensor
        self.start = nn.Parameter(torch.randn(widths[0], height, width))
        self.first = StyledConv2d(widths[0], widths[0], width_w, 0, (height, width))
        self.blocks = nn.ModuleList()
        for i in range(1, len(widths)):
            size = height << i, width << i
            self.blocks.append(Up(widths[i - 1], widths[i], width_w, 2 * i - 1, size, not self.skips))
        self.images = nn.ModuleList(
            [ToImage(channels, shape[0], width_w) for channels in (widths if self.skips else widths[-1:])]
        )

    def styles(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The w of each layer, mixed in training: [B, noise], int64 [B] → [B, layers, width_w]."""
        w = self.mapping(noise, labels)
        if not self.training:
            return w[:, None].expand(-1, self.layers, -1)
        if not is_still():
            self._follow(w, labels)
        if self.mixing == 0:
            return w[:, None].expand(-1, self.layers, -1)
        other = self.mapping(drawn("normal", "mixed noise", len(w), self.noise, like=noise), labels)
        where = drawn("uniform", "mixing", len(w), 2, like=self.w_mean)
        # From 1 up to the last layer; those that are not mixed cut after it.
        cut = 1 + (where[:, 0] * (self.layers - 1)).floor() + self.layers * (where[:, 1] >= self.mixing)
        finer = torch.arange(self.layers, device=w.device) >= cut[:, None]
        return torch.where(finer[:, :, None], other[:, None], w[:, None])

    @torch.no_grad()
    def _follow(self, w: torch.Tensor, labels: torch.Tensor | None) -> None:
        """Move the mean of each class that is in the batch, by all ranks' rows; of vectors, that of all."""
        w = w.to(self.w_mean.dtype)
        of = w.new_ones(len(w), len(self.w_mean))
        if labels is not None and len(self.w_mean) > 1 and not labels.is_floating_point():
            of = one_hot(labels, len(self.w_mean), w)
        sums = collectives.all_sum(of.t() @ torch.cat([w, torch.ones_like(w[:, :1])], 1))
        number = sums[:, -1:]
        self.w_mean.lerp_(sums[:, :-1] / number.clamp(min=1), (1 - self.DECAY) * (number > 0).to(w.dtype))

    def synthesis(self, styles: torch.Tensor) -> torch.Tensor:
        """[B, layers, width_w] → [B, C, H, W]."""
        w = styles.unbind(1)
        x = self.first(self.start.expand(len(styles), -1, -1, -1), w[0])
        image = self.images[0](x, w[1]) if self.skips else None
        for i, block in enumerate(self.blocks, 1):
            x = block(x, w[2 * i - 1], w[2 * i])
            if image is not None:
                image = upsample(image) + self.images[i](x, w[2 * i + 1])
        image = self.images[0](x, w[-1]) if image is None else image
        image = image[:, :, : self.shape[1], : self.shape[2]]
        return squashed(image) if self.squash else image

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W]."""
        return self.synthesis(self.styles(noise, labels))

    def truncated(self, noise: torch.Tensor, labels: torch.Tensor | None, psi: float) -> torch.Tensor:
        """An image of w̄ + ψ (w − w̄), w̄ the running mean of w (Karras et al., 2019, Appendix B, arXiv:1812.04948).

        With classes w̄ is the class's own: towards the mean of all, as the paper's code has it, samples of a class turn
        into what is none.

        Args:
            noise: [B, noise].
            labels: int64 [B], or None.
            psi: in [0, 1].

        Returns:
            [B, C, H, W].
        """
        styles = self.styles(noise, labels)
        middle = self.w_mean.to(styles.dtype)
        alike = labels is None or len(middle) == 1 or labels.is_floating_point()
        middle = middle.mean(0, keepdim=True) if alike else middle[labels]
        return self.synthesis(torch.lerp(middle[:, None].expand_as(styles), styles, psi))


class Down(nn.Module):
    """Two convolutions, the second of which halves the size; residual, (their result + a shortcut) / √2.

    Args:
        inputs, outputs: channels.
        residual: add a shortcut.
    """

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inputs, inputs, 3, 1, factor=ROOT)
        self.second = EqualisedConv2d(inputs, outputs, 3, factor=ROOT * HALF if residual else ROOT, stride=2)
        self.shortcut = EqualisedConv2d(inputs, outputs, 1, bias=False, gain=HALF) if residual else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, H/2, W/2]."""
        inner = F.leaky_relu(self.first(x), SLOPE, inplace=True)
        inner = F.leaky_relu(self.second(blur(inner, 2)), SLOPE, inplace=True)
        return inner if self.shortcut is None else inner + self.shortcut(downsample(x))


class Discriminator(Critic):
    """Image → logit; with classes, the product of what it sees and a class's own mapping, over √width.

    Karras et al., 2020 (arXiv:1912.04958); the product is that of arXiv:2006.06676, after Miyato and Koyama, 2018.

    Args:
        shape: (C, H, W).
        classes: number of classes; 0 is unconditional.
        form: `residual` (the paper's choice) or `skip` (the image joins at each resolution).
        base: channels of a stage are so many over its nominal side 4, 8, 16, …, as the generator's.
        most: the most that a stage has.
        group: neighbours in the batch that the last stage's standard deviation is taken over, of one rank as published;
            0 does without, so that each example is judged by itself.
        mapping_layers: of a class's mapping.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        form: str = "residual",
        base: int = 16384,
        most: int = 512,
        group: int = 4,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        if group < 0:
            raise ValueError(f"group is a number of examples, not {group}")
        (height, width), widths = _layout(shape, base, most, form)
        number, last = len(widths) - 1, widths[0]
        self.padded = height << number, width << number
        self.skips = form == "skip"
        stems = widths[::-1] if self.skips else widths[-1:]
        self.stems = nn.ModuleList([EqualisedConv2d(shape[0], channels, 1, factor=ROOT) for channels in stems])
        self.blocks = nn.ModuleList(
            [Down(widths[i], widths[i - 1], residual=not self.skips) for i in range(number, 0, -1)]
        )
        self.deviation = BatchDeviation(group) if group else None
        self.convolution = EqualisedConv2d(last + (1 if group else 0), last, 3, 1, factor=ROOT)
        self.dense = EqualisedLinear(last * height * width, last, factor=ROOT)
        self.feature_width = last
        self.last = EqualisedLinear(last, last if classes else 1)
        self.mapping = Mapping(0, classes, last, mapping_layers) if classes else None

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F]."""
        image = pad_to(data, *self.padded)
        x = F.leaky_relu(self.stems[0](image), SLOPE)
        for i, block in enumerate(self.blocks, 1):
            x = block(x)
            if self.skips:
                image = downsample(image)
                x = x + F.leaky_relu(self.stems[i](image), SLOPE)
        x = x if self.deviation is None else self.deviation(x)
        x = F.leaky_relu(self.convolution(x), SLOPE, inplace=True)
        return F.leaky_relu(self.dense(x.permute(0, 2, 3, 1).flatten(1)), SLOPE)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] (None takes the mean over classes) → [B]."""
        out = self.last(features)
        if self.mapping is None:
            return out.squeeze(1)
        return (out * self.mapping(out, labels)).sum(1) / math.sqrt(out.shape[1])
