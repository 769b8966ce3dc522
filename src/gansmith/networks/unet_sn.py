"""Real-ESRGAN's discriminator: a U-Net with spectral norm, which gives a logit for each pixel.

Wang et al., 2021, Section 3.3 (arXiv:2107.10833), after Schönfeld et al., 2020 (arXiv:2002.12655).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d, upsample
from gansmith.networks.layers import GAIN, SLOPE, Critic, SpectralConv2d, scaled

DOWNS = 3
"""How often the sides are halved, and doubled again."""


class Discriminator(Critic):
    """Image → a logit for each pixel, whose losses are averaged.

    Args:
        shape: (C, H, W); sides that eight divides.
        classes: none are told apart: 0.
        width: channels of the first convolution; eight times as many at the smallest size.
        skip: add what was there on the way down to what comes up.
    """

    def __init__(self, shape: Sequence[int], classes: int = 0, width: int = 64, skip: bool = True) -> None:
        super().__init__()
        if len(shape) != 3 or any(side % 2**DOWNS for side in shape[1:]):
            raise ValueError(f"unet_sn judges images whose sides {2**DOWNS} divides, not examples of {tuple(shape)}")
        if classes:
            raise ValueError("unet_sn knows no classes; write `conditional: false`")
        self.skip, self.size = skip, tuple(shape[1:])
        widths = [width * 2**i for i in range(DOWNS + 1)]
        self.first = scaled(Conv2d(shape[0], width, 3, padding=1), GAIN)
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList([SpectralConv2d(a, b, 4, 1, bias=False, stride=2) for a, b in pairs])
        self.ups = nn.ModuleList([SpectralConv2d(b, a, 3, 1, bias=False) for a, b in reversed(pairs)])
        self.ends = nn.ModuleList([SpectralConv2d(width, width, 3, 1, bias=False) for _ in range(2)])
        self.last = scaled(Conv2d(width, 1, 3, padding=1))
        self.feature_width = width * math.prod(self.size)

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F]: a vector at each pixel."""
        x = F.leaky_relu(self.first(data), SLOPE)
        held = []
        for down in self.downs:
            held.append(x)
            x = F.leaky_relu(down(x), SLOPE)
        for up in self.ups:
            x = F.leaky_relu(up(upsample(x)), SLOPE)
            x = x + held.pop() if self.skip else x
        for end in self.ends:
            x = F.leaky_relu(end(x), SLOPE)
        return x.flatten(1)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F] → [B, H · W]."""
        x = features.view(len(features), -1, *self.size).contiguous(memory_format=torch.channels_last)
        return self.last(x).flatten(1)
