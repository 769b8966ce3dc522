"""Sliced Wasserstein and MIND against closed forms; the exact distance against all permutations."""

import itertools

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.wasserstein import mind, sliced_wasserstein, wasserstein_distance


@pytest.mark.parametrize("d", [2, 5])
def test_a_shift_has_a_closed_form(d):
    x = np.random.RandomState(0).randn(100, d)
    shift = np.zeros(d)
    shift[0] = 3.0
    assert sliced_wasserstein(x, x[::-1]) == 0
    assert sliced_wasserstein(x, x + shift, directions=4000) == pytest.approx(3 / d**0.5, rel=0.03)


def test_agrees_with_an_optimal_assignment_on_each_direction():
    r = np.random.RandomState(3)
    x, y = r.randn(40, 6), r.randn(40, 6) * 2 + 1
    drawn = np.random.Generator(np.random.PCG64(5)).standard_normal((6, 30))
    lines = (drawn / np.linalg.norm(drawn, axis=0)).T
    squares = [wasserstein_distance((x @ line)[:, None], (y @ line)[:, None]) ** 2 for line in lines]
    assert sliced_wasserstein(x, y, directions=30, seed=5) == pytest.approx(np.mean(squares) ** 0.5, rel=1e-12)


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
