"""Resizing by one matrix along each side, antialiased: as MATLAB's `imresize` does it.

The weights are those of a kernel that is widened by as much as the picture shrinks, and sum to one for each pixel
made; beyond the edges lies the picture's mirror image. (Older MATLABs repeated the last pixel instead: so Set5's small
halves were made that are in use everywhere.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch

Kernel = Callable[[torch.Tensor], torch.Tensor]


def _cubic(t: torch.Tensor) -> torch.Tensor:
    """Keys, 1981, a = −1/2."""
    t = t.abs()
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t <= 2, far, torch.zeros_like(t)))


def _linear(t: torch.Tensor) -> torch.Tensor:
    return (1 - t.abs()).clamp_min(0)


def _box(t: torch.Tensor) -> torch.Tensor:
    return ((t >= -0.5) & (t < 0.5)).to(t.dtype)


KERNELS: dict[str, tuple[Kernel, float]] = {
    "bicubic": (_cubic, 4.0),
    "bilinear": (_linear, 2.0),
    "area": (_box, 1.0),
}
"""Weights by distance in pixels, and how far they reach from one end to the other."""


@lru_cache(maxsize=256)
def matrix(inputs: int, outputs: int, method: str = "bicubic", edges: str = "mirror") -> torch.Tensor:
    """What takes `inputs` pixels in a row to `outputs`: float64 [outputs, inputs], rows sum to one.

    Args:
        inputs, outputs: pixels.
        method: `bicubic`, `bilinear` or `area`.
        edges: what lies beyond them: `mirror`, or `repeat` for the last pixel.
    """
    kernel, width = KERNELS[method]
    scale = outputs / inputs
    shrunk = min(scale, 1.0)
    width = width / shrunk
    # In MATLAB's own terms: pixels are counted from 1, and their centres lie on whole numbers.
    centre = torch.arange(1, outputs + 1, dtype=torch.float64) / scale + 0.5 * (1 - 1 / scale)
    left = (centre - width / 2).floor()
    places = left[:, None] + torch.arange(int(-(-width // 1)) + 2, dtype=torch.float64)
    weights = kernel(shrunk * (centre[:, None] - places))
    weights = weights / weights.sum(1, keepdim=True)
    index = places.long() - 1
    if edges == "mirror":
        index = index % (2 * inputs)
        index = torch.where(index < inputs, index, 2 * inputs - 1 - index)
    index = index.clamp(0, inputs - 1)
    return torch.zeros(outputs, inputs, dtype=torch.float64).scatter_add_(1, index, weights)


def resize(
    x: torch.Tensor, height: int, width: int, method: str = "bicubic", edges: str = "mirror", rounded: bool = False
) -> torch.Tensor:
    """The pictures at another size, in their own range (bicubic weights may leave it a little).

    Args:
        x: [B, C, H, W].
        height, width: wanted.
        method: `bicubic`, `bilinear` or `area`.
        edges: what lies beyond them: `mirror`, or `repeat` for the last pixel.
        rounded: to 8 bits after each side, the height first, as MATLAB does with 8-bit pictures; x in [-1, 1].
    """
    for axis, size in ((2, height), (3, width)):
        if x.shape[axis] != size:
            weights = matrix(x.shape[axis], size, method, edges).to(x)
            x = weights @ x if axis == 2 else x @ weights.T
            x = eight_bit(x) if rounded else x
    return x


def eight_bit(x: torch.Tensor) -> torch.Tensor:
    """Values in [-1, 1], rounded to those that 8 bits can hold (halves away from zero, as MATLAB does)."""
    return (x * 127.5 + 128).floor().clamp(0, 255) / 127.5 - 1
