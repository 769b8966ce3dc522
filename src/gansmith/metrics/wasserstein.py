"""Wasserstein distances, sliced and exact: of points, where a Gaussian fit would not see which modes are there."""

from __future__ import annotations

import numpy as np
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_features, as_pair
from gansmith.metrics.measure import Materials, Measure, Value


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
    a, b = _alike(x, y, "sliced Wasserstein")
    return float(_sliced(a, b, directions, seed).sqrt())


def wasserstein_distance(x: Features, y: Features) -> float:
    """Compute the exact 2-Wasserstein distance of two equally large sets, by an optimal assignment.

        W₂ = (min_π 1/N Σᵢ |xᵢ − y_π(i)|²)^½

    Memory grows as N², and time as N³ at worst.

    Args:
        x: points, [N, d].
        y: points, [N, d].

    Raises:
        Refused: not a finite [N, d] each, or unlike N or d.
    """
    a, b = _alike(x, y, "an assignment")
    from scipy.optimize import linear_sum_assignment  # slow to import

    costs = (a[:, None] - b[None]).square().sum(2).numpy()
    rows, columns = linear_sum_assignment(costs)
    return float(np.sqrt(costs[rows, columns].mean()))


def mind(x: Features, y: Features, *, directions: int = 1024, seed: int = 0) -> float:
    """Compute MIND (in Inception's features: the Monge Inception Distance), the scaled sliced distance, squared.

        MIND = 3 d · E_θ W₂²(θ·x, θ·y)

    Berthet et al., 2026 (arXiv:2605.06797). For a shift of μ in each coordinate it is 3 d μ². Of sets of
    unlike size, the projections' quantiles are compared.

    Args:
        x: features, [N, d].
        y: features, [M, d].
        directions: number of directions.
        seed: of the directions.

    Raises:
        Refused: not a finite [N, d] each, or unlike d.
    """
    a, b = as_pair(x, y)
    return float(3 * a.shape[1] * _sliced(a, b, directions, seed))


def _alike(x: Features, y: Features, who: str) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = as_features(x, "x"), as_features(y, "y")
    if a.shape != b.shape:
        raise Refused(f"{who} needs two sets of one size, not {list(a.shape)} and {list(b.shape)}")
    return a, b


def _sliced(a: torch.Tensor, b: torch.Tensor, directions: int, seed: int) -> torch.Tensor:
    """The mean over directions of the squared distance of projections, which are paired in order."""
    theta = torch.from_numpy(_directions(a.shape[1], directions, seed)).T
    one, other = _projected(a, theta), _projected(b, theta)
    if len(a) != len(b):
        number = max(len(a), len(b))
        one, other = _quantiles(one, number), _quantiles(other, number)
    return (one - other).square().mean()


def _projected(rows: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Projections [directions, N] in rising order. NumPy sorts values alone, which is faster than torch's pairs."""
    found = (theta @ rows.T).numpy()
    found.sort(1)
    return torch.from_numpy(found)


def _quantiles(ordered: torch.Tensor, number: int) -> torch.Tensor:
    """Values of sorted rows at the middles of so many equal shares, between neighbours linearly."""
    size = ordered.shape[1]
    at = ((torch.arange(number, dtype=torch.float64) + 0.5) / number * size - 0.5).clamp(0, size - 1)
    low = at.floor().long()
    return torch.lerp(ordered[:, low], ordered[:, (low + 1).clamp_max(size - 1)], at - low)


def _directions(d: int, count: int, seed: int) -> np.ndarray:
    if d == 2:
        angles = np.arange(count) * (np.pi / count)
        return np.stack([np.cos(angles), np.sin(angles)])
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal((d, count))
    return drawn / np.linalg.norm(drawn, axis=0)


def _sliced_of(materials: Materials) -> dict[str, Value]:
    real, fake = materials.real.features, materials.fake.features
    n = min(len(real), len(fake))
    return {"": Value(sliced_wasserstein(fake[:n], real[:n], seed=materials.seed))}


def _mind_of(materials: Materials) -> dict[str, Value]:
    return {"": Value(mind(materials.fake.features, materials.real.features, seed=materials.seed))}


MEASURES = (
    Measure("sw2", _sliced_of, "sliced 2-Wasserstein distance", settings={"directions": 128}),
    Measure("mind", _mind_of, "MIND: squared sliced distance, times 3d", settings={"directions": 1024}),
)
