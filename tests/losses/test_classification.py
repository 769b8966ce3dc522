"""Losses of classes against their papers' formulas, written out in loops of float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx

from gansmith import collectives
from gansmith.losses.classification import conditional_contrastive, cross_entropy, data_to_data, multi_hinge

LABELS = [0, 2, 1, 2, 0, 3]


def scores(spread: float = 1.0) -> torch.Tensor:
    return spread * torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def embeddings(seed: int, spread: float = 1.0) -> torch.Tensor:
    drawn = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # Near one another, so that cosines fall on both sides of the margins.
    return F.normalize(spread * drawn + torch.tensor([1.0, 0.5, 0.0]), dim=1)


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_cross_entropy(spread: float):
    s, y = scores(spread), LABELS
    by_hand = [math.log(sum(math.exp(float(v - row.max())) for v in row)) + float(row.max() - row[c])
               for row, c in zip(s, y, strict=True)]  # fmt: skip
    np.testing.assert_allclose(cross_entropy(s, torch.tensor(y)).numpy(), by_hand, rtol=1e-12)


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_the_multi_class_hinge_and_its_slopes(spread: float):
    s, y = scores(spread).requires_grad_(), LABELS
    found = multi_hinge(s, torch.tensor(y))
    (slope,) = torch.autograd.grad(found.sum(), s)
    for row, c, value, slopes in zip(s.tolist(), y, found.tolist(), slope.tolist(), strict=True):
        others = {k: v for k, v in enumerate(row) if k != c}
        worst = max(others, key=lambda k: others[k])
        assert value == pytest.approx(max(0.0, 1 - row[c] + others[worst]))
        wanted = [0.0] * 4
        if value > 0:
            wanted[c], wanted[worst] = -1.0, 1.0
        assert slopes == wanted


def test_the_multi_hinge_gan_of_two_scores_is_the_hinge_on_their_difference():
    # One class and that of fakes: with C_0 − C_1 = v, L_D is max(0, 1 − v) on real examples and max(0, 1 + v) on fakes.
    s = torch.tensor([[3.0, 1.0], [0.2, 0.1], [-1.0, 4.0]], dtype=torch.float64)
    v = s[:, 0] - s[:, 1]
    zero = torch.zeros(3, dtype=torch.int64)
    assert torch.allclose(multi_hinge(s, zero), (1 - v).relu())
    assert torch.allclose(multi_hinge(s, zero + 1), (1 + v).relu())


def d2d(f: torch.Tensor, v: torch.Tensor, y: list[int], t: float, positive: float, negative: float) -> list[float]:
    out = []
    for i in range(len(y)):
        p = math.exp(min(float(f[i] @ v[i]) - positive, 0.0) / t)
        n = [math.exp(max(float(f[i] @ f[j]) - negative, 0.0) / t) for j in range(len(y)) if y[j] != y[i]]
        out.append(-math.log(p / (p + sum(n))))
    return out


@pytest.mark.parametrize(("t", "positive", "negative"), [(0.5, 0.98, None), (0.25, 0.3, 0.6), (0.01, 0.98, 0.02)])
def test_data_to_data(t: float, positive: float, negative: float | None):
    f, v, y = embeddings(1), embeddings(2), torch.tensor(LABELS)
    found = data_to_data(f, v, y, t, positive, negative)
    np.testing.assert_allclose(found, d2d(f, v, LABELS, t, positive, 1 - positive if negative is None else negative))


def test_data_to_data_is_silent_within_its_margins():
    e = torch.eye(3, dtype=torch.float64)
    f, v = e[[0, 0, 1]].requires_grad_(), e[[0, 0, 1]].requires_grad_()
    (slope,) = torch.autograd.grad(data_to_data(f, v, torch.tensor([0, 0, 1])).sum(), f, allow_unused=True)
    assert float(slope.abs().max()) == 0.0
    # All of one class: nothing is to be kept away, so there is nothing to lose.
    assert data_to_data(f, v, torch.tensor([0, 0, 0])).tolist() == [0, 0, 0]


def test_conditional_contrastive():
    f, v, t = embeddings(3), embeddings(4), 0.3
    found = conditional_contrastive(f, v, torch.tensor(LABELS), t)
    for i, value in enumerate(found.tolist()):
        own = math.exp(float(f[i] @ v[i]) / t)
        every = {j: math.exp(float(f[i] @ f[j]) / t) for j in range(6) if j != i}
        like = sum(e for j, e in every.items() if LABELS[j] == LABELS[i])
        assert value == pytest.approx(-math.log((own + like) / (own + sum(every.values()))))


CASES = {
    "cross_entropy": lambda s, f, v, y: cross_entropy(s, y),
    "multi_hinge": lambda s, f, v, y: multi_hinge(s, y),
    "data_to_data": lambda s, f, v, y: data_to_data(f, v, y, 0.3, 0.5),
    "conditional_contrastive": lambda s, f, v, y: conditional_contrastive(f, v, y, 0.3),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_differences_eager_and_traced(name: str):
    given = [x.requires_grad_() for x in (scores(), embeddings(1), embeddings(2))]
    labels = torch.tensor(LABELS)

    def value(*x: torch.Tensor) -> torch.Tensor:
        return CASES[name](*x, labels)

    assert torch.autograd.gradcheck(value, given)

    def grads(*x: torch.Tensor) -> list[torch.Tensor]:
        x = tuple(each.detach().requires_grad_() for each in x)
        found = torch.autograd.grad(value(*x).mean(), x, allow_unused=True)
        return [g for g in found if g is not None]

    plain = [x.detach() for x in given]
    for mine, theirs in zip(make_fx(grads)(*plain)(*plain), grads(*plain), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("spread", [100.0, -100.0])
def test_extremes_stay_finite_in_float32(spread: float):
    s = scores(spread).float().requires_grad_()
    f, v = (embeddings(i).float().requires_grad_() for i in (1, 2))
    for name, case in CASES.items():
        value = case(s, f, v, torch.tensor(LABELS))
        found = torch.autograd.grad(value.sum(), [s, f, v], allow_unused=True)
        assert value.isfinite().all(), name
        assert all(g is None or g.isfinite().all() for g in found), name
    # A thousandth as the temperature makes logits of thousands.
    value = data_to_data(f, v, torch.tensor(LABELS), temperature=1e-3)
    assert value.isfinite().all()
    assert torch.autograd.grad(value.sum(), f)[0].isfinite().all()


def test_a_rank_compares_its_examples_with_those_of_all(monkeypatch: pytest.MonkeyPatch):
    f, v, y = embeddings(1), embeddings(2), torch.tensor(LABELS)
    for loss in (data_to_data, conditional_contrastive):
        whole = loss(f, v, y)
        for rank in (0, 1):
            mine = slice(3 * rank, 3 * rank + 3)
            monkeypatch.setattr(collectives, "rank", lambda rank=rank: rank)
            monkeypatch.setattr(collectives, "gather_rows", lambda x: y if x.dtype == torch.int64 else f)
            assert torch.allclose(loss(f[mine], v[mine], y[mine]), whole[mine], rtol=1e-12)
            monkeypatch.undo()
