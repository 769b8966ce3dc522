"""Sliced Wasserstein and MIND against closed forms; the exact distance against all permutations."""

import itertools

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.measure import Materials, Side, measures
from gansmith.metrics.wasserstein import mind, sliced_error, sliced_wasserstein, wasserstein_distance


@pytest.mark.parametrize("d", [2, 5])
def test_a_shift_has_a_closed_form(d):
    x = np.random.RandomState(0).randn(100, d)
    shift = np.zeros(d)
    shift[0] = 3.0
    assert sliced_wasserstein(x, x[::-1]) < 1e-15
    assert sliced_wasserstein(x, x + shift, directions=4000) == pytest.approx(3 / d**0.5, rel=0.03)


def test_agrees_with_an_optimal_assignment_on_each_direction():
    r = np.random.RandomState(3)
    x, y = r.randn(40, 6), r.randn(40, 6) * 2 + 1
    drawn = np.random.Generator(np.random.PCG64(5)).standard_normal((6, 30))
    lines = (drawn / np.linalg.norm(drawn, axis=0)).T
    squares = [wasserstein_distance((x @ line)[:, None], (y @ line)[:, None]) ** 2 for line in lines]
    assert sliced_wasserstein(x, y, directions=30, seed=5) == pytest.approx(np.mean(squares) ** 0.5, rel=1e-12)


@pytest.mark.parametrize(("d", "shift", "scale"), [(2, 0.3, 1), (5, 0, 1.3), (5, 0.2, 1), (3, 0, 1)])
def test_the_error_is_that_of_many_draws(d, shift, scale):
    r = np.random.RandomState(0)
    y = r.randn(500, d)
    draws = [shift + scale * r.randn(400, d) for _ in range(60)]
    found = np.std([mind(x, y, directions=64) / (3 * d) for x in draws], ddof=1)
    assert np.mean([sliced_error(x, y, directions=64) for x in draws]) == pytest.approx(found, rel=0.25)


def test_the_error_on_a_line_has_a_closed_form():
    # T(x) = 2x + 1, so the potential is x² − 2 (x² + x), and its deviation that of −(x + 1)².
    x = np.random.RandomState(1).randn(300, 1)
    expected = ((x + 1) ** 2).std(ddof=1) / 300**0.5
    assert sliced_error(x, 2 * x + 1, directions=5) == pytest.approx(expected, rel=1e-9)
    assert sliced_error(x, x[::-1]) == 0
    with pytest.raises(Refused, match="2 points or more, not 1"):
        sliced_error(x[:1], x)


def test_measures_give_the_distance_and_its_error():
    r = np.random.RandomState(2)
    real, fake = Side(r.randn(300, 4).astype(np.float32)), Side(r.randn(250, 4).astype(np.float32) + 0.5)
    told = {name: measures()[name].compute(Materials(real, fake, 7))[""] for name in ("sw2", "mind")}
    assert told["mind"].value == pytest.approx(mind(fake.features, real.features, seed=7), rel=1e-12)
    error = sliced_error(fake.features, real.features, directions=1024, seed=7)
    assert told["mind"].spread == pytest.approx(12 * error, rel=1e-12)
    distance = sliced_wasserstein(fake.features, real.features[:250], seed=7)
    assert told["sw2"].value == pytest.approx(distance, rel=1e-12)
    error = sliced_error(fake.features, real.features[:250], seed=7)
    assert told["sw2"].spread == pytest.approx(error / (2 * distance), rel=1e-12)
    assert measures()["sw2"].compute(Materials(real, real, 7))[""][:2] == (0, 0)


def test_sees_modes_that_a_gaussian_fit_does_not():
    corners = np.array([[1, 0], [-1, 0], [0, 1], [0, -1.0]])
    turned = corners @ (np.array([[1, 1], [-1, 1]]) / 2**0.5)
    assert sliced_wasserstein(corners, turned) > 0.2
    assert sliced_wasserstein(corners, corners) == 0


def test_refuses_unlike_sets():
    with pytest.raises(Refused, match="one size"):
        sliced_wasserstein(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(Refused, match="one size"):
        wasserstein_distance(np.zeros((4, 2)), np.zeros((5, 2)))


def test_mind_of_a_shift():
    x = np.random.RandomState(0).randn(4000, 64)
    assert mind(x, x) == 0
    assert mind(x, x + 0.5) == pytest.approx(3 * 64 * 0.25, rel=0.1)
    fresh = np.random.RandomState(1).randn(4000, 64)
    assert mind(x, fresh + 0.5) == pytest.approx(3 * 64 * 0.25, rel=0.1)


def test_mind_of_unlike_sizes_compares_quantiles():
    x = np.random.RandomState(2).randn(3000, 8)
    assert mind(x, np.repeat(x, 2, 0)) < 1e-3
    assert mind(x, np.repeat(x + 1, 2, 0)) == pytest.approx(24, rel=0.1)
    with pytest.raises(Refused, match="8 dimensions and y has 7"):
        mind(x, x[:, :7])


def test_the_assignment_is_the_best_permutation():
    r = np.random.RandomState(1)
    x, y = r.randn(6, 3), r.randn(6, 3)
    best = min(((x - y[list(p)]) ** 2).sum(1).mean() for p in itertools.permutations(range(6)))
    assert wasserstein_distance(x, y) == pytest.approx(best**0.5)
    assert wasserstein_distance(x, x[::-1]) == 0
    assert wasserstein_distance(x, x + np.array([3, 0, 4])) == pytest.approx(5)
