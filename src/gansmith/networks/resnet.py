"""The residual networks of WGAN-GP, SNGAN, the projection discriminator and SAGAN, for any size from 8 up.

Miyato et al., 2018, Appendix B.4 (arXiv:1802.05957), with the blocks of Gulrajani et al., 2017
(arXiv:1704.00028). Up to 32 pixels they have the shape of Table 3 (CIFAR-10), as wide everywhere; beyond, that of
Tables 4 and 5 (STL-10, ImageNet), where the width doubles at each halving. Classes: batch norm of each class's own
in the generator, a projection in the discriminator (Miyato and Koyama, 2018, arXiv:1802.05637).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.layers import BatchNorm, ClassBatchNorm, Critic, one_hot, pad_to, squashed, stages
from gansmith.networks.residual import Attention, Down, Up, convolution, linear, place


def _checked(shape: Sequence[int], pyramid: bool | None) -> bool:
    """Whether the width doubles at each halving."""
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"resnet makes images of 8 pixels a side or more, not {tuple(shape)}")
    return min(shape[1:]) > 32 if pyramid is None else pyramid


class Generator(nn.Module):
    """Noise → dense layer → blocks that double the size → batch norm, ReLU, 3x3 convolution, tanh.

    Args:
        shape: (C, H, W), sides from 8.
        noise: dimensions of the latent vector.
        classes: number of classes, each with scales and shifts of its own in the blocks' batch norms; 0 is
            unconditional.
        width: channels, in a pyramid a quarter of them at the finest resolution.
        pyramid: double the width at each halving of the resolution, up to 16 times the finest (Tables 4 and 5);
            None does so for images of more than 32 pixels a side.
        spectral: divide each weight by its largest singular value, as SAGAN does.
        attention: pixels of the shorter side of the grid to which self-attention is applied: the finest that is no
            larger, and at most half of the image (or the coarsest, where none is); None is without.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        width: int = 256,
        pyramid: bool | None = None,
        spectral: bool = False,
        attention: int | None = None,
    ) -> None:
        super().__init__()
        pyramid, self.shape = _checked(shape, pyramid), tuple(shape)
        number, self.base = stages(shape)
        finest = max(width // 4, 1)
        widths = [min(finest << (number - i), finest * 16) if pyramid else width for i in range(number + 1)]
        self.first = linear(noise, widths[0] * self.base[0] * self.base[1], spectral)
        self.blocks = nn.ModuleList(
            [Up(a, b, partial(ClassBatchNorm, classes=classes), spectral) for a, b in pairwise(widths)]
        )
        self.place = place(attention, shape, [min(self.base) << i for i in range(number + 1)])
        self.attention = None if self.place is None else Attention(widths[self.place], spectral)
        self.norm = BatchNorm(widths[-1])
        self.last = convolution(widths[-1], shape[0], 3, spectral)

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W] in [-1, 1]."""
        # The dense layer's outputs are laid out as (H, W, C): the convolutions' own memory format.
        x = self.first(noise).view(len(noise), *self.base, -1).permute(0, 3, 1, 2)
        for i, block in enumerate([None, *self.blocks]):
            x = x if block is None else block(x, labels)
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
        width: channels, in a pyramid half of them after the first block.
        pyramid: double the width at each halving of the resolution, up to 16 times (Tables 4 and 5); None does so
            for images of more than 32 pixels a side.
        spectral: divide each weight by its largest singular value.
        attention: pixels of the shorter side of the grid to which self-attention is applied: the finest that is no
            larger, and at most half of the image (or the coarsest, where none is); None is without.
        pool: `sum` over places (SNGAN) or their `mean` (WGAN-GP).
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 128,
        pyramid: bool | None = None,
        spectral: bool = False,
        attention: int | None = None,
        pool: str = "sum",
    ) -> None:
        super().__init__()
        if pool not in ("sum", "mean"):
            raise ValueError(f"pool is `sum` or `mean`, not {pool!r}")
        pyramid, self.classes, self.pool = _checked(shape, pyramid), classes, pool
        # Down to a grid of 3 to 5 pixels or of 7 to 13: where Tables 4 and 5, and Table 3, end.
        number = max(stages(shape, 3 if pyramid else 7)[0], 1)
        self.padded = (math.ceil(shape[1] / 2**number) << number, math.ceil(shape[2] / 2**number) << number)
        finest, after = max(width // 2, 1), 1 if pyramid else 2
        widths = [shape[0]]
        widths += [min(finest << i, finest * 16) if pyramid else width for i in range(number + after)]
        self.blocks = nn.ModuleList(
            [Down(a, b, i < number, i == 0, spectral) for i, (a, b) in enumerate(pairwise(widths))]
        )
        self.place = place(attention, shape, [min(self.padded) >> min(i + 1, number) for i in range(number + after)])
        self.attention = None if self.place is None else Attention(widths[self.place + 1], spectral)
        self.feature_width = widths[-1]
        self.last = linear(widths[-1], 1, spectral)
        self.embedding = linear(classes, widths[-1], spectral, bias=False) if classes else None

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F], their sum or mean over places."""
        x = pad_to(data, *self.padded)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attention is not None and i == self.place:
                x = self.attention(x)
        x = F.relu(x)
        return x.sum((2, 3)) if self.pool == "sum" else x.mean((2, 3))

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B]."""
        logits = self.last(features).squeeze(1)
        if labels is None or self.embedding is None:
            return logits
        return logits + (features * self.embedding(one_hot(labels, self.classes, features))).sum(1)
