"""Moving pixels: exactly, by a permutation with reflection, or by an affine warp that differentiates without limit.

Sampling an image at points, y = S(p) x, is linear in x. So its derivative is the adjoint S(p)ᵀ, whose
derivative is S(p) again; torch's own grid_sample knows the first of them only.
"""

from __future__ import annotations

from typing import Any

import torch

from gansmith.draws import Draws

_BILINEAR, _REFLECTION = 0, 2


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(points)
        ctx.size = tuple(x.shape)
        return torch.ops.aten.grid_sampler_2d(x, points, _BILINEAR, _REFLECTION, False)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, None]:
        return _Scatter.apply(gradients[0], ctx.saved_tensors[0], ctx.size), None  # type: ignore[return-value]


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, points: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        ctx.save_for_backward(points)
        blank = y.new_zeros(size)  # the kernel reads its shape alone
        mask = [True, False]
        return torch.ops.aten.grid_sampler_2d_backward(y, blank, points, _BILINEAR, _REFLECTION, False, mask)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        return _Sample.apply(gradients[0], ctx.saved_tensors[0]), None, None  # type: ignore[return-value]


def sample(x: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The image x at points, bilinearly, reflected beyond its edges; differentiable in x without limit.

    Args:
        x: [B, C, H, W].
        points: [B, h, w, 2], (column, row) with the image's edges at -1 and 1; no gradient flows to them.

    Returns:
        [B, C, h, w].
    """
    return _Sample.apply(x, points.detach())  # type: ignore[return-value]


def warp(x: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """Move each image by an affine map, given by its inverse.

    Args:
        x: [B, C, H, W].
        back: [B, 2, 3], from an output pixel's (column, row, 1) to where it is read, in pixels from the middle.

    Returns:
        [B, C, H, W].
    """
    height, width = x.shape[2:]
    rows, columns = _centred(height, x.device).to(back.dtype) / 2, _centred(width, x.device).to(back.dtype) / 2
    of_column, of_row, offset = back[:, :, 0], back[:, :, 1], back[:, :, 2]
    points = []
    for axis, side in ((0, width), (1, height)):
        by_column = of_column[:, axis, None, None] * columns
        by_row = of_row[:, axis, None, None] * rows[:, None]
        points.append((by_column + by_row + offset[:, axis, None, None]) * (2 / side))
    return sample(x, torch.stack(points, -1).to(x.dtype))


def blit(x: torch.Tensor, flip: torch.Tensor, turns: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Mirror each image, turn it by right angles, and shift it by whole pixels, in this order and exactly.

    What comes in from beyond an edge is the image's reflection.

    Args:
        x: [B, C, H, W].
        flip: bool [B], left to right.
        turns: int64 [B], quarter turns, counter-clockwise on a screen; even ones only where H ≠ W.
        shift: int64 [B, 2], pixels to the right and down.

    Returns:
        [B, C, H, W].
    """
    count, channels, height, width = x.shape
    # Twice the distance from the middle is a whole number whatever the parity of the sides.
    column = (_centred(width, x.device) - 2 * shift[:, 0, None])[:, None, :]
    row = (_centred(height, x.device) - 2 * shift[:, 1, None])[:, :, None]
    turns = turns[:, None, None] % 4
    cos, sin = (turns == 0).long() - (turns == 2).long(), (turns == 1).long() - (turns == 3).long()
    column, row = cos * column - sin * row, sin * column + cos * row
    column = torch.where(flip[:, None, None], -column, column)
    source = _reflected((row + height - 1) // 2, height) * width + _reflected((column + width - 1) // 2, width)
    index = source.view(count, 1, -1).expand(count, channels, -1)
    return x.flatten(2).gather(2, index).view(x.shape)


def jitter(x: torch.Tensor, draws: Draws, shift: float, flip: bool = True) -> torch.Tensor:
    """Move each example a little, at random.

    Args:
        x: [B, …].
        draws: where the numbers come from.
        shift: how far an image [C, H, W] is shifted at most, as a share of its sides, to whole pixels; any other
            example has normal noise added, of this deviation.
        flip: mirror every other image.

    Returns:
        The same shape.
    """
    if x.dim() != 4:
        return x + shift * draws.normal("shift", *x.shape[1:]).to(x.dtype)
    most = [round(shift * side) for side in (x.shape[3], x.shape[2])]
    way = torch.stack([draws.integers(f"shift {i}", 2 * far + 1) - far for i, far in enumerate(most)], 1)
    mirrored = draws.uniform("flip") < (0.5 if flip else 0.0)
    return blit(x, mirrored, torch.zeros_like(way[:, 0]), way)


def _centred(side: int, device: torch.device) -> torch.Tensor:
    return torch.arange(1 - side, side, 2, device=device)


def _reflected(at: torch.Tensor, side: int) -> torch.Tensor:
    at = at % (2 * side)
    return torch.minimum(at, 2 * side - 1 - at)
