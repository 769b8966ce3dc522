"""An image's bands of frequencies, each amplified by a number of its own.

Karras et al., 2020, Appendix B, image-space filtering (arXiv:2006.06676). Four bands: up to π/8, π/4, π/2 and π. The
halves are those of the wavelet sym2, whose autocorrelation is the low-pass L(z) = (−z⁻³ + 9z⁻¹ + 16 + 9z − z³) / 32;
H(z) = L(−z) is what it leaves, L + H = 1. So the bands H(z), L(z) H(z²), L(z) L(z²) H(z⁴) and L(z) L(z²) L(z⁴) add
up to 1, and equal gains are a multiple of the image.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

LOW = np.array([-1, 0, 9, 16, 9, 0, -1]) / 32
"""L(z)'s taps, from z⁻³ to z³."""
NUMBER = 4
"""Of bands."""


@lru_cache(maxsize=1)
def taps() -> NDArray[np.float64]:
    """The bands' filters [4, 43], from the lowest."""
    high = LOW * (-1.0) ** np.arange(1, 8)  # L(−z): every other sign, and the middle one stays
    found, before = [], np.ones(1)
    for level in range(NUMBER - 1):
        spread_low, spread_high = (_spread(each, 2**level) for each in (LOW, high))
        found.append(np.convolve(before, spread_high))
        before = np.convolve(before, spread_low)
    found.append(before)
    longest = len(before)
    return np.stack([np.pad(each, (longest - len(each)) // 2) for each in reversed(found)])


def _spread(filter: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    out = np.zeros((len(filter) - 1) * by + 1)
    out[::by] = filter
    return out


@lru_cache(maxsize=16)
def matrices(side: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """What each band's filter does to a row of so many pixels, which goes on as its own reflection: [4, side, side]."""
    filters = taps()
    half = filters.shape[1] // 2
    out = np.zeros((NUMBER, side, side))
    for at in range(side):
        for k in range(-half, half + 1):
            source = (at + k) % (2 * side)
            out[:, at, min(source, 2 * side - 1 - source)] += filters[:, half + k]
    return torch.as_tensor(out, dtype=dtype, device=device)


def filtered(x: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
    """Filter each image, along rows and along columns, by Σ gᵢ × the i-th band.

    Args:
        x: [B, C, H, W].
        gains: [B, 4], from the lowest band.

    Returns:
        [B, C, H, W]; linear in x, so differentiable without limit.
    """
    down, across = (
        torch.einsum("bi,iyx->byx", gains, matrices(side, x.dtype, x.device))[:, None] for side in x.shape[2:]
    )
    return down @ x @ across.mT
