"""Compute the Fréchet distance between two sets of features, and what it comes to by chance alone.

Every FD of the field is this number in some feature space: FID in Inception's, FD-DINOv2 in DINOv2's.
Nothing here knows images; a distance is named by who made the features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.errors import Refused

Features = NDArray[np.floating] | torch.Tensor
"""Feature vectors, [N, d]."""


class Gaussian(NamedTuple):
    """Mean [d] and unbiased covariance [d, d] of n feature vectors, float64."""

    mean: torch.Tensor
    cov: torch.Tensor
    n: int


class Moments:
    """Mean and covariance of feature vectors that come in parts, in float64.

    Parts are joined by the update of Chan, Golub and LeVeque (1979), which works on centred sums and so
    loses nothing to cancellation; two accumulators (of two ranks, say) merge into that of all their rows.
    """

    def __init__(self) -> None:
        self.n = 0
        self._mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, features: Features) -> Moments:
        """Take in more feature vectors, [N, d]; gives itself back.

        Raises:
            Refused: where they are not a finite [N, d], or have another d than those before.
        """
        rows = as_features(features)
        mean = rows.mean(0)
        centred = rows - mean
        return self._join(len(rows), mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """Take in all that another accumulator has seen; gives itself back."""
        return self._join(other.n, other._mean, other._scatter) if other.n else self

    def _join(self, n: int, mean: torch.Tensor, scatter: torch.Tensor) -> Moments:
        if self.n == 0:
            self.n, self._mean, self._scatter = n, mean.clone(), scatter.clone()
            return self
        if mean.shape != self._mean.shape:
            raise Refused(f"features of {len(mean)} dimensions, but those before had {len(self._mean)}")
        total = self.n + n
        shift = mean - self._mean
        self._scatter = self._scatter + scatter + torch.outer(shift, shift) * (self.n * n / total)
        self._mean = self._mean + shift * (n / total)
        self.n = total
        return self

    def compute(self) -> Gaussian:
        """Give the mean, the unbiased covariance (divisor n − 1) and n.

        Raises:
            Refused: where fewer than two vectors were seen.
        """
        if self.n < 2:
            raise Refused(f"a covariance needs at least 2 samples, not {self.n}")
        return Gaussian(self._mean.clone(), self._scatter / (self.n - 1), self.n)


def as_features(features: Features, name: str = "features", *, exact: bool = True) -> torch.Tensor:
    """Turn features into a float64 tensor [N, d]; where it need not be exact, float32 ones stay float32.

    Raises:
        Refused: where they are not a finite, non-empty [N, d].
    """
    if not isinstance(features, torch.Tensor):
        single = not exact and np.asarray(features).dtype == np.float32
        features = torch.from_numpy(np.require(features, np.float32 if single else np.float64, ["C", "W"]))
    if features.ndim != 2 or 0 in features.shape:
        raise Refused(f"{name}: expected an array [N, d], not {list(features.shape)}")
    rows = features.detach()
    if exact or rows.dtype != torch.float32:
        rows = rows.to(torch.float64)
    if not bool(torch.isfinite(rows).all()):
        raise Refused(f"{name}: some are not finite (NaN or infinity)")
    return rows


def as_pair(
    x: Features, y: Features, one: str = "x", other: str = "y", *, exact: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn two sets of features into tensors [N, d] and [M, d], as `as_features` does.

    Raises:
        Refused: where they are not finite, non-empty and of one d.
    """
    a, b = as_features(x, one, exact=exact), as_features(y, other, exact=exact)
    if a.shape[1] != b.shape[1]:
        raise Refused(f"{one} has {a.shape[1]} dimensions and {other} has {b.shape[1]}")
    return a, b


def frechet_distance(x: Features, y: Features) -> float:
    """Compute the Fréchet distance between two sets of feature vectors, each taken as a Gaussian.

        FD = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁ Σ₂)^½

    (Dowson and Landau, 1982; Heusel et al., 2017, arXiv:1706.08500), with unbiased covariances. The last
    trace is the nuclear norm of A Bᵀ for any A, B with Σ₁ = AᵀA and Σ₂ = BᵀB: of the Cholesky factors where
    both sets hold more vectors than dimensions, and of the centred features themselves where one does not,
    which is real and right whatever the rank.

    Args:
        x: features of one set, [N, d].
        y: features of the other, [M, d].

    Returns:
        The squared distance, in the features' units squared; not negative.

    Raises:
        Refused: not a finite [N, d] each, unlike d, or fewer than two vectors.
    """
    a, b = as_pair(x, y)
    if min(len(a), len(b)) < 2:
        raise Refused(f"a covariance needs at least 2 samples, not {min(len(a), len(b))}")
    if min(len(a), len(b)) > a.shape[1]:
        return frechet_of(Moments().update(a).compute(), Moments().update(b).compute())
    means = (a.mean(0) - b.mean(0)).square().sum()
    a = (a - a.mean(0)) / (len(a) - 1) ** 0.5
    b = (b - b.mean(0)) / (len(b) - 1) ** 0.5
    return _distance(means, a.square().sum() + b.square().sum(), _nuclear_norm(a, b))


def frechet_of(x: Gaussian, y: Gaussian) -> float:
    """Compute the Fréchet distance between two Gaussians, by their means and covariances.

    See `frechet_distance`, which takes the features themselves.

    Raises:
        Refused: where they have unlike dimensions.
    """
    if x.mean.shape != y.mean.shape:
        raise Refused(f"one side has {len(x.mean)} dimensions and the other {len(y.mean)}")
    means = (x.mean - y.mean).square().sum()
    return _distance(means, x.cov.trace() + y.cov.trace(), _trace_of_root(x.cov, y.cov))


class Extrapolated(NamedTuple):
    """A distance at infinitely many samples, the slope against 1/N, and the fit's root mean square error."""

    value: float
    slope: float
    error: float


def frechet_extrapolated(
    x: Features, reference: Gaussian, *, sizes: int = 15, least: int | None = None, seed: int = 0
) -> Extrapolated:
    """Extrapolate the Fréchet distance to infinitely many samples: a line is fitted to FD(N) against 1/N.

    Chong and Forsyth, 2020, Section 3.1 (arXiv:1911.07023): a finite sample's distance is too large by about
    a constant over N. The reference's own finite size is not extrapolated away.

    Args:
        x: features of generated examples, [N, d].
        reference: mean and covariance of the real ones.
        sizes: numbers of samples at which the distance is taken, evenly spaced up to N.
        least: the smallest of them; a tenth of N, and more than twice d, unless given.
        seed: of the subsets, which are drawn anew for each size.

    Raises:
        Refused: not a finite [N, d], unlike d, or too few vectors for so many sizes.
    """
    rows = as_features(x, "x")
    n, d = rows.shape
    smallest = max(n // 10, 2 * d + 1) if least is None else least
    if not 2 <= smallest < n or n - smallest < sizes:
        raise Refused(f"{sizes} sizes from {smallest} need more than {smallest + sizes} samples, not {n}")
    numbers = np.linspace(smallest, n, sizes).astype(int)
    draw = np.random.Generator(np.random.PCG64(seed))
    taken = [rows[draw.choice(n, number, replace=False)] for number in numbers]
    found = np.array([frechet_of(Moments().update(part).compute(), reference) for part in taken])
    slope, value = np.polyfit(1 / numbers, found, 1)
    misfit = found - (value + slope / numbers)
    return Extrapolated(float(value), float(slope), float(np.sqrt((misfit**2).mean())))


def _trace_of_root(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Trace of (Σ₁ Σ₂)^½: of the roots of LᵀΣ₂L's eigenvalues, where Σ₁ = LLᵀ."""
    lower, failed = torch.linalg.cholesky_ex(one)
    if not bool(failed):
        values = torch.linalg.eigvalsh(lower.T @ other @ lower).clamp_min(0)
        roots = values.sqrt()
        # Rounding moves an eigenvalue by eps·max and its root by that over twice the root: harmless, unless
        # some are near zero. Singular values of the factors have no root to take, at three times the cost.
        doubt = torch.finfo(values.dtype).eps * values.max() / (2 * roots)
        if float(doubt.sum()) < 1e-11 * float(roots.sum()):
            return roots.sum()
    return _nuclear_norm(_factor(one), _factor(other))


def _distance(means: torch.Tensor, traces: torch.Tensor, cross: torch.Tensor) -> float:
    # Of equal sets the traces cancel to within rounding, which may fall on either side of zero.
    return max(float(means + traces - 2 * cross), 0.0)


def _factor(cov: torch.Tensor) -> torch.Tensor:
    """Find some A [r, d] with AᵀA the covariance: Cholesky's where it is definite, else of its eigenvectors."""
    lower, failed = torch.linalg.cholesky_ex(cov)
    if not bool(failed):
        return lower.T
    values, vectors = torch.linalg.eigh(cov)
    kept = values > values.abs().max() * len(values) * torch.finfo(values.dtype).eps
    return (vectors[:, kept] * values[kept].sqrt()).T


def _nuclear_norm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    product = a @ b.T
    return torch.linalg.svdvals(product).sum() if product.numel() else product.new_zeros(())


def floor(cov: Features, n: int, m: int | None = None) -> float:
    """Compute the Fréchet distance that two finite draws from one Gaussian have on average: the floor of any score.

        E[FD] ≈ (1/n + 1/m) · [Σᵢ λᵢ + Σᵢⱼ λᵢ λⱼ (1 + δᵢⱼ) / (2 (λᵢ + λⱼ))]

    to first order in 1/n, where λ are the covariance's eigenvalues; 2d/n + d(d+1)/2n for the identity and
    n = m. The first sum is the means' share, the second the covariances'.

    Args:
        cov: covariance of the features, [d, d].
        n: number of samples on one side.
        m: number on the other; as many as n unless given.

    Returns:
        The floor, in the features' units squared.

    Raises:
        Refused: where the covariance is not a square matrix, or a count is below 1.
    """
    matrix = as_features(cov, "cov")
    other = n if m is None else m
    if matrix.shape[0] != matrix.shape[1] or min(n, other) < 1:
        raise Refused(
            f"a floor needs a square covariance and counts of 1 or more, not {list(matrix.shape)}, {n}, {other}"
        )
    values = torch.linalg.eigvalsh(matrix).clamp_min(0)
    values = values[values > 0]
    pairs = values[:, None] * values[None, :] / (2 * (values[:, None] + values[None, :]))
    return float((1 / n + 1 / other) * (values.sum() + pairs.sum() + pairs.diagonal().sum()))
