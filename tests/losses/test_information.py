"""InfoGAN's bound against its formula in float64, and against the information that there is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from gansmith.losses import information


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_a_categorical_code(spread: float):
    scores, codes = spread * drawn(5, 4), torch.tensor([0, 3, 1, 2, 2])
    found = information.categorical(scores, codes)
    for row, c, value in zip(scores.numpy(), codes, found.tolist(), strict=True):
        assert value == pytest.approx(row[c] - row.max() - math.log(np.exp(row - row.max()).sum()) + math.log(4))
    assert bool((found <= math.log(4) + 1e-12).all())


def test_a_categorical_code_that_is_told_by_chance_tells_nothing():
    assert information.categorical(torch.zeros(3, 10), torch.tensor([0, 4, 9])).abs().max() < 1e-6


@pytest.mark.parametrize("learned", [False, True])
def test_continuous_codes(learned: bool):
    means, codes, spread = drawn(5, 3), drawn(5, 3, seed=1).tanh(), drawn(5, 3, seed=2)
    found = information.gaussian(means, codes, spread if learned else None)
    deviations = (0.5 * spread).exp() if learned else torch.ones_like(means)
    wanted = (Normal(means, deviations).log_prob(codes) + math.log(2)).sum(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_it_is_a_lower_bound_that_the_true_posterior_reaches():
    # x = c + e with e normal of deviation s, narrow: then I(c; x) is close to h(c) − h(e), and the posterior N(x, s²).
    draw, s = np.random.Generator(np.random.PCG64(0)), 0.02
    c = torch.from_numpy(draw.uniform(-1, 1, (20_000, 1)))
    x = c + s * torch.from_numpy(draw.standard_normal((20_000, 1)))
    truth = math.log(2) - 0.5 * math.log(2 * math.pi * math.e * s**2)
    best = information.gaussian(x, c, torch.full_like(x, 2 * math.log(s))).mean()
    assert float(best) == pytest.approx(truth, abs=0.02)
    assert float(information.gaussian(x, c, torch.full_like(x, 2 * math.log(2 * s))).mean()) < truth - 0.1
    assert float(information.gaussian(c, c).mean()) == pytest.approx(-0.2258, abs=1e-4)


def test_gradients_are_those_of_differences_and_extremes_are_finite():
    given = [x.requires_grad_() for x in (drawn(4, 2), drawn(4, 2, seed=1), drawn(4, 2, seed=2))]
    assert torch.autograd.gradcheck(information.gaussian, given)
    scores = drawn(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: information.categorical(s, torch.tensor([0, 1, 2, 0])), [scores])
    for far in (100.0, -100.0):
        x = [torch.full((2, 2), far, requires_grad=True) for _ in range(2)]
        value = information.gaussian(x[0], torch.zeros(2, 2), x[1])
        assert value.isfinite().all()
        assert all(g.isfinite().all() for g in torch.autograd.grad(value.sum(), x))
