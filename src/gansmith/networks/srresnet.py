"""Super-resolution by residual blocks at the small size, and a pixel shuffle at the end.

Ledig et al., 2017 (SRGAN, arXiv:1609.04802), whose blocks have batch norm; and Lim et al., 2017 (EDSR,
arXiv:1707.02921), whose blocks do without it, which is better and cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import BatchNorm, scaled

SCALES = (2, 3, 4)
"""How many times larger a picture may be made."""


def check_scale(scale: int, shape: Sequence[int]) -> None:
    """Refuse a scale that is not offered, or that does not divide the examples' sides.

    Raises:
        ValueError: it is so.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be {', '.join(map(str, SCALES))}, not {scale}")
    if len(shape) != 3 or any(side % scale for side in shape[1:]):
        raise ValueError(f"scale {scale} does not divide examples of shape {tuple(shape)}")


def steps_of(scale: int) -> list[int]:
    """The factors by which a picture grows, one after the other."""
    return [2, 2] if scale == 4 else [scale]


class Shuffled(nn.Module):
    """A convolution, and its channels laid out as pixels (Shi et al., 2016, arXiv:1609.05158).

    Args:
        inputs, outputs: channels.
        scale: pixels of the outcome for one of the input, along each side.
        kernel: the convolution's side.
    """

    def __init__(self, inputs: int, outputs: int, scale: int, kernel: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.conv = scaled(Conv2d(inputs, outputs * scale**2, kernel, padding=kernel // 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, scale · H, scale · W]."""
        return F.pixel_shuffle(self.conv(x), self.scale)


class Enlarge(nn.Module):
    """Bicubic enlargement, k(t) of Keys (1981) with a = −1/2, as one fixed convolution and a pixel shuffle.

    The same numbers as MATLAB's but for two pixels at the edges, where the last one is repeated; and each pixel's own
    whatever picture it lies in, so that tiles agree to the bit.

    Args:
        scale: how many times larger.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        rows = []
        for i in range(scale):
            centre = (i + 0.5) / scale - 0.5
            rows.append([cubic(centre - tap) for tap in range(-2, 3)])
        taps = [[[a * b for b in rows[j]] for a in rows[i]] for i, j in product(range(scale), repeat=2)]
        self.register_buffer("taps", torch.tensor(taps)[:, None], persistent=False)
        self.taps: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C, scale · H, scale · W]."""
        single = F.pad(x, (2, 2, 2, 2), mode="replicate").flatten(0, 1)[:, None]
        large = F.pixel_shuffle(F.conv2d(single, self.taps.to(x.dtype)), self.scale)
        return large.view(*x.shape[:2], *large.shape[2:])


def cubic(t: float) -> float:
    """The kernel of bicubic interpolation at a distance of t pixels (Keys, 1981, a = −1/2)."""
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


class Block(nn.Module):
    """x + W₂ φ(W₁ x); published with batch norm after each convolution, and a slope that is learned.

    Args:
        width: channels.
        norm: as published.
    """

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.first = scaled(Conv2d(width, width, 3, padding=1, bias=not norm), math.sqrt(2))
        # Small at first, so that a stack of any depth begins near the identity.
        self.second = scaled(Conv2d(width, width, 3, padding=1, bias=not norm), 1.0 if norm else 0.1)
        self.norms = nn.ModuleList([BatchNorm(width), BatchNorm(width)]) if norm else None
        self.slope = nn.PReLU() if norm else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        if self.norms is None or self.slope is None:
            return x + self.second(F.relu(self.first(x), inplace=True))
        return x + self.norms[1](self.second(self.slope(self.norms[0](self.first(x)))))


class Generator(nn.Module):
    """Small picture → large picture.

    Args:
        shape: (C, H, W) of the large one; sides are free after the training.
        scale: how many times larger: 2, 3 or 4.
        width: channels.
        blocks: residual blocks.
        norm: batch norm and learned slopes, as SRResNet was published; otherwise blocks as in EDSR.
        kernel: side of the first and of the last convolution; 9 as published.
        direct: go from the small size to the large one in a single convolution, rather than by a wide one for each
            doubling: much cheaper, and as good in a small network.
        skip: add to the picture enlarged bicubically, so that only what that lacks is learned.

    Attributes:
        scale: as given.
        channels: of both pictures.
        reach: pixels of the small picture, each way, on which a pixel of the large one depends.
        breadth: numbers that its widest layer holds for each pixel of the small picture.
    """

    def __init__(
        self,
        shape: Sequence[int],
        scale: int = 4,
        width: int = 64,
        blocks: int = 16,
        norm: bool = False,
        kernel: int = 3,
        direct: bool = False,
        skip: bool = True,
    ) -> None:
        super().__init__()
        check_scale(scale, shape)
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {kernel}")
        self.scale, self.channels = scale, shape[0]
        self.first = scaled(Conv2d(shape[0], width, kernel, padding=kernel // 2), math.sqrt(2))
        self.slope = nn.PReLU() if norm else None
        self.blocks = nn.Sequential(*[Block(width, norm) for _ in range(blocks)])
        self.middle = scaled(Conv2d(width, width, 3, padding=1, bias=not norm))
        self.norm = BatchNorm(width) if norm else None
        steps = [] if direct else steps_of(scale)
        self.ups = nn.ModuleList([Shuffled(width, width, step) for step in steps])
        self.up_slopes = nn.ModuleList([nn.PReLU() for _ in steps if norm])
        gain = 0.1 if skip else 1.0
        if direct:
            self.last = Shuffled(width, shape[0], scale, kernel)
            scaled(self.last.conv, gain)
        else:
            self.last = scaled(Conv2d(width, shape[0], kernel, padding=kernel // 2), gain)
        self.enlarge = Enlarge(scale) if skip else None
        self.breadth = max(width, scale**2 * shape[0]) if direct else width * scale**2
        far, size = kernel // 2 + 2 * blocks + 1.0, 1
        for step in steps:
            far, size = far + 1 / size, size * step
        self.reach = max(math.ceil(far + kernel // 2 / size), 2)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C, scale · H, scale · W]."""
        x = self.first(data)
        x = F.relu(x) if self.slope is None else self.slope(x)
        inner = self.middle(self.blocks(x))
        x = x + (inner if self.norm is None else self.norm(inner))
        for i, up in enumerate(self.ups):
            x = up(x)
            x = self.up_slopes[i](x) if len(self.up_slopes) else F.relu(x)
        x = self.last(x)
        return x if self.enlarge is None else x + self.enlarge(data)
