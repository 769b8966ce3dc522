"""FastGAN, for few pictures: skip-layer excitation and a self-supervised discriminator (Liu et al., 2021).

Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis (arXiv:2101.04775), laid out for
32 to 1024 pixels as in the authors' code, which goes beyond the paper's figures: excitation in the discriminator too,
a second path for a small copy of the image, a third decoder. Smaller images have fewer grids of the same kinds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gansmith import draws
from gansmith.networks.dcgan import initialise
from gansmith.networks.layers import (
    SLOPE,
    BatchNorm,
    ClassNoise,
    Critic,
    SpectralConv2d,
    SpectralLinear,
    one_hot,
    pad_to,
    settle,
    squashed,
    stages,
)
from gansmith.networks.modulation import LayerNoise

_MULTIPLES = (16, 8, 4, 2, 2, 1)
"""Channels of the generator's grids in multiples of the width, coarsest first; halved on each finer one."""

_DECODED = (4, 2, 2, 1)
"""Likewise of a decoder's grids of 16 to 128 pixels."""

_LAST_EXCITED = 7
"""The generator's finest grid that is excited: 512 pixels of 4."""


class Noise(nn.Module):
    """x + w n with n a normal number for each place: w is learned, and 0 at first.

    Karras et al., 2019, Section 2 (arXiv:1812.04948), with one w for all channels.

    Args:
        place: which layer it is.
        height, width: of the grid.
    """

    def __init__(self, place: int, height: int, width: int) -> None:
        super().__init__()
        self.numbers = LayerNoise(place, height, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        return x + self.numbers(len(x))


class Grow(nn.Module):
    """Twice the size by nearest neighbours, 3x3 convolution, batch norm, gated linear unit.

    Liu et al., 2021, Section 3 (arXiv:2101.04775); the unit is a ⊙ σ(b) of the two halves of the channels (Dauphin
    et al., 2017, arXiv:1612.08083).

    Args:
        inputs, outputs: channels.
        size: of the grid that comes out; given, a second convolution follows, and noise comes before each norm.
        place: the first of these layers' place, for their noise.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int] | None = None, place: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Upsample(scale_factor=2.0, mode="nearest")]
        for i, before in enumerate((inputs, outputs) if size else (inputs,)):
            layers.append(SpectralConv2d(before, 2 * outputs, 3, padding=1, bias=False))
            layers += [Noise(place + i, *size)] if size else []
            layers += [BatchNorm(2 * outputs), nn.GLU(1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, 2H, 2W]."""
        return self.layers(x)


class Excitation(nn.Module):
    """Skip-layer excitation: a coarse grid weights the channels of a fine one, y = F(x_low) · x_high.

    F: means over 4x4 parts, a 4x4 convolution to one place, SiLU (in the paper LeakyReLU), a 1x1 convolution, sigmoid.
    Liu et al., 2021, Equation 1 (arXiv:2101.04775).

    Args:
        inputs, outputs: channels of the first grid and of the second.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = SpectralConv2d(inputs, outputs, 4, bias=False)
        self.second = SpectralConv2d(outputs, outputs, 1, bias=False)

    def forward(self, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w], [B, O, H, W] → [B, O, H, W]."""
        return high * self.second(F.silu(self.first(F.adaptive_avg_pool2d(low, 4)))).sigmoid()


class Generator(nn.Module):
    """Noise → grids that double the size, every second of them with noise → 3x3 convolution, tanh.

    Each grid from the fifth on is weighted by the fourth before it: 64 pixels by 4, 128 by 8, 256 by 16 and 512 by 32.

    Args:
        shape: (C, H, W), sides from 8.
        noise: dimensions of the latent vector.
        classes: number of classes, whose embeddings join the noise; 0 is unconditional, as in the paper.
        width: channels on the grid of 128 pixels; 16 times as many on the coarsest.
        embedding: dimensions of a class's embedding.
    """

    def __init__(
        self, shape: Sequence[int], noise: int, classes: int = 0, width: int = 64, embedding: int = 64
    ) -> None:
        super().__init__()
        self.shape = tuple(_checked(shape))
        number, self.base = stages(shape)
        last = len(_MULTIPLES) - 1
        widths = [max(_MULTIPLES[min(i, last)] * width >> max(i - last, 0), 1) for i in range(number + 1)]
        self.start = ClassNoise(classes, embedding)
        area = self.base[0] * self.base[1]
        self.first = SpectralLinear(noise + self.start.width, 2 * widths[0] * area, bias=False)
        self.norm = BatchNorm(2 * widths[0])
        self.grids = nn.ModuleList()
        for i in range(1, number + 1):
            size = (self.base[0] << i, self.base[1] << i) if i % 2 else None
            self.grids.append(Grow(widths[i - 1], widths[i], size, 2 * i))
        self.reach = min(4, number)
        self.excitations = nn.ModuleList(
            [Excitation(widths[i - self.reach], widths[i]) for i in range(self.reach, min(number, _LAST_EXCITED) + 1)]
        )
        self.last = SpectralConv2d(widths[-1], shape[0], 3, padding=1, bias=False)
        initialise(self)
        settle(self)

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W] in [-1, 1]."""
        # The dense layer's outputs are laid out as (H, W, C): the convolutions' own memory format.
        x = self.first(self.start(noise, labels)).view(len(noise), *self.base, -1).permute(0, 3, 1, 2)
        grids = [F.glu(self.norm(x), 1)]
        for i, grow in enumerate(self.grids, 1):
            x = grow(grids[-1])
            if self.reach <= i <= _LAST_EXCITED:
                x = self.excitations[i - self.reach](grids[i - self.reach], x)
            grids.append(x)
        return squashed(self.last(grids[-1]))[:, :, : self.shape[1], : self.shape[2]]


def _halving(inputs: int, widths: Sequence[int], bare: bool = False) -> list[nn.Module]:
    """Half the size for each of `widths`, by 4x4 convolutions; batch norm, but where `bare` not at first; LeakyReLU."""
    layers: list[nn.Module] = []
    for before, width in pairwise([inputs, *widths]):
        layers.append(SpectralConv2d(before, width, 4, padding=1, bias=False, stride=2))
        layers += [] if bare and len(layers) == 1 else [BatchNorm(width)]
        layers.append(nn.LeakyReLU(SLOPE))
    return layers


def _same(inputs: int, outputs: int) -> list[nn.Module]:
    return [SpectralConv2d(inputs, outputs, 3, padding=1, bias=False), nn.LeakyReLU(SLOPE)]


class Shrink(nn.Module):
    """Half the size on two ways, and their mean: 4x4 of stride 2 and 3x3; means of 2x2 and 1x1.

    After each convolution batch norm and LeakyReLU. Liu et al., 2021, Section 3 (arXiv:2101.04775).

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        second = SpectralConv2d(outputs, outputs, 3, padding=1, bias=False)
        self.main = nn.Sequential(*_halving(inputs, [outputs]), second, BatchNorm(outputs), nn.LeakyReLU(SLOPE))
        direct = SpectralConv2d(inputs, outputs, 1, bias=False)
        self.direct = nn.Sequential(nn.AvgPool2d(2), direct, BatchNorm(outputs), nn.LeakyReLU(SLOPE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, H/2, W/2]."""
        return (self.main(x) + self.direct(x)) / 2


class Decoder(nn.Module):
    """A grid of features → a small square image: means over 8x8 parts, grids that double the size, 3x3, tanh.

    Liu et al., 2021, Section 3 (arXiv:2101.04775).

    Args:
        inputs: channels of the features.
        channels: of the image.
        number: how often the size is doubled from 8.
        width: channels at 128 pixels.
    """

    def __init__(self, inputs: int, channels: int, number: int, width: int) -> None:
        super().__init__()
        widths = [inputs, *[multiple * width for multiple in _DECODED[:number]]]
        self.grids = nn.Sequential(*[Grow(a, b) for a, b in pairwise(widths)])
        self.last = SpectralConv2d(widths[-1], channels, 3, padding=1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, F, H, W] → [B, C, 8 · 2^number, the same] in [-1, 1]."""
        return squashed(self.last(self.grids(F.adaptive_avg_pool2d(features, 8))))


def _quarter(x: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """A quarter of each example: [B, C, H, W], int64 [B] → [B, C, ⌈H/2⌉, ⌈W/2⌉]."""
    height, width = math.ceil(x.shape[2] / 2), math.ceil(x.shape[3] / 2)
    tops, lefts = (0, x.shape[2] - height), (0, x.shape[3] - width)
    all_four = torch.stack([x[:, :, i : i + height, j : j + width] for i in tops for j in lefts], 1)
    return (all_four * one_hot(which, 4, x)[:, :, None, None, None]).sum(1)


class Discriminator(Critic):
    """Image → a grid of 8 pixels, and a small copy of it → another; each → a logit for each of its patches.

    What it knows must suffice to draw the image again: `reconstructions` are for a term of self-supervision.
    A class is given by projection (Miyato and Koyama, 2018, arXiv:1802.05637).

    Args:
        shape: (C, H, W), sides from 8.
        classes: number of classes; 0 is unconditional, as in the paper.
        width: an eighth of the channels on the coarsest grid, which are halved on each finer one.
    """

    def __init__(self, shape: Sequence[int], classes: int = 0, width: int = 64) -> None:
        super().__init__()
        self.classes, (channels, *sides) = classes, _checked(shape)
        number, base = stages(shape, 8)
        self.padded = (base[0] << number, base[1] << number)
        wide, blocks = 8 * width, min(number, 5)
        widths = [max(wide >> i, 1) for i in reversed(range(number + 1))]
        # Beyond 256 pixels the first layers come down to them.
        beyond, widths = widths[1 : number - blocks + 1], widths[number - blocks :]
        self.stem = nn.Sequential(*(_halving(channels, beyond, True) if beyond else _same(channels, widths[0])))
        self.grids = nn.ModuleList([Shrink(a, b) for a, b in pairwise(widths)])
        self.reach = min(3, blocks)
        self.excitations = nn.ModuleList(
            [Excitation(widths[i - self.reach], widths[i]) for i in range(self.reach, blocks + 1) if blocks]
        )
        judge = SpectralConv2d(wide, 2 * wide, 1, bias=False)
        last = SpectralConv2d(2 * wide, 1, 4, bias=False)
        self.large_logits = nn.Sequential(judge, BatchNorm(2 * wide), nn.LeakyReLU(SLOPE), last)
        scale = max(2, min(sides) / 128)
        small = [math.ceil(side / scale) for side in sides]
        halvings, small_base = stages((channels, *small), 8)
        self.small_size = (small_base[0] << halvings, small_base[1] << halvings)
        narrow = [max(wide // 2 >> i, 1) for i in reversed(range(max(halvings, 1)))]
        self.small = nn.Sequential(*(_halving(channels, narrow, True) if halvings else _same(channels, narrow[0])))
        self.small_logits = SpectralConv2d(narrow[-1], 1, 4, bias=False)
        self.embedding = SpectralLinear(classes, wide, bias=False) if classes else None
        self.shapes = ((wide, *base), (narrow[-1], *small_base))
        self.feature_width = sum(math.prod(each) for each in self.shapes)
        doublings, half = min(number, len(_DECODED)), max(width // 2, 1)
        self.decoders = nn.ModuleList(
            [Decoder(each, channels, doublings, half) for each in (wide, narrow[-1], widths[max(blocks - 1, 0)])]
        )
        initialise(self)
        settle(self)

    def _grids(self, data: torch.Tensor) -> list[torch.Tensor]:
        """The large path's grids, finest first."""
        grids = [self.stem(data)]
        for i, shrink in enumerate(self.grids, 1):
            x = shrink(grids[-1])
            grids.append(x if i < self.reach else self.excitations[i - self.reach](grids[i - self.reach], x))
        return grids

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F], the coarsest grids of both paths."""
        data = pad_to(data, *self.padded)
        both = self._grids(data)[-1], self.small(F.adaptive_avg_pool2d(data, self.small_size))
        # As (H, W, C), which is how convolutions lay it out: no copy.
        return torch.cat([grid.permute(0, 2, 3, 1).flatten(1) for grid in both], 1)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B, P], one for each patch of either path, whose losses are averaged."""
        parts = features.split([math.prod(shape) for shape in self.shapes], 1)
        large, small = (
            part.view(len(features), *shape[1:], shape[0]).permute(0, 3, 1, 2)
            for part, shape in zip(parts, self.shapes, strict=True)
        )
        logits = torch.cat([self.large_logits(large).flatten(1), self.small_logits(small).flatten(1)], 1)
        if labels is None or self.embedding is None:
            return logits
        of = self.embedding(one_hot(labels, self.classes, features))
        return logits + (large.mean((2, 3)) * of).sum(1, keepdim=True)

    def reconstructions(self, data: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What the decoders make of the features of examples, and what they should: the whole twice, and a quarter.

        The quarter is one of four for each example, by one of the step's draws; outside of training, each in turn.
        Liu et al., 2021, Section 3 (arXiv:2101.04775).

        Args:
            data: real examples [B, C, H, W].

        Returns:
            Pairs (decoded, target), small square images [B, C, s, s] each.
        """
        data = pad_to(data.to(self.small_logits.weight.dtype), *self.padded)
        grids, small = self._grids(data), self.small(F.adaptive_avg_pool2d(data, self.small_size))
        source = draws.current()
        if source is None:
            which = torch.arange(len(data), device=data.device) % 4
        else:
            which = source.integers("quarter", 4)
        seen = (grids[-1], small, _quarter(grids[max(len(grids) - 2, 0)], which))
        decoded = [decode(x) for decode, x in zip(self.decoders, seen, strict=True)]
        wanted = (data, data, _quarter(data, which))
        return [(made, F.adaptive_avg_pool2d(x, made.shape[2])) for made, x in zip(decoded, wanted, strict=True)]


def _checked(shape: Sequence[int]) -> Sequence[int]:
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"fastgan makes images of 8 pixels a side or more, not {tuple(shape)}")
    return shape
