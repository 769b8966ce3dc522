"""The Fréchet distance as a measure: its standard error, and its value at infinitely many samples."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import (
    ROWS,
    Features,
    Gaussian,
    as_features,
    frechet_against,
    frechet_extrapolated,
    frechet_of,
    moments_of,
)
from gansmith.metrics.measure import Materials, Measure, Value

SIZES = 15
ROWS_A_DIMENSION = 2
"""Below so many samples a dimension the covariance is too uncertain for its own error to be told."""


def frechet_error(x: Features, reference: Gaussian) -> float:
    """Estimate the standard error of a Fréchet distance, the reference held fixed.

    To first order the distance moves with each sample by its influence

        h(x) = 2 (μ₁ − μ₂)·(x − μ₁) + (x − μ₁)ᵀ (I − T) (x − μ₁),   T = Aᵀ (A Σ₁ Aᵀ)^−½ A,   AᵀA = Σ₂

    (T is the optimal map from the one Gaussian to the other: Dowson and Landau, 1982; the error by influence:
    Hampel, 1974, JASA 69), so the error is h's standard deviation over √n. What it leaves out is the bias,
    of which the floor tells.

    Args:
        x: features of generated examples, [N, d].
        reference: mean and covariance of the real ones.

    Raises:
        Refused: not a finite [N, d], unlike d, or fewer than two vectors.
    """
    rows = as_features(x, "x", exact=False)
    own = moments_of(rows)
    if own.mean.shape != reference.mean.shape:
        raise Refused(f"x has {len(own.mean)} dimensions and the reference {len(reference.mean)}")
    root = _root(reference.cov)  # [r, d]
    values, vectors = torch.linalg.eigh(root @ own.cov @ root.T)
    kept = values > values.amax().clamp_min(0) * len(values) * torch.finfo(values.dtype).eps
    half = vectors[:, kept].T @ root / values[kept].pow(0.25)[:, None]  # T = halfᵀ half
    shift, found = 2 * (own.mean - reference.mean), []
    for at in range(0, len(rows), ROWS):
        centred = rows[at : at + ROWS].to(torch.float64) - own.mean
        found.append(centred @ shift + centred.square().sum(1) - (centred @ half.T).square().sum(1))
    influence = torch.cat(found)
    return float(influence.std() / len(influence) ** 0.5)


def _root(cov: torch.Tensor) -> torch.Tensor:
    lower, failed = torch.linalg.cholesky_ex(cov)
    if not bool(failed):
        return lower.T
    values, vectors = torch.linalg.eigh(cov)
    kept = values > values.amax().clamp_min(0) * len(values) * torch.finfo(values.dtype).eps
    return (vectors[:, kept] * values[kept].sqrt()).T


def _distance(materials: Materials) -> Mapping[str, Value]:
    fake, real = materials.fake, materials.real
    n, d = fake.features.shape
    if n <= d:
        return {"": Value(frechet_against(fake.features, real.moments))}
    value = frechet_of(fake.moments, real.moments)
    if n < ROWS_A_DIMENSION * d:
        return {"": Value(value)}
    return {"": Value(value, frechet_error(fake.features, real.moments), "standard error, the reference fixed")}


def _extrapolated(materials: Materials) -> Mapping[str, Value]:
    found = frechet_extrapolated(materials.fake.features, materials.real.moments, sizes=SIZES, seed=materials.seed)
    return {"": Value(found.value, found.error, f"misfit of the line through {SIZES} sizes, root mean square")}


MEASURES = (
    Measure(
        "fd", _distance, "Fréchet distance of Gaussians fitted to the features", draws=4,
        settings={"covariance": "unbiased"},
    ),
    Measure(
        "fd-infinity", _extrapolated, "Fréchet distance, extrapolated to infinitely many samples",
        least=500, rows_a_dimension=3, settings={"sizes": SIZES, "fit": "line against 1/N, least squares"}, slow=True,
    ),
)  # fmt: skip
