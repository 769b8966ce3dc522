"""Compute the Fréchet distance between two sets of features, and what it comes to by chance alone.

Every FD of the field is this number in some feature space: FID in Inception's, FD-DINOv2 in DINOv2's.
Nothing here knows images; a distance is named by who made the features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.collectives import gather_each
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
        return self._join(len(rows), mean, gram(centred.T))

    def merge(self, other: Moments) -> Moments:
        """Take in all that another accumulator has seen; gives itself back."""
        return self._join(other.n, other._mean, other._scatter) if other.n else self

    def gather(self) -> Moments:
        """Merge the accumulators of all ranks, in their order: the same, to the bit, on each of them."""
        numbers = gather_each(torch.tensor([self.n]))
        whole = Moments()
        for n, mean, scatter in zip(numbers, gather_each(self._mean), gather_each(self._scatter), strict=True):
            if int(n):
                whole._join(int(n), mean, scatter)
        return whole

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


ROWS = 8192
"""Feature vectors turned into float64 at a time."""


def moments_of(features: Features) -> Gaussian:
    """Compute mean and covariance of feature vectors [N, d], by parts, so that no float64 copy of all is made.

    Raises:
        Refused: where they are not a finite [N, d], or fewer than two.
    """
    moments = Moments()
    for at in range(0, len(features), ROWS):
        moments.update(features[at : at + ROWS])
    return moments.compute()


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
    # By parts, for the check itself makes a copy.
    if not all(bool(torch.isfinite(part).all()) for part in rows.split(1024)):
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
    a set holds more vectors than dimensions, and of the centred features themselves where it does not, which
    is real and right whatever the rank.

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
    if len(a) > a.shape[1]:
        return frechet_against(b, Moments().update(a).compute())
    if len(b) > b.shape[1]:
        return frechet_against(a, Moments().update(b).compute())
    means = (a.mean(0) - b.mean(0)).square().sum()
    a, b = _roots_of_scatter(a), _roots_of_scatter(b)
    return _distance(means, a.square().sum() + b.square().sum(), _nuclear_norm(a @ b.T))


def frechet_against(x: Features, reference: Gaussian) -> float:
    """Compute the Fréchet distance of feature vectors from a Gaussian, such as that of many real examples.

    See `frechet_distance`. Of n vectors, no more than their dimensions d, it costs an eigen-solve of size n.

    Args:
        x: features, [N, d].
        reference: mean and covariance of the other side.

    Raises:
        Refused: not a finite [N, d], unlike d, or fewer than two vectors.
    """
    rows = as_features(x, "x")
    n, d = rows.shape
    if n > d or n < 2 or len(reference.mean) != d:
        return frechet_of(Moments().update(rows).compute(), reference)
    means = (rows.mean(0) - reference.mean).square().sum()
    rows = _roots_of_scatter(rows)
    lower = _cholesky(reference.cov)
    product = rows @ _factor(reference.cov).T if lower is None else _times_lower(rows, lower)
    return _distance(means, rows.square().sum() + reference.cov.trace(), _nuclear_norm(product))


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
    one, other = _by_variance(one, other)
    lower = _cholesky(one)
    if lower is None:
        return _nuclear_norm(_factor(one) @ _factor(other).T)

    def log_det() -> torch.Tensor | None:
        second = _cholesky(other)
        return None if second is None else 2 * (lower.diagonal() * second.diagonal()).log().sum()

    found = _sum_of_roots(_sandwich(lower, other), log_det)
    return _nuclear_norm(_factor(other) @ lower) if found is None else found


def _by_variance(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same covariances with the dimensions of most variance first, if unlike: small eigenvalues are then exact."""
    variances = one.diagonal() * other.diagonal()
    if float(variances.min()) > 1e-8 * float(variances.max()):
        return one, other
    order = variances.argsort(descending=True)
    return one[order][:, order], other[order][:, order]


SURE = 1e-9
"""Relative error of a sum of roots above which it is computed again, at several times the cost."""


def _sum_of_roots(matrix: torch.Tensor, log_det: Callable[[], torch.Tensor | None]) -> torch.Tensor | None:
    """Sum the roots of a symmetric matrix's eigenvalues; nothing where rounding may have spoilt it.

    Rounding moves an eigenvalue λ by some η, and its root by η / 2√λ. At worst η is eps times the largest λ,
    which is harmless unless many λ are near zero. Where the rows come in falling order, as after a Cholesky
    step, it is smaller by far. By how much, the product of all λ tells, which the Cholesky pivots give too:
    its logarithm is off by about η (Σ λ⁻²)^½. Ten times that η is held to be sure.
    """
    values = torch.linalg.eigvalsh(matrix)
    if not float(values[0]) > 0:
        return None
    shares = values / values[-1]
    roots = shares.sqrt()
    allowed = SURE * float(roots.sum()) / (float(roots.reciprocal().sum()) / 2)  # for η
    if torch.finfo(values.dtype).eps > allowed:
        known = log_det()
        off = math.inf if known is None else abs(float(values.log().sum() - known))
        # Beyond a tenth an eigenvalue may be all noise, and the first order no longer tells.
        if not off < 0.1 or 10 * off / float(shares.reciprocal().norm()) > allowed:
            return None
    return values.sqrt().sum()


COLUMNS = 256
"""Columns of a triangular product taken at a time: few waste little on zeros, many run at a core's full speed."""


def _cholesky(cov: torch.Tensor) -> torch.Tensor | None:
    """Find the lower L with LLᵀ the covariance; nothing where it is not definite.

    By columns, each part corrected for all before it in one product: at d = 2048 half the time of LAPACK's.
    """
    lower, width = torch.zeros_like(cov), COLUMNS // 2
    for at in range(0, len(cov), width):
        end = at + width
        part = cov[at:, at:end]
        if at:
            part = torch.addmm(part, lower[at:, :at], lower[at:end, :at].T, alpha=-1)
        corner, failed = torch.linalg.cholesky_ex(part[:width])
        if bool(failed):
            return None
        lower[at:end, at:end] = corner
        lower[end:, at:end] = torch.linalg.solve_triangular(corner.T, part[width:], upper=True, left=False)
    return lower


def _sandwich(lower: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
    """Lower triangle of LᵀSL, at half the products of two; above it stand leftovers."""
    out = torch.empty_like(middle)
    for at in range(0, len(middle), COLUMNS):
        end = at + COLUMNS
        out[at:, at:end] = middle[at:, at:] @ lower[at:, at:end]
        # No later part needs these rows of S L again.
        out[at:end, :end] = lower[at:, at:end].T @ out[at:, :end]
    return out


def _times_lower(rows: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
    """A L, without its products with zeros."""
    return torch.cat([rows[:, at:] @ lower[at:, at : at + COLUMNS] for at in range(0, len(lower), COLUMNS)], 1)


def gram(rows: torch.Tensor) -> torch.Tensor:
    """A Aᵀ, symmetric to the bit, of which half is computed."""
    out = rows.new_empty(len(rows), len(rows))
    for at in range(0, len(rows), 2 * COLUMNS):
        end = at + 2 * COLUMNS
        out[at:end, :end] = rows[at:end] @ rows[:end].T
        out[at:end, at:end] = _mirrored(out[at:end, at:end])
        out[:at, at:end] = out[at:end, :at].T
    return out


def _mirrored(square: torch.Tensor) -> torch.Tensor:
    """A square, its part above the diagonal made that below: not on every processor do products A Aᵀ come so."""
    return square.tril() + square.tril(-1).T


def _roots_of_scatter(x: torch.Tensor) -> torch.Tensor:
    """Find n − 1 rows A with AᵀA the covariance of n feature vectors.

    A Householder reflection takes the mean's direction, in which centred vectors are zero, to the first.
    """
    centred = x - x.mean(0)
    return (centred[1:] - centred[0] / (len(x) ** 0.5 + 1)) / (len(x) - 1) ** 0.5


def _distance(means: torch.Tensor, traces: torch.Tensor, cross: torch.Tensor) -> float:
    # Of equal sets the traces cancel to within rounding, which may fall on either side of zero.
    return max(float(means + traces - 2 * cross), 0.0)


def _factor(cov: torch.Tensor) -> torch.Tensor:
    """Find some A [r, d] with AᵀA the covariance: Cholesky's where it is definite, else of its eigenvectors."""
    lower = _cholesky(cov)
    if lower is not None:
        return lower.T
    values, vectors = torch.linalg.eigh(cov)
    kept = values > values.abs().max() * len(values) * torch.finfo(values.dtype).eps
    return (vectors[:, kept] * values[kept].sqrt()).T


def _nuclear_norm(product: torch.Tensor) -> torch.Tensor:
    """Sum of the singular values: of R's, where the matrix or its transpose is QR.

    By the roots of RRᵀ's eigenvalues, and where rounding would matter by R itself, at three times the cost.
    """
    if not product.numel():
        return product.new_zeros(())
    tall = product if len(product) >= product.shape[1] else product.T
    upper = torch.linalg.qr(tall, mode="r").R
    found = _sum_of_roots(upper @ upper.T, lambda: 2 * upper.diagonal().abs().log().sum())
    return torch.linalg.svdvals(upper).sum() if found is None else found


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
