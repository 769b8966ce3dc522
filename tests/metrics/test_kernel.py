"""Kernel distances against the published value and a double loop."""

import numpy as np
import pytest
import torch

from gansmith.errors import Refused
from gansmith.metrics.kernel import kernel_distance, squared_mmd


def golden():
    r = np.random.RandomState(0)
    return r.randn(500, 16), r.randn(500, 16) + 0.5


def by_loops(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_golden_value():
    x, y = golden()
    assert squared_mmd(x, y) == pytest.approx(1.044320477352, abs=5e-13)
    whole = kernel_distance(x, y, subsets=1)  # a subset of all is the whole, in another order
    assert whole.mean == pytest.approx(1.044320477352, abs=1e-11)
    assert whole.deviation == 0


@pytest.mark.parametrize(("n", "m"), [(256, 300), (600, 257)])
def test_agrees_with_whole_kernel_matrices_where_they_come_in_blocks(n, m):
    r = np.random.RandomState(4)
    x, y = r.randn(n, 5), r.randn(m, 5) * 1.3
    xx, yy, xy = ((a @ b.T / 5 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    off = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    assert squared_mmd(x, y) == pytest.approx(sum(off) - 2 * xy.mean(), rel=1e-11)


@pytest.mark.parametrize(("n", "m"), [(12, 12), (5, 14), (2, 2)])
def test_agrees_with_loops(n, m):
    r = np.random.RandomState(1)
    x, y = r.randn(n, 4), r.randn(m, 4) * 2
    assert squared_mmd(x, y) == pytest.approx(by_loops(x, y), rel=1e-12)
    assert squared_mmd(torch.from_numpy(x), y) == squared_mmd(x, y)


def test_unbiased_over_subsets():
    r = np.random.RandomState(2)
    x, y = r.randn(3000, 8), r.randn(3000, 8)
    found = kernel_distance(x, y, subsets=200, size=100, seed=3)
    assert abs(found.mean) < 4 * found.deviation / 200**0.5
    assert found == kernel_distance(x, y, subsets=200, size=100, seed=3)
    assert found != kernel_distance(x, y, subsets=200, size=100, seed=4)


def test_refuses():
    with pytest.raises(Refused, match="at least 2 samples"):
        squared_mmd(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(Refused, match="3 dimensions and y has 4"):
        kernel_distance(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(Refused, match="not finite"):
        squared_mmd(np.full((5, 3), np.nan), np.zeros((5, 3)))
