"""Neighbourhood metrics against published values and an independent computation of all distances."""

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics import neighbours
from gansmith.metrics.measure import Materials, Side, measures
from gansmith.metrics.neighbours import precision_recall_density_coverage


def by_all_distances(real, fake, k):
    def squares(a, b):
        return ((a[:, None] - b[None]) ** 2).sum(2)

    r_real = np.sort(squares(real, real), 1)[:, k]
    r_fake = np.sort(squares(fake, fake), 1)[:, k]
    across = squares(real, fake)
    balls = across < r_real[:, None]
    return balls.any(0).mean(), (across < r_fake).any(1).mean(), balls.sum(0).mean() / k, balls.any(1).mean()


def test_golden_values():
    r = np.random.RandomState(0)
    x, y = r.randn(500, 16), r.randn(500, 16) + 0.5
    found = precision_recall_density_coverage(x, y)
    assert found[:5] == pytest.approx((0.754, 0.726, 0.6604, 0.720, 5), abs=1e-12)


@pytest.mark.parametrize("block", [1 << 24, 100, 7])
@pytest.mark.parametrize(("n", "m", "k"), [(60, 45, 3), (20, 80, 5), (7, 6, 1)])
def test_agrees_with_all_distances_whatever_the_block(monkeypatch, block, n, m, k):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    r = np.random.RandomState(1)
    x, y = r.randn(n, 6), r.randn(m, 6) * 1.2 + 0.3
    found = precision_recall_density_coverage(x, y, k=k)
    assert found[:4] == pytest.approx(by_all_distances(x, y, k))
    assert found.k == k


@pytest.mark.parametrize("n", [1300, 1024])
def test_agrees_where_the_least_are_sought_by_chunks(monkeypatch, n):
    monkeypatch.setattr(neighbours, "BLOCK", 512**2)
    r = np.random.RandomState(6)
    x, y = r.randn(n, 3), r.randn(1100, 3) * 0.8 + 0.2
    x[::50] = x[1::50]  # ties
    found = precision_recall_density_coverage(x, y, k=5)
    assert found[:4] == pytest.approx(by_all_distances(x, y, 5))


def test_several_k_at_once_are_as_each_alone():
    r = np.random.RandomState(8)
    x, y = r.randn(90, 4), r.randn(70, 4) * 1.1
    found = neighbours._neighbours(x, y, (5, 3, 1))
    assert found == {k: precision_recall_density_coverage(x, y, k=k) for k in (5, 3, 1)}


def test_measures_that_are_asked_for_together_compute_distances_once(monkeypatch):
    r, calls = np.random.RandomState(9), []
    real, fake = (Side(r.randn(80, 3).astype(np.float32)) for _ in range(2))
    alone = {name: measures()[name].compute(Materials(real, fake)) for name in ("prdc", "pr3")}
    inner = neighbours._neighbours
    monkeypatch.setattr(neighbours, "_neighbours", lambda x, y, ks: calls.append(ks) or inner(x, y, ks))
    for names in (("prdc", "pr3"), ("pr3", "prdc")):
        shared = {}
        for name in names:
            materials = Materials(real, fake, asked=frozenset({"fd", *names}), shared=shared)
            assert measures()[name].compute(materials) == alone[name]
    assert calls == [[5, 3], [5, 3]]
    measures()["pr3"].compute(Materials(real, fake, asked=frozenset({"pr3"})))
    assert calls[2:] == [[3]]


def test_no_copy_of_all_features_is_made():
    # Large features are held once, by the caller: each temporary is of some rows.
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    sizes = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            own = isinstance(out, torch.Tensor) and not func.is_view
            if own:
                sizes.append(out.numel())
            return out

    r = np.random.RandomState(7)
    x, y = r.randn(3000, 64).astype(np.float32), r.randn(2800, 64).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch, Watch():
        patch.setattr(neighbours, "BLOCK", 256**2)
        precision_recall_density_coverage(torch.from_numpy(x), torch.from_numpy(y))
    assert max(sizes) < y.size / 2


def test_float32_features_far_from_zero_give_nearly_the_same():
    r = np.random.RandomState(2)
    x, y = r.randn(800, 32) + 50, r.randn(800, 32) + 50.2
    exact = precision_recall_density_coverage(x, y)
    single = precision_recall_density_coverage(x.astype(np.float32), y.astype(np.float32))
    assert single[:4] == pytest.approx(exact[:4], abs=0.003)


def test_a_read_only_array_is_taken():
    x = np.random.RandomState(5).randn(30, 4).astype(np.float32)
    x.flags.writeable = False
    assert precision_recall_density_coverage(x, x).coverage == 1


def test_the_same_set_twice_is_perfect_and_a_far_one_is_nothing():
    x = np.random.RandomState(3).randn(100, 4)
    same, far = precision_recall_density_coverage(x, x), precision_recall_density_coverage(x, x + 100)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert far[:4] == (0, 0, 0, 0)


def test_duplicates_have_no_neighbourhood():
    # Balls are open: of a point that occurs six times the fifth neighbour is at distance 0.
    x = np.repeat(np.random.RandomState(4).randn(5, 3), 6, 0)
    assert precision_recall_density_coverage(x, x)[:4] == (0, 0, 0, 0)


def test_refuses():
    with pytest.raises(Refused, match="more than 5 vectors a side, not 5"):
        precision_recall_density_coverage(np.zeros((5, 2)), np.zeros((9, 2)))
    with pytest.raises(Refused, match="2 dimensions and fake has 3"):
        precision_recall_density_coverage(np.zeros((9, 2)), np.zeros((9, 3)))
    with pytest.raises(Refused, match="fake: some are not finite"):
        precision_recall_density_coverage(np.zeros((9, 2)), np.full((9, 2), np.inf))


def test_the_densitys_error_is_that_of_many_draws():
    r = np.random.RandomState(0)
    real = r.randn(400, 3)
    found = [precision_recall_density_coverage(real, r.randn(200, 3)) for _ in range(60)]
    assert np.mean([each.density_error for each in found]) == pytest.approx(
        np.std([each.density for each in found]), rel=0.25
    )
