"""The autoencoders' terms and gradients against the papers' formulas in float64, eager and traced."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.autoencoding import Autoencoding, Bernoulli, Gaussian, VaeGan, divergence
from gansmith.games.game import Game, Turn
from gansmith.losses.adversarial import nonsaturating
from gansmith.networks import dcgan, mlp

BATCH, NOISE, SHAPE = 5, 3, (1, 4, 4)
STEPPERS: dict[str, Callable[[Game], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


def nets(squash: bool | None = None) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return mlp.Encoder(SHAPE, NOISE, moments=2, hidden=(8,)), mlp.Generator(SHAPE, NOISE, hidden=(8,), squash=squash)


def turn(move: str, labels: torch.Tensor | None = None) -> Turn:
    data = torch.rand(BATCH, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    return Turn(Batch(data, labels), Draws(0, 0, BATCH, prefix=move))


def drawn(purpose: str) -> torch.Tensor:
    """The numbers of a round, the same in all of its moves."""
    return Draws(0, 0, BATCH, prefix="fakes").normal(purpose, NOISE).double()


def play(how: str, game: Game, move: str, expected: dict[str, torch.Tensor], *networks: nn.Module) -> None:
    """A move's terms, and its gradients for what it trains, are those of `expected`."""
    trained = [p for network in networks for p in network.parameters()]
    result = STEPPERS[how](game)(move, turn(move), trained)
    terms = {name: value for name, value in result.terms.items() if not name.startswith("watched/")}
    assert terms.keys() == expected.keys()
    for name, term in expected.items():
        assert term.shape == (BATCH,)
        torch.testing.assert_close(terms[name], term.detach(), rtol=1e-9, atol=1e-11)
    slopes = torch.autograd.grad(sum(term.mean() for term in expected.values()), trained, allow_unused=True)
    for mine, theirs in zip(result.grads, slopes, strict=True):
        if theirs is None:
            assert mine is None or not mine.any()
        else:
            assert mine is not None
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


# --- the variational autoencoder ---------------------------------------------------------------------


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("likelihood", ["learned", "fixed", "bernoulli"])
def test_the_terms_are_the_evidences_lower_bound(likelihood: str, how: str):
    kind = "bernoulli" if likelihood == "bernoulli" else "gaussian"
    deviation = {"fixed": 0.3}.get(likelihood)
    game = Autoencoding(
        *nets(False if kind == "bernoulli" else None), noise=NOISE, likelihood=kind, deviation=deviation, beta=2.0
    ).double()
    (move,) = game.moves()
    assert (move.name, move.trains, move.fresh) == ("autoencoder", ("encoder", "generator", "likelihood"), True)
    x = turn("autoencoder").batch.data
    out = game.encoder(x)
    mean, deviations = out[:, :NOISE], (out[:, NOISE:] / 2).exp()
    decoded = game.generator(mean + deviations * drawn("posterior"))
    if kind == "gaussian":
        sigma = game.likelihood.log_deviation.exp()
        assert sigma.item() == pytest.approx(deviation or 0.5)
        law = torch.distributions.Normal(decoded, sigma)
        energy = -law.log_prob(x).flatten(1).sum(1)
    else:
        law = torch.distributions.ContinuousBernoulli(logits=decoded, lims=(0.4999, 0.5001))
        energy = -law.log_prob((x + 1) / 2).flatten(1).sum(1)
    posterior, prior = torch.distributions.Normal(mean, deviations), torch.distributions.Normal(0, 1)
    apart = torch.distributions.kl_divergence(posterior, prior).sum(1)
    if kind == "bernoulli":  # the series near 0 is short
        result = STEPPERS[how](game)("autoencoder", turn("autoencoder"), list(game.parameters()))
        torch.testing.assert_close(result.terms["reconstruction"], energy, rtol=1e-6, atol=1e-6)
        return
    play(how, game, "autoencoder", {"reconstruction": energy, "divergence": 2 * apart}, game)


def test_the_bernoullis_constant_makes_it_a_law():
    # The density of x in [-1, 1] integrates to 1, and its mean is the one that is said: on both sides of the series.
    t = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    for y in (-40.0, -3.0, -0.1001, -0.0999, 0.0, 0.0999, 0.1001, 1.0, 40.0):
        logits = torch.full_like(t[:, None], y)
        density = (-Bernoulli().energy(2 * t[:, None] - 1, logits)).exp()
        assert np.trapezoid(density, t) == pytest.approx(1, abs=2e-5)
        mean = np.trapezoid(density * (2 * t - 1), t)
        assert Bernoulli().mean(torch.tensor(y, dtype=torch.float64)).item() == pytest.approx(mean, abs=2e-5)


def test_the_bernoulli_is_finite_far_out():
    for dtype in (torch.float32, torch.float64):
        y = torch.tensor([[-1e4], [-100.0], [0.0], [1e-8], [100.0], [1e4]], dtype=dtype, requires_grad=True)
        energy = Bernoulli().energy(torch.ones_like(y), y)
        (slope,) = torch.autograd.grad(energy.sum(), y)
        assert energy.isfinite().all()
        assert slope.isfinite().all()
        assert Bernoulli().mean(y).abs().max() <= 1


def test_a_gaussians_best_deviation_is_the_root_of_the_error():
    law = Gaussian().double()
    data, decoded = torch.randn(64, 10).double(), torch.randn(64, 10).double()
    root = (data - decoded).square().mean().sqrt()
    with torch.no_grad():
        law.log_deviation.copy_(root.log())
    (slope,) = torch.autograd.grad(law.energy(data, decoded).sum(), law.log_deviation)
    assert abs(slope) < 1e-9


def test_the_divergence_is_the_closed_form():
    mean, log_variance = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = [
        sum(0.5 * (m * m + math.exp(v) - 1 - v) for m, v in zip(*row, strict=True))
        for row in zip(mean.tolist(), log_variance.tolist(), strict=True)
    ]
    assert divergence(mean, log_variance).tolist() == pytest.approx(wanted)
    assert divergence(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0


def test_it_encodes_and_decodes():
    for squash, likelihood in ((None, "gaussian"), (False, "bernoulli")):
        game = Autoencoding(*nets(squash), noise=NOISE, likelihood=likelihood)  # type: ignore[arg-type]
        x = turn("autoencoder").batch.data.float()
        z = game.encode(x)
        assert torch.equal(z, game.encoder(x)[:, :NOISE])
        made = game.generate(z)
        assert made.shape == x.shape
        assert made.abs().max() <= 1


def test_a_class_reaches_both_networks():
    torch.manual_seed(0)
    encoder = mlp.Encoder(SHAPE, NOISE, 3, moments=2, hidden=(8,)).double()
    game = Autoencoding(encoder, mlp.Generator(SHAPE, NOISE, 3, hidden=(8,)).double(), noise=NOISE)
    terms = [
        game.play("autoencoder", turn("autoencoder", torch.tensor(labels))).terms
        for labels in ([0, 1, 2, 0, 1], [1, 1, 2, 0, 1])
    ]
    for name in ("reconstruction", "divergence"):
        assert terms[0][name][0] != terms[1][name][0]
        assert torch.equal(terms[0][name][1:], terms[1][name][1:])


def test_batch_norm_couples():
    encoder = dcgan.Encoder((1, 16, 16), NOISE, moments=2, width=4)
    assert Autoencoding(encoder, dcgan.Generator((1, 16, 16), NOISE, width=4), noise=NOISE).coupled
    assert not Autoencoding(*nets(), noise=NOISE).coupled


def test_what_does_not_fit_is_refused():
    encoder, generator = nets()
    one = mlp.Encoder(SHAPE, NOISE, hidden=(8,))
    with pytest.raises(ValueError, match="an encoder with moments: 2"):
        Autoencoding(one, generator, noise=NOISE)
    with pytest.raises(ValueError, match="likelihood must be gaussian or bernoulli"):
        Autoencoding(encoder, generator, noise=NOISE, likelihood="laplace")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ends in logits and not in tanh"):
        Autoencoding(encoder, generator, noise=NOISE, likelihood="bernoulli")
    for arguments in ({"deviation": 0}, {"deviation": 1, "likelihood": "bernoulli"}):
        with pytest.raises(ValueError, match="deviation is the gaussian's, and above 0"):
            Autoencoding(encoder, nets(False)[1], noise=NOISE, **arguments)  # type: ignore[arg-type]
    judge = mlp.Discriminator(SHAPE, hidden=(8,))
    with pytest.raises(ValueError, match="an encoder with moments: 2"):
        VaeGan(one, generator, judge, loss=nonsaturating())
    with pytest.raises(ValueError, match="which this one does not offer"):
        VaeGan(encoder, generator, nn.Sequential(nn.Flatten(), nn.Linear(16, 1)), loss=nonsaturating())
    with pytest.raises(ValueError, match="deviation must be above 0"):
        VaeGan(encoder, generator, judge, loss=nonsaturating(), deviation=0)


# --- with a discriminator ------------------------------------------------------------------------------


def vae_gan() -> VaeGan:
    encoder, generator = nets()
    judge = mlp.Discriminator(SHAPE, hidden=(7,))
    return VaeGan(encoder, generator, judge, loss=nonsaturating(), noise=NOISE, gamma=0.4, deviation=0.5).double()


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("move", ["discriminator", "encoder", "generator"])
def test_each_of_the_three_minimises_what_the_paper_says(move: str, how: str):
    game = vae_gan()
    assert [(m.name, m.trains, m.fresh) for m in game.moves()] == [
        ("discriminator", ("discriminator",), True), ("encoder", ("encoder",), False),
        ("generator", ("generator",), False),
    ]  # fmt: skip
    x = turn(move).batch.data
    out = game.encoder(x)
    mean, deviations = out[:, :NOISE], (out[:, NOISE:] / 2).exp()
    z = mean + deviations * drawn("posterior")
    again, made = game.generator(z), game.generator(drawn("prior"))
    features = game.discriminator.layers
    like = -torch.distributions.Normal(features(again.flatten(1)), 0.5).log_prob(features(x.flatten(1)).detach())
    like = like.sum(1) - 7 * (math.log(0.5) + 0.5 * math.log(2 * math.pi))  # but for its constant
    prior = 0.5 * (mean**2 + deviations**2 - 1 - 2 * deviations.log()).sum(1)
    real, fakes = game.discriminator(x), [game.discriminator(fake) for fake in (again, made)]
    softplus = nn.functional.softplus
    expected = {
        "discriminator": {"adversarial": softplus(-real) + sum(softplus(fake) for fake in fakes) / 2},
        "encoder": {"divergence": prior, "features": like},
        "generator": {"adversarial": sum(softplus(-fake) for fake in fakes) / 2, "features": 0.4 * like},
    }[move]
    play(how, game, move, expected, getattr(game, move))  # type: ignore[arg-type]


def test_a_move_does_not_differentiate_what_it_does_not_train():
    game = vae_gan()
    fixed = {"discriminator": ("encoder", "generator"), "generator": ("encoder",)}
    for move, others in fixed.items():
        terms = game.play(move, turn(move)).terms
        weights = [p for name in others for p in getattr(game, name).parameters()]
        slopes = torch.autograd.grad(sum(t.mean() for t in terms.values()), weights, allow_unused=True)
        assert all(slope is None for slope in slopes)


def test_it_encodes_and_decodes_as_well():
    game = vae_gan()
    x = turn("encoder").batch.data
    assert torch.equal(game.encode(x), game.encoder(x)[:, :NOISE])
    assert game.generate(game.encode(x)).shape == x.shape
    assert game.averaged == ("generator", "encoder")
