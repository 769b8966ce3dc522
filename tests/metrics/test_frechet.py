"""Fréchet distances against closed forms and another formula; accumulators; the floor by simulation."""

import numpy as np
import pytest
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import (
    Gaussian,
    Moments,
    floor,
    frechet_against,
    frechet_distance,
    frechet_extrapolated,
    frechet_of,
    gram,
)


def by_eigenvalues(x, y):
    """The same distance by numpy: the product's eigenvalues, which for two covariances are real and >= 0."""
    a, b = np.cov(x.T), np.cov(y.T)
    roots = np.sqrt(np.clip(np.linalg.eigvals(a @ b).real, 0, None)).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * roots


def test_golden_value():
    r = np.random.RandomState(0)
    x = r.randn(500, 16)
    y = r.randn(500, 16) + 0.5
    assert frechet_distance(x, y) == pytest.approx(4.448493222439, abs=5e-13)
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == frechet_distance(x, y)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 16), (300, 10, 16), (9, 300, 16), (8, 12, 16)])
def test_agrees_with_the_eigenvalues_of_the_product(n, m, d):
    r = np.random.RandomState(1)
    x = r.randn(n, d) @ r.randn(d, d)
    y = r.randn(m, d) @ r.randn(d, d) + r.randn(d)
    assert frechet_distance(x, y) == pytest.approx(by_eigenvalues(x, y), rel=1e-6)


def test_commuting_covariances_have_a_closed_form():
    values, others = torch.tensor([4.0, 1.0, 9.0]).double(), torch.tensor([1.0, 1.0, 25.0]).double()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()).Q
    x = Gaussian(torch.tensor([1.0, 0, 0]).double(), turn @ values.diag() @ turn.T, 100)
    y = Gaussian(torch.tensor([0.0, 2, 0]).double(), turn @ others.diag() @ turn.T, 100)
    assert frechet_of(x, y) == pytest.approx(5 + 1 + 0 + 4, abs=1e-12)


def test_two_draws_of_a_normal():
    r = np.random.RandomState(2)
    assert frechet_distance(r.randn(200, 64), r.randn(200, 64)) == pytest.approx(11.3, rel=0.1)
    assert frechet_distance(r.randn(5000, 64), r.randn(5000, 64)) == pytest.approx(0.44, rel=0.1)


@pytest.mark.parametrize("n", [4, 100])
def test_rank_deficient_input(n):
    r = np.random.RandomState(3)
    x = r.randn(n, 4)
    x[:, 2] = x[:, 1]
    x[:, 3] = 7.0
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x, x + 1) == pytest.approx(4, rel=1e-9)
    assert frechet_distance(x, 2 * x) == pytest.approx(np.trace(np.cov(x.T)) + (x.mean(0) ** 2).sum(), rel=1e-9)


def test_near_singular_covariances_lose_no_digits():
    # Roots of eigenvalues near zero would be wrong by 1e-8 of the largest: hundreds of them must not add up.
    r = np.random.RandomState(4)
    scale = np.logspace(0, -9, 200)
    x = r.randn(1000, 200) * scale
    assert frechet_distance(x, 3 * x) == pytest.approx(4 * (np.trace(np.cov(x.T)) + (x.mean(0) ** 2).sum()), rel=1e-11)


def falling(n, d, seed, order=None):
    """Features whose variances fall as a power to 1e-8 of the largest, in a turned basis unless an order is given."""
    r = np.random.RandomState(seed)
    x = r.randn(n, d) * np.arange(1, d + 1) ** (-4 / np.log10(d)) * (1 + 0.3 * r.rand(d))
    return x @ np.linalg.qr(np.random.RandomState(99).randn(d, d))[0] if order is None else x[:, order]


def by_singular_values(x, y):
    """The same distance from the features alone, by numpy's SVD: no covariance, no root of an eigenvalue."""
    a, b = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (x, y))
    a, b = np.linalg.qr(a)[1], np.linalg.qr(b)[1]
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * cross


@pytest.mark.parametrize("order", ["turned", "falling", "rising", "shuffled"])
@pytest.mark.parametrize("n", [1500, 320, 200])
def test_ill_conditioned_covariances_are_exact_without_a_singular_value(monkeypatch, n, order):
    d = 300  # the condition number is 1e8; with 320 rows, and 200 fewer than dimensions, far above
    orders = {
        "falling": np.arange(d),
        "rising": np.arange(d)[::-1],
        "shuffled": np.random.RandomState(3).permutation(d),
    }
    x, y = falling(n, d, 1, orders.get(order)), falling(2 * d if n < d else n, d, 2, orders.get(order))
    expected = by_singular_values(x, y)

    def refuse(matrix):
        raise AssertionError("singular values were needed")

    monkeypatch.setattr(torch.linalg, "svdvals", refuse)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rank", [40, 100])
def test_covariances_of_low_rank_fall_back_and_are_exact(rank):
    r = np.random.RandomState(8)
    low = r.randn(rank, 150)
    x, y = r.randn(400, rank) @ low, r.randn(400, rank) * 1.5 @ low
    assert frechet_distance(x, y) == pytest.approx(by_singular_values(x, y), rel=1e-9)
    assert frechet_distance(x, r.randn(60, rank) @ low) >= 0
    whole = r.randn(400, 150)
    assert frechet_distance(x, whole) == pytest.approx(by_singular_values(x, whole), rel=1e-9)
    assert frechet_distance(whole, x) == pytest.approx(by_singular_values(x, whole), rel=1e-9)


@pytest.mark.parametrize("n", [2, 30, 299, 300, 301, 900])
def test_features_against_a_gaussian(n):
    x, y = falling(n, 300, 3), falling(1200, 300, 4) + 0.1
    reference = Moments().update(y).compute()
    assert frechet_against(x, reference) == pytest.approx(by_singular_values(x, y), rel=1e-9)
    assert frechet_against(torch.from_numpy(x), reference) == frechet_against(x, reference)


def test_features_against_a_gaussian_of_fewer_dimensions_are_refused():
    reference = Moments().update(np.random.RandomState(0).randn(50, 8)).compute()
    with pytest.raises(Refused, match="9 dimensions and the other 8"):
        frechet_against(np.zeros((5, 9)), reference)
    with pytest.raises(Refused, match="at least 2 samples"):
        frechet_against(np.zeros((1, 8)), reference)


@pytest.mark.parametrize("n", [5, 512, 700])
def test_a_gram_matrix_is_symmetric_to_the_bit(n):
    x = torch.randn(n, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(gram(x), x @ x.T)
    assert torch.equal(gram(x), gram(x).T)


def test_both_forms_agree():
    r = np.random.RandomState(5)
    x, y = r.randn(40, 30), r.randn(50, 30) * 1.5
    by_moments = frechet_of(Moments().update(x).compute(), Moments().update(y).compute())
    wide = np.zeros((40, 60))
    wide[:, :30] = x
    padded = np.zeros((50, 60))
    padded[:, :30] = y
    assert frechet_distance(wide, padded) == pytest.approx(by_moments, rel=1e-11)


def test_moments_in_parts_and_merged():
    r = np.random.RandomState(6)
    x = r.randn(500, 8) + 1e6
    whole, parts, left, right = Moments().update(x), Moments(), Moments(), Moments()
    for part in np.split(x, [3, 10, 400]):
        parts.update(part)
    left.update(x[:123])
    right.update(x[123:])
    for moments in (whole, parts, left.merge(right), Moments().merge(whole), whole.merge(Moments())):
        mean, cov, n = moments.compute()
        assert n == 500
        np.testing.assert_allclose(mean, x.mean(0), rtol=1e-14)
        np.testing.assert_allclose(cov, np.cov(x.T), atol=1e-8)


def test_floor_of_the_identity():
    assert floor(np.eye(64), 200) == pytest.approx(2 * 64 / 200 + 64 * 65 / 400)
    assert floor(np.eye(64), 200, 400) == pytest.approx((3 / 4) * floor(np.eye(64), 200))


def test_floor_by_simulation():
    r = np.random.RandomState(7)
    scale = np.array([3.0, 1, 1, 0.5, 0.1, 0])
    drawn = [frechet_distance(r.randn(400, 6) * scale, r.randn(300, 6) * scale) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(floor(np.diag(scale**2), 400, 300), rel=0.05)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.zeros((5, 3)), np.zeros((5, 4)), "3 dimensions and y has 4"),
        (np.zeros((1, 3)), np.zeros((5, 3)), "at least 2 samples"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "not finite"),
        (np.zeros((5, 3)), np.zeros(5), "expected an array"),
        (np.zeros((0, 3)), np.zeros((5, 3)), "expected an array"),
    ],
)
def test_refuses(x, y, says):
    with pytest.raises(Refused, match=says):
        frechet_distance(x, y)


def test_accumulators_refuse():
    with pytest.raises(Refused, match="at least 2"):
        Moments().compute()
    with pytest.raises(Refused, match="4 dimensions"):
        Moments().update(np.zeros((2, 3))).update(np.zeros((2, 4)))
    with pytest.raises(Refused, match="square"):
        floor(np.zeros((2, 3)), 5)


def test_extrapolation_takes_the_finite_sample_away():
    # Of the law itself the distance at N is all floor, and at infinitely many samples it is 0.
    d = 16
    reference = Gaussian(torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64), 10**9)
    drawn = [np.random.RandomState(i).randn(5000, d) for i in range(8)]
    found = [frechet_extrapolated(x, reference) for x in drawn]
    plain = [frechet_of(Moments().update(x).compute(), reference) for x in drawn]
    assert np.mean(plain) == pytest.approx(d / 5000 + d * (d + 1) / 4 / 5000, rel=0.25)
    assert abs(np.mean([each.value for each in found])) < np.mean(plain) / 4
    assert np.mean([each.slope for each in found]) == pytest.approx(d + d * (d + 1) / 4, rel=0.25)
    shifted = frechet_extrapolated(np.random.RandomState(9).randn(5000, d) + 0.5, reference)
    assert shifted.value == pytest.approx(d * 0.25, rel=0.05)
    assert shifted == frechet_extrapolated(np.random.RandomState(9).randn(5000, d) + 0.5, reference)


def test_extrapolation_needs_enough_samples():
    reference = Gaussian(torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64), 100)
    with pytest.raises(Refused, match="15 sizes from 9 need more than 24 samples, not 20"):
        frechet_extrapolated(np.random.RandomState(0).randn(20, 4), reference)
