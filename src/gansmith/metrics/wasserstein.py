"""Wasserstein distances, sliced and exact: of points, where a Gaussian fit would not see which modes are there."""

from __future__ import annotations

import numpy as np
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_features, as_pair
from gansmith.metrics.measure import Materials, Measure, Value

SLICES, MIND_SLICES = 128, 1024
"""Directions that the measures take."""

SPREAD = "standard error, the reference fixed"


def sliced_wasserstein(x: Features, y: Features, *, directions: int = SLICES, seed: int = 0) -> float:
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


def mind(x: Features, y: Features, *, directions: int = MIND_SLICES, seed: int = 0) -> float:
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


def sliced_error(x: Features, y: Features, *, directions: int = SLICES, seed: int = 0) -> float:
    """Estimate the standard error of E_θ W₂²(θ·x, θ·y), the set y held fixed.

    To first order it moves with each x by its influence, which is the mean over θ of Kantorovich's potential

        h_θ(t) = ∫ 2 (s − T_θ(s)) ds up to t,   T_θ the optimal map on θ

    so the error is h's standard deviation over √N (central limit: del Barrio and Loubes, 2019, arXiv:1705.01299;
    sliced: Manole et al., 2022, arXiv:1909.07862). What it leaves out is the bias, which falls with N.

    Args:
        x: points, [N, d].
        y: points, [M, d].
        directions: number of directions.
        seed: of the directions, for d above 2.

    Raises:
        Refused: not a finite [N, d] each, unlike d, or fewer than two points.
    """
    a, b = as_pair(x, y)
    if len(a) < 2:
        raise Refused(f"a standard error needs 2 points or more, not {len(a)}")
    return _sliced_with_error(a, b, directions, seed)[1]


def _alike(x: Features, y: Features, who: str) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = as_features(x, "x"), as_features(y, "y")
    if a.shape != b.shape:
        raise Refused(f"{who} needs two sets of one size, not {list(a.shape)} and {list(b.shape)}")
    return a, b


def _sliced(a: torch.Tensor, b: torch.Tensor, directions: int, seed: int) -> torch.Tensor:
    """The mean over directions of the squared distance of projections, which are paired in order."""
    theta = torch.from_numpy(_directions(a.shape[1], directions, seed)).T
    return _apart(_projected(a, theta), _projected(b, theta)).mean()


def _sliced_with_error(a: torch.Tensor, b: torch.Tensor, directions: int, seed: int) -> tuple[float, float]:
    """The same, and its standard error with b fixed."""
    means, influence = [], torch.zeros(len(a), dtype=torch.float64)
    theta = torch.from_numpy(_directions(a.shape[1], directions, seed)).T
    for part in theta.split(64):
        placed, other = part @ a.T, _projected(b, part)
        order = torch.from_numpy(np.argsort(placed.numpy(), 1))
        one = placed.gather(1, order)
        means.append(_apart(one, other))
        off = one - (other if len(a) == len(b) else _quantiles(other, len(a)))
        steps = (off[:, 1:] + off[:, :-1]) * one.diff(dim=1)  # of the integral, by trapezoids
        potential = torch.cat([steps.new_zeros(len(part), 1), steps.cumsum(1)], 1)
        influence += placed.scatter_(1, order, potential - potential.mean(1, keepdim=True)).sum(0)
    return float(torch.cat(means).mean()), float((influence / directions).std() / len(a) ** 0.5)


def _apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The mean squared distance of sorted projections, of each direction."""
    if one.shape != other.shape:
        number = max(one.shape[1], other.shape[1])
        one, other = _quantiles(one, number), _quantiles(other, number)
    return (one - other).square().mean(1)


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
    a, b = as_pair(fake[:n], real[:n])
    square, error = _sliced_with_error(a, b, SLICES, materials.seed)
    distance = square**0.5
    return {"": Value(distance, error / (2 * distance) if distance else 0.0, SPREAD)}


def _mind_of(materials: Materials) -> dict[str, Value]:
    a, b = as_pair(materials.fake.features, materials.real.features)
    square, error = _sliced_with_error(a, b, MIND_SLICES, materials.seed)
    return {"": Value(3 * a.shape[1] * square, 3 * a.shape[1] * error, SPREAD)}


MEASURES = (
    Measure("sw2", _sliced_of, "sliced 2-Wasserstein distance", settings={"directions": SLICES}),
    Measure("mind", _mind_of, "MIND: squared sliced distance, times 3d", settings={"directions": MIND_SLICES}),
)
