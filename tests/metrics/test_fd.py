"""The Fréchet distance's standard error, and its extrapolation, as measures."""

import numpy as np
import pytest
import torch

from gansmith.errors import Refused
from gansmith.metrics.fd import MEASURES, frechet_error
from gansmith.metrics.frechet import Gaussian, frechet_of, moments_of
from gansmith.metrics.measure import Materials, Side

FD, INFINITY = MEASURES


def gaussian(d, seed=0):
    root = np.random.RandomState(seed).randn(d, d) / np.sqrt(d)
    return root @ root.T + 0.1 * np.eye(d)


@pytest.mark.parametrize("rank", [6, 4])
def test_the_standard_error_is_that_of_many_draws(rank):
    d, n = 6, 800
    r = np.random.RandomState(1)
    cov = gaussian(d)
    if rank < d:  # a reference with dead dimensions, as after a ReLU
        cov[rank:], cov[:, rank:] = 0, 0
    reference = Gaussian(torch.zeros(d, dtype=torch.float64), torch.from_numpy(cov), 10_000)
    root, shift = np.linalg.cholesky(gaussian(d, seed=2)), np.r_[0.5, np.zeros(d - 1)]
    draws = [r.randn(n, d) @ root.T + shift for _ in range(400)]
    values = [frechet_of(moments_of(x), reference) for x in draws]
    errors = [frechet_error(x, reference) for x in draws[:50]]
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)  # 400 draws tell it to 3.5%
    assert np.std(errors) < 0.2 * np.mean(errors)


def test_the_standard_error_refuses():
    reference = Gaussian(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64), 10)
    with pytest.raises(Refused, match="2 dimensions"):
        frechet_error(np.zeros((5, 2)), reference)
    with pytest.raises(Refused, match="finite"):
        frechet_error(np.full((5, 3), np.nan), reference)


def test_the_measure_tells_no_error_of_too_few_samples():
    r = np.random.RandomState(0)
    real = Side(r.randn(3000, 16).astype(np.float32))
    many, few = (Side(r.randn(n, 16).astype(np.float32)) for n in (2000, 30))
    told = FD.compute(Materials(real, many))[""]
    assert told.value == pytest.approx(frechet_of(moments_of(many.features), real.moments))
    assert told.spread == pytest.approx(frechet_error(many.features, real.moments))
    assert FD.compute(Materials(real, few))[""].spread is None


def test_extrapolation_takes_the_finite_samples_share_away():
    r = np.random.RandomState(0)
    real, fake = (Side(r.randn(n, 16).astype(np.float32)) for n in (20_000, 4000))
    value = FD.compute(Materials(real, fake))[""].value
    told = INFINITY.compute(Materials(real, fake))[""]
    assert abs(told.value) < 0.3 * value
    assert 0 < told.spread < value
