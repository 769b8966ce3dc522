"""BigGAN and BigGAN-deep (Brock et al., 2019, arXiv:1809.11096), for any size from 8 up.

Appendix B: the residual networks of SAGAN, wider, with a class's embedding that all layers share and noise that
enters at each block. The widths are those of its tables for 128, 256 and 512 pixels; the discriminator's are the
generator's from behind. Up to 32 pixels all are as wide, as in the authors' code for CIFAR-10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.layers import (
    BatchNorm,
    Critic,
    one_hot,
    pad_to,
    settle,
    squashed,
    stages,
)
from gansmith.networks.residual import Attention, Down, Up, convolution, linear, place, twice

_TABLES = {3: (16, 16, 8, 4), 4: (16, 16, 8, 4, 2), 5: (16, 16, 8, 4, 2, 1), 6: (16, 16, 8, 8, 4, 2, 1)}
"""Channels on each grid in multiples of the width, coarsest first, by the number of halvings."""

_FLAT = 4
"""The multiple on every grid of a small image."""


class ConditionalNorm(nn.Module):
    """Batch norm whose scale and shift are linear in a vector c: (1 + W_γ c) (x − μ) / √(σ² + ε) + W_β c.

    Brock et al., 2019, Appendix B (arXiv:1809.11096).

    Args:
        features: channels.
        inputs: length of c.
        spectral: normalise the weights.
    """

    def __init__(self, features: int, inputs: int, spectral: bool) -> None:
        super().__init__()
        self.norm = BatchNorm(features, affine=False)
        self.scale, self.shift = (linear(inputs, features, spectral, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W], [B, inputs] → [B, C, H, W]."""
        scale, shift = 1 + self.scale(condition), self.shift(condition)
        return torch.addcmul(shift[:, :, None, None], self.norm(x), scale[:, :, None, None])


class DeepUp(nn.Module):
    """A bottleneck of 1x1, 3x3, 3x3 and 1x1 convolutions, each after a norm and ReLU, beside x's first channels.

    The size is doubled before the first 3x3, by nearest neighbours. Brock et al., 2019, Appendix B
    (arXiv:1809.11096).

    Args:
        inputs, outputs: channels; no more out than in.
        grow: double the size.
        norm: channels → a norm, which is called with the block's input and what it is conditioned on.
        spectral: normalise the weights.
    """

    def __init__(self, inputs: int, outputs: int, grow: bool, norm: Callable[[int], nn.Module], spectral: bool) -> None:
        super().__init__()
        self.grow, self.outputs = grow, outputs
        widths, kernels = _bottleneck(inputs, outputs)
        self.norms = nn.ModuleList([norm(width) for width in widths[:-1]])
        self.layers = nn.ModuleList(
            [convolution(a, b, kernel, spectral) for a, b, kernel in zip(widths, widths[1:], kernels, strict=False)]
        )

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W], what the norms take → [B, O, H, W], or [B, O, 2H, 2W]."""
        inner = x
        for i, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            inner = F.relu(norm(inner, condition))
            inner = layer(twice(inner) if self.grow and i == 1 else inner)
        x = x[:, : self.outputs]
        return inner + (twice(x) if self.grow else x)


class DeepDown(nn.Module):
    """A bottleneck of 1x1, 3x3, 3x3 and 1x1 convolutions, each after ReLU, beside x and what a 1x1 adds to it.

    The size is halved before the last convolution, by means of 2x2. Brock et al., 2019, Appendix B
    (arXiv:1809.11096).

    Args:
        inputs, outputs: channels; no fewer out than in.
        halve: halve the size.
        spectral: normalise the weights.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, spectral: bool) -> None:
        super().__init__()
        self.halve = halve
        widths, kernels = _bottleneck(inputs, outputs)
        self.layers = nn.ModuleList(
            [convolution(a, b, kernel, spectral) for a, b, kernel in zip(widths, widths[1:], kernels, strict=False)]
        )
        self.more = convolution(inputs, outputs - inputs, 1, spectral) if outputs > inputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, H/2, W/2], or [B, O, H, W]."""
        inner = x
        for i, layer in enumerate(self.layers):
            inner = F.relu(inner)
            inner = layer(F.avg_pool2d(inner, 2) if self.halve and i == 3 else inner)
        x = F.avg_pool2d(x, 2) if self.halve else x
        return inner + (x if self.more is None else torch.cat([x, self.more(x)], 1))


def _bottleneck(inputs: int, outputs: int) -> tuple[list[int], list[int]]:
    """Channels before, between and after a bottleneck's convolutions, and their kernels."""
    inner = max(max(inputs, outputs) // 4, 1)
    return [inputs, inner, inner, inner, outputs], [1, 3, 3, 1]


def _deep(form: str) -> bool:
    if form not in ("wide", "deep"):
        raise ValueError(f"form is `wide` or `deep`, not {form!r}")
    return form == "deep"


def _widths(shape: Sequence[int], number: int, width: int) -> list[int]:
    """Channels on each grid of `number` halvings, coarsest first."""
    if min(shape[1:]) <= 32:
        return [_FLAT * width] * (number + 1)
    table = _TABLES.get(number) or _TABLES[6] + (1,) * (number - 6)
    return [multiple * width for multiple in table]


def _checked(shape: Sequence[int]) -> Sequence[int]:
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"biggan makes images of 8 pixels a side or more, not {tuple(shape)}")
    return shape


def initialise(network: nn.Module) -> None:
    """Orthogonal weights, each layer's [O, …] as a matrix of O rows (Saxe et al., 2014), and biases of zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    settle(network)


class Generator(nn.Module):
    """Noise → dense layer → blocks that double the size → batch norm, ReLU, 3x3 convolution, tanh.

    `wide` (BigGAN) splits the noise: the first part makes the coarsest grid, and each block has one of its own, which
    with the class's embedding conditions the block's batch norms. `deep` (BigGAN-deep) gives noise and embedding whole
    to each, and has two blocks on each grid.

    Args:
        shape: (C, H, W), sides from 8.
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        width: the unit of the channels: 16 times as many on the coarsest grid and once on the finest from 128
            pixels on, and 4 times on all up to 32.
        form: `wide` or `deep`.
        embedding: dimensions of a class's embedding.
        attention: pixels of the shorter side of the grid to which self-attention is applied: the finest that is no
            larger, and at most half of the image (or the coarsest, where none is); None is without.
        spectral: divide each weight but the embedding's by its largest singular value.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        width: int = 96,
        form: str = "wide",
        embedding: int = 128,
        attention: int | None = 64,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.deep = tuple(_checked(shape)), classes, _deep(form)
        number, self.base = stages(shape)
        if noise <= number and not self.deep:
            raise ValueError(f"the noise is split into {number + 1} parts, for which {noise} dimensions are too few")
        widths = _widths(shape, number, width)
        # Neither spectral nor regularized to be orthogonal, as in the authors' code.
        self.embedding = nn.Embedding(classes, embedding) if classes else None
        self.parts = [noise // (number + 1) + (i < noise % (number + 1)) for i in range(number + 1)]
        beside = embedding if classes else 0
        self.first = linear(noise + beside if self.deep else self.parts[0], widths[0] * math.prod(self.base), spectral)
        self.grids = nn.ModuleList()
        for (a, b), part in zip(pairwise(widths), self.parts[1:], strict=True):
            norm = partial(ConditionalNorm, inputs=beside + (noise if self.deep else part), spectral=spectral)
            two = [DeepUp(a, a, False, norm, spectral), DeepUp(a, b, True, norm, spectral)] if self.deep else None
            self.grids.append(nn.ModuleList(two or [Up(a, b, norm, spectral)]))
        self.place = place(attention, shape, [min(self.base) << i for i in range(number + 1)])
        self.attention = None if self.place is None else Attention(widths[self.place], spectral)
        self.norm = BatchNorm(widths[-1])
        self.last = convolution(widths[-1], shape[0], 3, spectral)
        initialise(self)

    def conditions(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> list[torch.Tensor]:
        """What the first layer and the blocks after it are given: [B, noise], int64 [B] → [B, …] for each grid."""
        parts = [noise] * len(self.parts) if self.deep else list(noise.split(self.parts, 1))
        if self.embedding is None:
            return parts
        table = self.embedding.weight
        mean = table.mean(0).expand(len(noise), -1)
        embedded = mean if labels is None else one_hot(labels, self.classes, table) @ table
        joined = [torch.cat([part, embedded], 1) for part in parts]
        return joined if self.deep else [parts[0], *joined[1:]]

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] (None is the mean class) → [B, C, H, W] in [-1, 1]."""
        start, *conditions = self.conditions(noise, labels)
        # The dense layer's outputs are laid out as (H, W, C): the convolutions' own memory format.
        x = self.first(start).view(len(noise), *self.base, -1).permute(0, 3, 1, 2)
        for i in range(len(self.grids) + 1):
            for block in self.grids[i - 1].children() if i else ():
                x = block(x, conditions[i - 1])
            if self.attention is not None and i == self.place:
                x = self.attention(x)
        x = squashed(self.last(F.relu(self.norm(x))))
        return x[:, :, : self.shape[1], : self.shape[2]]


class Discriminator(Critic):
    """Image → blocks that halve the size, and one or two that do not → ReLU, sum over places, dense layer.

    A class is given by projection: logit = wᵀh + b + e_yᵀh of the features h, with e_y the class's embedding (Miyato
    and Koyama, 2018, Equation 3, arXiv:1802.05637).

    Args:
        shape: (C, H, W), sides from 8.
        classes: number of classes; 0 is unconditional.
        width: the unit of the channels, as the generator's.
        form: `wide` (BigGAN), or `deep` (BigGAN-deep), with two blocks on each grid after a convolution.
        attention: pixels of the shorter side of the grid to which self-attention is applied: the finest that is no
            larger, and at most half of the image (or the coarsest, where none is); None is without.
        spectral: divide each weight by its largest singular value.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 96,
        form: str = "wide",
        attention: int | None = 64,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        deep, self.classes = _deep(form), classes
        flat = min(_checked(shape)[1:]) <= 32
        # Down to a grid of 3 to 5 pixels or, of a small image, of 7 to 13, where two blocks keep the size.
        number = max(stages(shape, 7 if flat else 3)[0], 1)
        self.padded = (math.ceil(shape[1] / 2**number) << number, math.ceil(shape[2] / 2**number) << number)
        widths = _widths(shape, number, width)[::-1]
        # Blocks that halve, and after them one that does not (deep: none), or one more in a small image.
        kept = flat if deep else 1 + flat
        spot = place(attention, shape, [min(self.padded) >> min(i + 1, number) for i in range(number + kept)])
        layers: list[nn.Module] = [convolution(shape[0], widths[0], 3, spectral)] if deep else []
        for i in range(number + kept):
            halve, width = i < number, widths[min(i + deep, number)]
            before = widths[min(i - (not deep), number)] if i or deep else shape[0]
            if deep:
                layers += [DeepDown(before, width, halve, spectral), DeepDown(width, width, False, spectral)]
            else:
                layers.append(Down(before, width, halve, i == 0, spectral, wide=True))
            if i == spot:
                layers.append(Attention(width, spectral))
        self.layers, self.feature_width = nn.Sequential(*layers), widths[-1]
        self.last = linear(widths[-1], 1, spectral)
        self.embedding = linear(classes, widths[-1], spectral, bias=False) if classes else None
        initialise(self)

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F], the last grid's sum over places."""
        return F.relu(self.layers(pad_to(data, *self.padded))).sum((2, 3))

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] (None is the part that no class decides) → [B]."""
        logits = self.last(features).squeeze(1)
        if labels is None or self.embedding is None:
            return logits
        return logits + (features * self.embedding(one_hot(labels, self.classes, features))).sum(1)
