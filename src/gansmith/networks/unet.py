"""pix2pix's U-Net: an encoder to a few pixels, a decoder back, and each level handed across (arXiv:1611.07004).

Isola et al., 2017, Appendix "Network architectures": 4x4 convolutions of stride 2, LeakyReLU of slope 0.2 on the
way down and ReLU on the way up, dropout in the innermost three levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d, ConvTranspose2d
from gansmith.networks.layers import SLOPE, Dropout, squashed
from gansmith.networks.translating import Shapes, begin, normed, other, padded

LEAST, MOST = 3, 8
"""Halvings: however much padding they take; and of 256 pixels, to one."""

SLACK = 1.25
"""How much longer padding may make a side, so that it can be halved once more."""


def depth_for(height: int, width: int) -> int:
    """How often pictures of a size are halved: to one pixel where the sides allow it, MOST times at most."""
    fits = [n for n in range(1, MOST + 1) if 2**n <= min(height, width)]
    little = [n for n in fits if all(side + -side % 2**n <= SLACK * side for side in (height, width))]
    return max(max(little), min(LEAST, max(fits)))


class Generator(nn.Module):
    """Picture → picture of the same size, by a U-Net.

    Args:
        shape: (C, H, W) of the input, sides from 8; other sizes can be translated too.
        beside: `b` is the output's shape; without it the output is like the input.
        width: channels after the first convolution; they double to eight times as many.
        depth: halvings; None halves to one pixel where that needs little padding, 8 times at most.
        norm: `instance`, `batch` or `none`.
        dropout: its probability in the innermost levels of full width, three at most; only in training.
        spared: innermost levels that it spares all the same: the paper's has none, and its authors' later code one.
    """

    swapped = False

    def __init__(
        self,
        shape: Sequence[int],
        beside: Shapes | None = None,
        width: int = 64,
        depth: int | None = None,
        norm: str = "instance",
        dropout: float = 0.5,
        spared: int = 0,
    ) -> None:
        super().__init__()
        inputs, outputs = tuple(shape), other(shape, beside)
        if self.swapped:
            inputs, outputs = outputs, inputs
        if min(inputs[1:]) < 8:
            raise ValueError(f"unet translates images of 8 pixels a side or more, not {inputs}")
        most = int(math.log2(min(inputs[1:])))
        if depth is not None and not 1 <= depth <= most:
            raise ValueError(f"depth: images of {inputs[1]}x{inputs[2]} can be halved 1 to {most} times, not {depth}")
        depth = depth_for(*inputs[1:]) if depth is None else depth
        widths = [width * min(2**i, 8) for i in range(depth)]
        self.multiple = 2**depth
        plain = norm == "none"
        self.down, self.down_norms = nn.ModuleList(), nn.ModuleList()
        for i, (a, b) in enumerate(zip([inputs[0], *widths], widths, strict=False)):
            # The outermost level has no norm; nor the innermost, which may be of one pixel.
            bare = i in (0, depth - 1)
            self.down.append(Conv2d(a, b, 4, 2, 1, bias=bare or plain))
            self.down_norms.append(nn.Identity() if bare else normed(norm, b, affine=True))
        self.up, self.up_norms, self.dropouts = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(1, depth)):
            given = widths[i] if i == depth - 1 else 2 * widths[i]
            self.up.append(ConvTranspose2d(given, widths[i - 1], 4, 2, 1, bias=plain))
            self.up_norms.append(normed(norm, widths[i - 1], affine=True))
            place = depth - 1 - i  # counted from the innermost
            drops = dropout and widths[i - 1] == 8 * width and spared <= place < spared + 3
            self.dropouts.append(Dropout(dropout) if drops else nn.Identity())
        self.last = ConvTranspose2d(widths[0] * (2 if depth > 1 else 1), outputs[0], 4, 2, 1)
        begin(self)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, C', H, W] in [-1, 1]."""
        height, width = x.shape[2:]
        x = padded(x, self.multiple)
        kept: list[torch.Tensor] = []
        for i, (convolution, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            x = norm(convolution(F.leaky_relu(x, SLOPE) if i else x))
            kept.append(x)
        kept.pop()
        for convolution, norm, dropout in zip(self.up, self.up_norms, self.dropouts, strict=True):
            x = dropout(norm(convolution(F.relu(x))))
            x = torch.cat([kept.pop(), x], 1)
        return squashed(self.last(F.relu(x)))[:, :, :height, :width]


class Back(Generator):
    """The same the other way: from `b` to the examples.

    Args:
        others: what `Generator` takes.
    """

    swapped = True

    def __init__(self, shape: Sequence[int], beside: Shapes | None = None, **others: Any) -> None:
        super().__init__(shape, beside, **others)
