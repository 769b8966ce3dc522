"""Each loss and its gradients against a float64 transcription of its paper, far out included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gansmith.build import functions
from gansmith.losses import adversarial
from gansmith.losses.adversarial import AdversarialLoss

REAL = np.array([-100.0, -3.0, -0.5, 0.3, 1.5, 4.0, 100.0, 100.0, -100.0])
FAKE = np.array([100.0, 0.7, -2.0, 0.2, -1.5, 9.0, -100.0, 100.0, -100.0])


def log1pexp(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def sigma(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -x))


Value = Callable[[np.ndarray, np.ndarray], np.ndarray]
# For each loss: L_D and its slopes at the real and the fake logit; L_G and its slope at the fake logit.
PAPERS: dict[str, tuple[Value, Value, Value, Value, Value]] = {
    "nonsaturating": (
        lambda r, f: log1pexp(-r) + log1pexp(f), lambda r, f: -sigma(-r), lambda r, f: sigma(f),
        lambda r, f: log1pexp(-f), lambda r, f: -sigma(-f),
    ),
    "minimax": (
        lambda r, f: log1pexp(-r) + log1pexp(f), lambda r, f: -sigma(-r), lambda r, f: sigma(f),
        lambda r, f: -log1pexp(f), lambda r, f: -sigma(f),
    ),
    "relativistic": (
        lambda r, f: log1pexp(f - r), lambda r, f: -sigma(f - r), lambda r, f: sigma(f - r),
        lambda r, f: log1pexp(r - f), lambda r, f: -sigma(r - f),
    ),
    "wasserstein": (
        lambda r, f: f - r, lambda r, f: -np.ones_like(r), lambda r, f: np.ones_like(f),
        lambda r, f: -f, lambda r, f: -np.ones_like(f),
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f),
        lambda r, f: -(r < 1).astype(float), lambda r, f: (f > -1).astype(float),
        lambda r, f: -f, lambda r, f: -np.ones_like(f),
    ),
    "least_squares": (
        lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2, lambda r, f: r - 1, lambda r, f: f,
        lambda r, f: 0.5 * (f - 1) ** 2, lambda r, f: f - 1,
    ),
}  # fmt: skip


def test_every_loss_is_here():
    assert functions(adversarial, AdversarialLoss) == sorted(PAPERS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", sorted(PAPERS))
def test_values_and_gradients(name: str, dtype: torch.dtype):
    loss: AdversarialLoss = getattr(adversarial, name)()
    d, d_real, d_fake, g, g_fake = PAPERS[name]
    tolerance = {"rtol": 1e-12, "atol": 1e-40} if dtype == torch.float64 else {"rtol": 2e-6, "atol": 1e-38}

    real = torch.tensor(REAL, dtype=dtype, requires_grad=True)
    fake = torch.tensor(FAKE, dtype=dtype, requires_grad=True)
    exact_real, exact_fake = real.detach().double().numpy(), fake.detach().double().numpy()

    value = loss.discriminator(real, fake)
    slopes = torch.autograd.grad(value.sum(), (real, fake))
    for mine, theirs in zip((value, *slopes), (d, d_real, d_fake), strict=True):
        assert mine.shape == real.shape
        np.testing.assert_allclose(mine.detach().double().numpy(), theirs(exact_real, exact_fake), **tolerance)

    value = loss.generator(real.detach(), fake)
    (slope,) = torch.autograd.grad(value.sum(), fake)
    for mine, theirs in zip((value, slope), (g, g_fake), strict=True):
        np.testing.assert_allclose(mine.detach().double().numpy(), theirs(exact_real, exact_fake), **tolerance)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_what_a_loss_says_of_itself_is_true(name: str):
    loss: AdversarialLoss = getattr(adversarial, name)()
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    looks = not torch.equal(loss.generator(real, fake), loss.generator(real + 1, fake))
    assert loss.relativistic == looks
    # One example's value does not depend on another's logits, unless it is said to.
    moved = real.clone()
    moved[0] += 1
    for side in (loss.discriminator, loss.generator):
        same = torch.equal(side(real, fake)[1:], side(moved, fake)[1:])
        assert same or loss.coupled


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_a_single_logit_is_enough(name: str):
    loss: AdversarialLoss = getattr(adversarial, name)()
    one = torch.zeros(1)
    assert loss.discriminator(one, one).shape == loss.generator(one, one).shape == (1,)
