"""How like two pictures in [-1, 1] are, one number for each example: what a game tells of examples held out.

As scores, with their cards and on 8-bit pictures, they are in `metrics/similarity.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

WINDOW, SIGMA = 11, 1.5


def absolute(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference as a share of black to white, in [0, 1]; [B, …] → [B]."""
    return 0.5 * (x - y).abs().flatten(1).mean(1)


def psnr(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Peak signal to noise, 10 log₁₀(2² / MSE) in decibels; [B, …] → [B]. Of equal pictures it is 120."""
    error = (x - y).square().flatten(1).mean(1)
    return 10 * (4 / error.clamp_min(4e-12)).log10()


def ssim(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Structural similarity, the mean over pixels and channels; [B, C, H, W] of 11 pixels a side or more → [B].

    With a Gaussian window of 11 pixels and deviation 1.5 that lies wholly in the picture, and K = (0.01, 0.03).
    Wang et al., 2004, Section III.B, IEEE TIP 13(4).
    """
    at = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    row = (-at.square() / (2 * SIGMA**2)).exp()
    row = row / row.sum()
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2

    def blurred(z: torch.Tensor) -> torch.Tensor:
        flat = z.reshape(-1, 1, *z.shape[2:])
        return F.conv2d(F.conv2d(flat, row.view(1, 1, -1, 1)), row.view(1, 1, 1, -1))

    x, y = x + 1, y + 1  # from 0, as the formula has it
    mx, my = blurred(x), blurred(y)
    vx, vy, both = blurred(x * x) - mx * mx, blurred(y * y) - my * my, blurred(x * y) - mx * my
    whole = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return whole.reshape(len(x), -1).mean(1)


def told(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """All three by name, clipped to [-1, 1] and in float64; without `ssim` where pictures are too small for it."""
    x, y = (z.clamp(-1, 1).double() for z in (x, y))
    found = {"l1": absolute(x, y), "psnr": psnr(x, y)}
    return {**found, "ssim": ssim(x, y)} if min(x.shape[2:]) >= WINDOW else found
