"""R3GAN: a ResNeXt without normalisation, generator and discriminator as mirror images.

Huang et al., 2024, The GAN is dead; long live the GAN! A Modern Baseline GAN, Section 4 (arXiv:2501.05441).
Two forms beside the paper's, for images of 8 to 32 pixels: `patch` works on patches of the image
(pixel unshuffle in, shuffle out), and `basis: linear` replaces the separable first layer by a full one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d, downsample, upsample
from gansmith.networks.layers import GAIN, SLOPE, ClassLogit, ClassNoise, Critic, pad_to, scaled, squashed, stages


class Block(nn.Module):
    """x + W₃ φ(W₂ φ(W₁ x)), with W₂ a grouped 3x3 and W₃ zero at first (Section 4.2; Zhang et al., 2019).

    Args:
        channels: in and out.
        expansion: factor of the inner channels.
        cardinality: groups of the middle convolution.
        depth: blocks of the whole network, which scale the first weights by depth^(-1/4).
    """

    def __init__(self, channels: int, expansion: int, cardinality: int, depth: int) -> None:
        super().__init__()
        inner, gain = channels * expansion, GAIN * depth**-0.25
        self.expand = scaled(Conv2d(channels, inner, 1), gain)
        self.middle = scaled(Conv2d(inner, inner, 3, padding=1, groups=cardinality), gain)
        self.reduce = scaled(Conv2d(inner, channels, 1, bias=False), 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        # The 1x1's result may be a view, on which an activation in place would cost copies of the gradient.
        inner = F.leaky_relu(self.expand(x), SLOPE)
        return x + self.reduce(F.leaky_relu(self.middle(inner), SLOPE, inplace=True))


class Resample(nn.Module):
    """Twice the size or half of it, by the filter [1, 2, 1] over nearest neighbours: [1, 3, 3, 1] in all."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C, 2H, 2W] or [B, C, H/2, W/2]."""
        return upsample(x) if self.up else downsample(x)


def _grid(shape: Sequence[int], patch: int) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"r3gan makes images, not examples of shape {tuple(shape)}")
    return shape[0], math.ceil(shape[1] / patch), math.ceil(shape[2] / patch)


def _paper_widths(shape: Sequence[int], patch: int) -> list[int]:
    """768 channels up to 32 pixels, three doublings from 4; 384, 192, 96 and so on beyond."""
    number, _ = stages(_grid(shape, patch))
    return [768 >> max(i - 3, 0) for i in range(number + 1)]


def _layout(shape: Sequence[int], widths: Sequence[int], patch: int) -> tuple[int, tuple[int, int]]:
    grid = _grid(shape, patch)
    most, _ = stages(grid, 2)
    number = len(widths) - 1
    if number > most:
        least = 2 * patch << number
        raise ValueError(f"{len(widths)} widths need images of {least} pixels a side or more, not {tuple(shape)}")
    return number, (math.ceil(grid[1] / 2**number), math.ceil(grid[2] / 2**number))


def _each(value: int | Sequence[int], widths: Sequence[int]) -> list[int]:
    values = [value] * len(widths) if isinstance(value, int) else list(value)
    if len(values) != len(widths):
        raise ValueError(f"expected one number, or one for each of the {len(widths)} widths, not {value!r}")
    return values


def _groups(cardinality: int | Sequence[int] | None, widths: Sequence[int]) -> list[int]:
    if cardinality is None:
        return [math.gcd(width, width // 8) if width >= 8 else 1 for width in widths]
    return _each(cardinality, widths)


class Generator(nn.Module):
    """Noise → image; a class's embedding joins the noise.

    Args:
        shape: (C, H, W).
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        widths: channels at each resolution, coarsest first; each doubles the resolution of the last. None
            is the paper's rule: 768 up to 32 pixels, halved at each doubling beyond.
        blocks: residual blocks at each resolution (a number, or one for each).
        cardinality: groups of their middle convolutions, likewise; None is an eighth of the widths.
        expansion: factor of their inner channels.
        embedding: dimensions of a class's embedding.
        patch: side of the patches that the last layer writes; 1 is the paper's.
        basis: `product` (the paper's: a learned pattern for each channel, scaled) or `linear`.
        squash: end in tanh: far better where pixels lie at the ends of their range, as in drawings; the paper's
            last layer is linear.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        widths: Sequence[int] | None = None,
        blocks: int | Sequence[int] = 2,
        cardinality: int | Sequence[int] | None = None,
        expansion: int = 2,
        embedding: int = 64,
        patch: int = 1,
        basis: str = "product",
        squash: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.patch, self.squash = tuple(shape), patch, squash
        widths = _paper_widths(shape, patch) if widths is None else widths
        number, self.base = _layout(shape, widths, patch)
        counts, groups = _each(blocks, widths), _groups(cardinality, widths)
        self.start = ClassNoise(classes, embedding)
        self.product = _basis_kind(basis)
        area = 1 if self.product else self.base[0] * self.base[1]
        self.first = scaled(nn.Linear(noise + self.start.width, widths[0] * area, bias=False))
        if self.product:
            self.pattern = nn.Parameter(torch.randn(widths[0], *self.base))
        layers: list[nn.Module] = []
        for i in range(number + 1):
            if i:
                if widths[i - 1] != widths[i]:
                    layers.append(scaled(Conv2d(widths[i - 1], widths[i], 1, bias=False)))
                layers.append(Resample(up=True))
            layers += [Block(widths[i], expansion, groups[i], sum(counts)) for _ in range(counts[i])]
        self.layers = nn.Sequential(*layers)
        self.last = scaled(Conv2d(widths[-1], shape[0] * patch**2, 1, bias=False))

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W]."""
        x = self.first(self.start(noise, labels))
        if self.product:
            x = self.pattern * x.view(len(noise), -1, 1, 1)
        else:
            x = x.view(len(noise), *self.base, -1).permute(0, 3, 1, 2)
        x = self.last(self.layers(x))
        x = F.pixel_shuffle(x, self.patch) if self.patch > 1 else x
        x = x[:, :, : self.shape[1], : self.shape[2]]
        return squashed(x) if self.squash else x


class Discriminator(Critic):
    """Image → logit; with classes, the product of the features and a class's embedding (Section 4.3).

    Args:
        shape: (C, H, W).
        classes: number of classes; 0 is unconditional.
        widths: channels at each resolution, coarsest first, as the generator's; None likewise.
        blocks: residual blocks at each resolution (a number, or one for each).
        cardinality: groups of their middle convolutions, likewise; None is an eighth of the widths.
        expansion: factor of their inner channels.
        features: dimensions in which a class's embedding is compared; None is the coarsest width.
        patch: side of the patches that the first layer reads; 1 is the paper's.
        basis: `product` (the paper's: a learned pattern for each channel) or `linear`.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        widths: Sequence[int] | None = None,
        blocks: int | Sequence[int] = 2,
        cardinality: int | Sequence[int] | None = None,
        expansion: int = 2,
        features: int | None = None,
        patch: int = 1,
        basis: str = "product",
    ) -> None:
        super().__init__()
        self.patch = patch
        widths = _paper_widths(shape, patch) if widths is None else widths
        number, base = _layout(shape, widths, patch)
        self.padded = ((base[0] << number) * patch, (base[1] << number) * patch)
        counts, groups = _each(blocks, widths), _groups(cardinality, widths)
        self.first = scaled(Conv2d(shape[0] * patch**2, widths[-1], 1, bias=False))
        layers: list[nn.Module] = []
        for i in reversed(range(number + 1)):
            layers += [Block(widths[i], expansion, groups[i], sum(counts)) for _ in range(counts[i])]
            if i:
                layers.append(Resample(up=False))
                if widths[i] != widths[i - 1]:
                    layers.append(scaled(Conv2d(widths[i], widths[i - 1], 1, bias=False)))
        self.layers = nn.Sequential(*layers)
        features = features or widths[0]
        self.product = _basis_kind(basis)
        if self.product:
            self.pattern = nn.Parameter(torch.randn(widths[0], *base) / math.sqrt(base[0] * base[1]))
        area = 1 if self.product else base[0] * base[1]
        self.feature_width = widths[0] * area
        self.end = ClassLogit(self.feature_width, classes, features, 1 / math.sqrt(features))

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F], in the basis."""
        x = pad_to(data, *self.padded)
        x = F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x
        x = self.layers(self.first(x))
        x = (x * self.pattern).sum((2, 3)) if self.product else x.permute(0, 2, 3, 1)
        return x.flatten(1)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B]."""
        return self.end(features, labels)


def _basis_kind(basis: str) -> bool:
    if basis not in ("product", "linear"):
        raise ValueError(f"basis is `product` or `linear`, not {basis!r}")
    return basis == "product"
