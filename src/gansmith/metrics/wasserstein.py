"""The sliced Wasserstein distance: of raw points, where a Gaussian fit would not see which modes are there."""

from __future__ import annotations

import numpy as np
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_features


def sliced_wasserstein(x: Features, y: Features, *, directions: int = 128, seed: int = 0) -> float:
    """Compute the sliced 2-Wasserstein distance between two equally large sets.

        SW₂ = (E_θ W₂²(θ·x, θ·y))^½,   θ uniform on the sphere

    (Rabin et al., 2011; Bonneel et al., 2015), over a fixed number of seeded directions; on one direction the
    optimal plan pairs the sorted projections. In two dimensions the directions are spread evenly instead.

    Args:
        x: points, [N, d].
        y: points, [N, d].
        directions: number of directions.
        seed: of the directions, for d above 2.

    Returns:
        The distance, in the points' units.

    Raises:
        Refused: not a finite [N, d] each, or unlike N or d.
    """
    a, b = as_features(x, "x"), as_features(y, "y")
    if a.shape != b.shape:
        raise Refused(f"sliced Wasserstein needs two sets of one size, not {list(a.shape)} and {list(b.shape)}")
    theta = torch.from_numpy(_directions(a.shape[1], directions, seed))
    gaps = (a @ theta).sort(0).values - (b @ theta).sort(0).values
    return float(gaps.square().mean().sqrt())


def _directions(d: int, count: int, seed: int) -> np.ndarray:
    if d == 2:
        angles = np.arange(count) * (np.pi / count)
        return np.stack([np.cos(angles), np.sin(angles)])
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal((d, count))
    return drawn / np.linalg.norm(drawn, axis=0)
