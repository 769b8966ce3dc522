"""Each loss and its gradients against a float64 transcription of its paper, far out included."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import yaml

from gansmith.build import functions
from gansmith.losses import adversarial
from gansmith.losses.adversarial import AdversarialLoss

REAL = np.array([-100.0, -3.0, -0.5, 0.3, 1.5, 4.0, 100.0, 100.0, -100.0])
FAKE = np.array([100.0, 0.7, -2.0, 0.2, -1.5, 9.0, -100.0, 100.0, -100.0])


def log1pexp(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def sigma(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -x))


def exp(x: np.ndarray) -> np.ndarray:
    """The exponential, and from 20 on its tangent."""
    return np.exp(np.minimum(x, 20)) * (1 + np.maximum(x - 20, 0))


def steep(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, 20))


Value = Callable[[np.ndarray, np.ndarray], np.ndarray]
Curve = Callable[[np.ndarray], np.ndarray]


def averaged(high: Curve, high_slope: Curve, low: Curve, low_slope: Curve) -> tuple[Value, Value, Value, Value, Value]:
    """A relativistic average loss: the sum over the batch depends on a logit also through the mean."""

    def d(r: np.ndarray, f: np.ndarray) -> np.ndarray:
        return high(r - f.mean()) + low(f - r.mean())

    def d_real(r: np.ndarray, f: np.ndarray) -> np.ndarray:
        return high_slope(r - f.mean()) - low_slope(f - r.mean()).mean()

    def d_fake(r: np.ndarray, f: np.ndarray) -> np.ndarray:
        return low_slope(f - r.mean()) - high_slope(r - f.mean()).mean()

    return d, d_real, d_fake, lambda r, f: d(f, r), lambda r, f: d_real(f, r)


LOG2 = np.log(2)
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
    "least_squares a=-1 b=2 c=0.5": (
        lambda r, f: 0.5 * (r - 2) ** 2 + 0.5 * (f + 1) ** 2, lambda r, f: r - 2, lambda r, f: f + 1,
        lambda r, f: 0.5 * (f - 0.5) ** 2, lambda r, f: f - 0.5,
    ),
    "relativistic_average": averaged(lambda c: log1pexp(-c), lambda c: -sigma(-c), log1pexp, sigma),
    "relativistic_average_least_squares": averaged(
        lambda c: (c - 1) ** 2, lambda c: 2 * (c - 1), lambda c: (c + 1) ** 2, lambda c: 2 * (c + 1)
    ),
    "relativistic_average_hinge": averaged(
        lambda c: np.maximum(0, 1 - c), lambda c: -(c < 1).astype(float),
        lambda c: np.maximum(0, 1 + c), lambda c: (c > -1).astype(float),
    ),
    "kl": (
        lambda r, f: exp(f - 1) - r, lambda r, f: -np.ones_like(r), lambda r, f: steep(f - 1),
        lambda r, f: -exp(f - 1), lambda r, f: -steep(f - 1),
    ),
    "reverse_kl": (
        lambda r, f: exp(-r) + f - 1, lambda r, f: -steep(-r), lambda r, f: np.ones_like(f),
        lambda r, f: 1 - f, lambda r, f: -np.ones_like(f),
    ),
    "pearson": (
        lambda r, f: f**2 / 4 + f - r, lambda r, f: -np.ones_like(r), lambda r, f: f / 2 + 1,
        lambda r, f: -(f**2) / 4 - f, lambda r, f: -f / 2 - 1,
    ),
    "squared_hellinger": (
        lambda r, f: exp(-r) + exp(f) - 2, lambda r, f: -steep(-r), lambda r, f: steep(f),
        lambda r, f: 1 - exp(f), lambda r, f: -steep(f),
    ),
    "energy": (
        lambda r, f: r + np.maximum(0, 10 - f), lambda r, f: np.ones_like(r), lambda r, f: -(f < 10).astype(float),
        lambda r, f: f, lambda r, f: np.ones_like(f),
    ),
    "energy margin=1.5": (
        lambda r, f: r + np.maximum(0, 1.5 - f), lambda r, f: np.ones_like(r), lambda r, f: -(f < 1.5).astype(float),
        lambda r, f: f, lambda r, f: np.ones_like(f),
    ),
    "boundary": (
        lambda r, f: r - f, lambda r, f: np.ones_like(r), lambda r, f: -np.ones_like(f),
        lambda r, f: f, lambda r, f: np.ones_like(f),
    ),
    "jensen_shannon": (
        lambda r, f: log1pexp(-r) + log1pexp(f) - 2 * LOG2, lambda r, f: -sigma(-r), lambda r, f: sigma(f),
        lambda r, f: LOG2 - log1pexp(f), lambda r, f: -sigma(f),
    ),
}  # fmt: skip

# Of f-GAN: f of Table 1, and g_f, f* and the slope of g_f of Table 6.
DIVERGENCES: dict[str, tuple[Curve, Curve, Curve, Curve]] = {
    "kl": (lambda u: u * np.log(u), lambda v: v, lambda t: np.exp(t - 1), np.ones_like),
    "reverse_kl": (lambda u: -np.log(u), lambda v: -np.exp(-v), lambda t: -1 - np.log(-t), lambda v: steep(-v)),
    "pearson": (lambda u: (u - 1) ** 2, lambda v: v, lambda t: t**2 / 4 + t, np.ones_like),
    "squared_hellinger": (
        lambda u: (np.sqrt(u) - 1) ** 2, lambda v: 1 - np.exp(-v), lambda t: t / (1 - t), lambda v: steep(-v),
    ),
    "jensen_shannon": (
        lambda u: -(u + 1) * np.log((1 + u) / 2) + u * np.log(u), lambda v: LOG2 - log1pexp(-v),
        lambda t: -np.log(2 - np.exp(t)), lambda v: sigma(-v),
    ),
}  # fmt: skip
HIGH = {  # g_f far out, where it is finite in other words only
    "kl": lambda v: v, "reverse_kl": lambda v: -exp(-v), "pearson": lambda v: v,
    "squared_hellinger": lambda v: 1 - exp(-v), "jensen_shannon": lambda v: LOG2 - log1pexp(-v),
}  # fmt: skip


def other(name: str) -> tuple[Value, Value, Value, Value, Value]:
    """The same discriminator, and the generator of Section 3.2, which maximises g_f."""
    slope = DIVERGENCES[name][3]
    return (*PAPERS[name][:3], lambda r, f: -HIGH[name](f), lambda r, f: -slope(f))


PAPERS |= {f"{name} saturating=False": other(name) for name in DIVERGENCES}


def made(case: str) -> AdversarialLoss:
    name, *arguments = case.split()
    given = dict(argument.split("=") for argument in arguments)
    return getattr(adversarial, name)(**{key: yaml.safe_load(value) for key, value in given.items()})


def tolerance(case: str, dtype: torch.dtype) -> dict[str, float]:
    """Sums of these cancel, so that an error is small beside their parts only."""
    name = case.split()[0]
    if made(case).coupled or name in DIVERGENCES:
        return {"rtol": 1e-12, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 2e-5, "atol": 1e-5}
    return {"rtol": 1e-12, "atol": 1e-40} if dtype == torch.float64 else {"rtol": 2e-6, "atol": 1e-38}


def test_every_loss_is_here():
    assert functions(adversarial, AdversarialLoss) == sorted({case.split()[0] for case in PAPERS})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", sorted(PAPERS))
def test_values_and_gradients(name: str, dtype: torch.dtype):
    loss, allowed = made(name), tolerance(name, dtype)
    d, d_real, d_fake, g, g_fake = PAPERS[name]

    draw = np.random.Generator(np.random.PCG64(0))
    real = torch.tensor(np.append(REAL, draw.normal(0, 4, 40)), dtype=dtype, requires_grad=True)
    fake = torch.tensor(np.append(FAKE, draw.normal(0, 4, 40)), dtype=dtype, requires_grad=True)
    exact_real, exact_fake = real.detach().double().numpy(), fake.detach().double().numpy()

    value = loss.discriminator(real, fake)
    slopes = torch.autograd.grad(value.sum(), (real, fake))
    for mine, theirs in zip((value, *slopes), (d, d_real, d_fake), strict=True):
        assert mine.shape == real.shape
        np.testing.assert_allclose(mine.detach().double().numpy(), theirs(exact_real, exact_fake), **allowed)

    value = loss.generator(real.detach(), fake)
    (slope,) = torch.autograd.grad(value.sum(), fake)
    for mine, theirs in zip((value, slope), (g, g_fake), strict=True):
        np.testing.assert_allclose(mine.detach().double().numpy(), theirs(exact_real, exact_fake), **allowed)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_what_a_loss_says_of_itself_is_true(name: str):
    loss = made(name)
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    looks = not torch.equal(loss.generator(real, fake), loss.generator(real + 1, fake))
    assert loss.relativistic == looks
    # One example's value does not depend on another's logits, unless it is said to.
    moved = real.clone()
    moved[0] += 1
    alone = [torch.equal(side(real, fake)[1:], side(moved, fake)[1:]) for side in (loss.discriminator, loss.generator)]
    assert all(alone) != loss.coupled
    # A discriminator is better off where it holds the real for real: by a high logit, or by a low energy.
    near = torch.tensor([0.2, -0.3], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss.discriminator(near, torch.zeros_like(near)).sum(), near)
    assert ((slope > 0).all() and loss.energy) or ((slope < 0).all() and not loss.energy)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_a_single_logit_is_enough(name: str):
    loss = made(name)
    one = torch.zeros(1)
    assert loss.discriminator(one, one).shape == loss.generator(one, one).shape == (1,)


@pytest.mark.parametrize("name", sorted(DIVERGENCES))
def test_f_divergences_are_the_papers_composition(name: str):
    f, g, conjugate, _ = DIVERGENCES[name]
    draw = np.random.Generator(np.random.PCG64(1))
    real, fake = draw.uniform(-8, 8, (2, 200))
    x, y = torch.tensor(real), torch.tensor(fake)
    np.testing.assert_allclose(made(name).discriminator(x, y), conjugate(g(fake)) - g(real), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(made(name).generator(x, y), -conjugate(g(fake)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(made(f"{name} saturating=False").generator(x, y), -g(fake), rtol=1e-9, atol=1e-9)
    # The conjugate is one: the supremum over u of ut − f(u), taken over a fine grid. (Pearson's is −1 below t = −2,
    # where no u above 0 gives the paper's ¼t² + t.)
    u, v = np.logspace(-8, 8, 40_001), np.linspace(-2, 3, 25)
    highest = (u * g(v)[:, None] - f(u)).max(1)
    np.testing.assert_allclose(conjugate(g(v)), highest, atol=1e-5)


def test_where_the_best_discriminator_is_undecided_its_loss_is_least():
    # Of equally many real examples and fakes at one point, the best logit is the one that is said to mean undecided.
    at = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    said = {}
    for name in functions(adversarial, AdversarialLoss):
        loss = getattr(adversarial, name)()
        said[name] = loss.undecided
        if loss.undecided is not None:
            best = torch.tensor(loss.undecided, dtype=torch.float64, requires_grad=True)
            value = loss.discriminator(best, best)
            assert loss.discriminator(at, at).min() >= value.item() - 1e-12
            (slope,) = torch.autograd.grad(value, best)
            assert abs(slope) < 1e-12  # the hinge's is least on all of [-1, 1]
    assert {name for name, logit in said.items() if logit is None} == {
        "relativistic", "relativistic_average", "relativistic_average_hinge", "relativistic_average_least_squares",
        "wasserstein", "energy", "boundary",
    }  # fmt: skip
    assert {name for name, logit in said.items() if logit} == {"kl", "least_squares"}
    assert adversarial.least_squares(-1, 1, 0).undecided == 0


def test_a_verdict_is_by_the_logit_or_by_the_difference():
    real, fake = torch.tensor([2.0, 0.3, -1.0]), torch.tensor([3.0, 0.1, -2.0])
    assert torch.equal(adversarial.hinge().verdict(real, fake), real)
    assert torch.equal(adversarial.least_squares().verdict(real, fake), real - 0.5)
    assert torch.equal(adversarial.relativistic().verdict(real, fake), real - fake)
    assert torch.equal(adversarial.wasserstein().verdict(real, fake), real - fake)
    assert torch.equal(adversarial.energy().verdict(real, fake), fake - real)


@pytest.mark.parametrize("name", [name for name in sorted(PAPERS) if name.startswith("relativistic_average")])
def test_two_ranks_with_half_a_batch_each_are_one_with_the_whole(name: str, monkeypatch: pytest.MonkeyPatch):
    loss = made(name)
    draw = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 6, generator=draw, dtype=torch.float64).requires_grad_().unbind()
    for side in (loss.discriminator, loss.generator):
        whole = side(real, fake)
        slopes = torch.autograd.grad(whole.mean(), (real, fake), retain_graph=True)
        # Both ranks in one graph: what a rank averages with is the other rank's mean of the same.
        halves = [(real[:3], fake[:3]), (real[3:], fake[3:])]
        means = [(a.mean(), b.mean()) for one, two in (halves, halves[::-1]) for a, b in zip(one, two, strict=True)]

        def all_mean(x: torch.Tensor, means: list[tuple[torch.Tensor, torch.Tensor]] = means) -> torch.Tensor:
            return next((mine + theirs) / 2 for mine, theirs in means if torch.equal(mine, x))

        with monkeypatch.context() as patched:
            patched.setattr(adversarial.collectives, "all_mean", all_mean)
            parts = torch.cat([side(*half) for half in halves])
        torch.testing.assert_close(parts, whole)
        torch.testing.assert_close(torch.autograd.grad(parts.mean(), (real, fake), retain_graph=True), slopes)


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(ValueError, match="margin must be above 0"):
        adversarial.energy(margin=0)


def test_the_exponentials_of_f_gan_go_on_as_tangents():
    far = torch.tensor([19.0, 20.0, 21.0, 1e4], requires_grad=True)
    value = adversarial._exp(far)
    (slope,) = torch.autograd.grad(value.sum(), far)
    edge = math.exp(20)
    assert value.tolist() == pytest.approx([math.exp(19), edge, 2 * edge, 9981 * edge], rel=1e-5)
    assert slope.tolist() == pytest.approx([math.exp(19), edge, edge, edge], rel=1e-5)
    assert (slope.square() < torch.finfo(torch.float32).max).all()
