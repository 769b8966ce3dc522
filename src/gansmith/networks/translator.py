"""CycleGAN's generator: two halvings, residual blocks with reflection padding, and two doublings.

Zhu et al., 2017, Section 4 and appendix (arXiv:1703.10593), after Johnson et al., 2016 (arXiv:1603.08155). CUT reads
features out of its first half (Park et al., 2020, arXiv:2007.15651), and halves and doubles by a filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d, ConvTranspose2d, downsample, upsample
from gansmith.networks.layers import squashed
from gansmith.networks.translating import Shapes, begin, mirrored, normed, other, padded


class Block(nn.Module):
    """x + N(W₂ ∗ ReLU(N(W₁ ∗ x))), with 3x3 convolutions that see the picture mirrored beyond its edges.

    Args:
        width: channels.
        norm: its kind.
    """

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.first, self.first_norm = Conv2d(width, width, 3, bias=norm == "none"), normed(norm, width)
        self.second, self.second_norm = Conv2d(width, width, 3, bias=norm == "none"), normed(norm, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        inner = F.relu(self.first_norm(self.first(mirrored(x, 1))))
        return x + self.second_norm(self.second(mirrored(inner, 1)))


class Generator(nn.Module):
    """Picture → picture of the same size, by residual blocks at a quarter of it.

    Args:
        shape: (C, H, W) of the input, sides from 8; other sizes can be translated too.
        beside: `b` is the output's shape; without it the output is like the input.
        width: channels at the full size; at a quarter there are four times as many.
        blocks: residual blocks; the papers have 6 for 128 pixels, and 9 for more.
        norm: `instance`, `batch` or `none`.
        filtered: halve and double by the filter [1, 3, 3, 1], as CUT does, instead of in strides.

    Attributes:
        feature_widths: channels of each of the `features`.
    """

    swapped = False

    def __init__(
        self,
        shape: Sequence[int],
        beside: Shapes | None = None,
        width: int = 64,
        blocks: int = 9,
        norm: str = "instance",
        filtered: bool = False,
    ) -> None:
        super().__init__()
        inputs, outputs = tuple(shape), other(shape, beside)
        if self.swapped:
            inputs, outputs = outputs, inputs
        if min(inputs[1:]) < 8 or blocks < 1:
            raise ValueError(f"translator takes images of 8 pixels a side or more, and a block or more, not {inputs}")
        self.filtered, plain = filtered, norm == "none"
        stride = 1 if filtered else 2
        widths = [width, 2 * width, 4 * width]
        self.first, self.first_norm = Conv2d(inputs[0], width, 7, bias=plain), normed(norm, width)
        self.down = nn.ModuleList(Conv2d(a, 2 * a, 3, stride, 1, bias=plain) for a in widths[:-1])
        self.down_norms = nn.ModuleList(normed(norm, 2 * a) for a in widths[:-1])
        self.blocks = nn.ModuleList(Block(widths[-1], norm) for _ in range(blocks))
        self.up = nn.ModuleList(
            Conv2d(2 * a, a, 3, 1, 1, bias=plain)
            if filtered
            else ConvTranspose2d(2 * a, a, 3, 2, 1, output_padding=1, bias=plain)
            for a in widths[-2::-1]
        )
        self.up_norms = nn.ModuleList(normed(norm, a) for a in widths[-2::-1])
        self.last = Conv2d(width, outputs[0], 7)
        self.read = tuple(sorted({0, min(4, blocks - 1)}))
        self.feature_widths = (inputs[0], *widths[1:], *[widths[-1]] * len(self.read))
        begin(self)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, C', H, W] in [-1, 1]."""
        return self.both(x)[0]

    def both(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The translation, and the `features` of x that it passes through."""
        features, inner = self._encoded(x, len(self.blocks))
        for convolution, norm in zip(self.up, self.up_norms, strict=True):
            inner = F.relu(norm(convolution(upsample(inner) if self.filtered else inner)))
        out = squashed(self.last(mirrored(inner, 3)))
        return out[:, :, : x.shape[2], : x.shape[3]], features

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What lies at five depths, [B, C, H', W'] each: the pixels, both halvings, the first and the fifth block."""
        return self._encoded(x, self.read[-1] + 1)[0]

    def _encoded(self, x: torch.Tensor, blocks: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        features = [x]
        # A multiple of 4 is halved without a rest; and 3 pixels are mirrored beyond each edge.
        x = F.relu(self.first_norm(self.first(mirrored(padded(x, 4), 3))))
        for convolution, norm in zip(self.down, self.down_norms, strict=True):
            halved = convolution(x)
            features.append(halved)
            x = F.relu(norm(halved))
            x = downsample(x) if self.filtered else x
        for i, block in enumerate(list(self.blocks)[:blocks]):
            x = block(x)
            if i in self.read:
                features.append(x)
        return features, x


class Back(Generator):
    """The same the other way: from `b` to the examples.

    Args:
        others: what `Generator` takes.
    """

    swapped = True

    def __init__(self, shape: Sequence[int], beside: Shapes | None = None, **others: Any) -> None:
        super().__init__(shape, beside, **others)
