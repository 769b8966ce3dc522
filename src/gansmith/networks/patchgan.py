"""pix2pix's and CycleGAN's PatchGAN: convolutions that judge each patch of a picture, 70 pixels a side.

Isola et al., 2017, Section 3.2.2 and appendix (arXiv:1611.07004); Zhu et al., 2017, Section 4 (arXiv:1703.10593).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import SLOPE
from gansmith.networks.translating import Shapes, begin, normed, other


class Discriminator(nn.Module):
    """Picture → a logit for each patch; a patch of 16, 34, 70 or 142 pixels a side with 1, 2, 3 or 4 `layers`.

    Args:
        shape: (C, H, W) of the examples, sides from 8; other sizes can be judged too.
        beside: `b` is the shape of what is judged; without it the examples are.
        conditional: it sees the examples beside what it judges, as further channels.
        width: channels after the first convolution; they double with each layer, to eight times as many.
        layers: convolutions of stride 2; fewer where pictures are small.
        norm: `instance`, `batch` or `none`; the first convolution has none.
        affine: instance norm has a scale and a shift.
    """

    swapped = False

    def __init__(
        self,
        shape: Sequence[int],
        beside: Shapes | None = None,
        conditional: bool = False,
        width: int = 64,
        layers: int = 3,
        norm: str = "instance",
        affine: bool = False,
    ) -> None:
        super().__init__()
        judged, given = other(shape, beside), tuple(shape)
        if self.swapped:
            judged, given = given, judged
        if min(judged[1:]) < 8 or layers < 1:
            raise ValueError(f"patchgan judges images of 8 pixels a side or more, by a layer or more, not {judged}")
        self.conditional = conditional
        # What is left must be 3 pixels a side or more, for two convolutions of stride 1.
        number = min(layers, int(math.log2(min(judged[1:]) / 3)) if min(judged[1:]) >= 12 else 1)
        widths = [width * min(2**i, 8) for i in range(number + 1)]
        inputs = [judged[0] + (given[0] if conditional else 0), *widths[:-1]]
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for i, (a, b) in enumerate(zip(inputs, widths, strict=True)):
            first = i == 0
            # A norm takes any bias away again, unless it is a norm of nothing.
            self.convolutions.append(Conv2d(a, b, 4, 1 if i == number else 2, 1, bias=first or norm == "none"))
            self.norms.append(nn.Identity() if first else normed(norm, b, affine))
        self.last = Conv2d(widths[-1], 1, 4, 1, 1)
        begin(self)

    def forward(self, data: torch.Tensor, given: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W], and what it is conditional on, [B, C', H, W] → logits [B, P] of P patches."""
        if self.conditional:
            if given is None:
                raise ValueError("a conditional patchgan must be shown the input too")
            data = torch.cat([given.to(data.dtype), data], 1)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            data = F.leaky_relu(norm(convolution(data)), SLOPE)
        return self.last(data).flatten(1)


class BackDiscriminator(Discriminator):
    """The same for the other way: it judges examples, conditional on `b`.

    Args:
        others: what `Discriminator` takes.
    """

    swapped = True

    def __init__(self, shape: Sequence[int], beside: Shapes | None = None, **others: Any) -> None:
        super().__init__(shape, beside, **others)
