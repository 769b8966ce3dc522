"""BEGAN against its equations written out: terms, gradients, k and M, eager and traced, whole and in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from gansmith.build import Facts, build
from gansmith.data.dataset import Batch, Dataset
from gansmith.draws import Draws
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.equilibrium import Equilibrium
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import adversarial, penalties, regularizers
from gansmith.networks import autoencoder, mlp
from gansmith.recipe import validate

BATCH, NOISE, GAMMA, RATE = 6, 3, 0.4, 0.05
STEPPERS: dict[str, Callable[[Synthesis], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


def setting(k: float, **arguments: object) -> tuple[Equilibrium, Turn]:
    torch.manual_seed(0)
    nets = mlp.Generator((2,), NOISE, hidden=(6,)), autoencoder.Discriminator((2,), code=2, hidden=(5,))
    given = {"loss": adversarial.boundary(), "gamma": GAMMA, "rate": RATE, "noise": NOISE, **arguments}
    game = Equilibrium(*nets, **given).double()  # type: ignore[arg-type]
    real = torch.randn(BATCH, 2, dtype=torch.float64)
    state = {"balance": torch.tensor(k, dtype=torch.float64)}
    return game, Turn(Batch(real), Draws(0, 0, BATCH, prefix="discriminator"), {}, state)


def energy(network: autoencoder.Discriminator, x: torch.Tensor) -> torch.Tensor:
    return (network.decoder(network.encoder(x)) - x).abs().mean(1)


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("k", [-0.2, 0.0, 0.3, 1.7])
def test_it_is_the_papers(k: float, how: str):
    game, turn = setting(k)
    held = min(max(k, 0), 1)
    fake = game.generator(turn.draws.under("fakes").normal("noise", NOISE).double())
    real_energy, fake_energy = energy(game.discriminator, turn.batch.data), energy(game.discriminator, fake)
    wanted = real_energy - held * fake_energy
    targets = list(game.discriminator.parameters())
    result = STEPPERS[how](game)("discriminator", turn, targets)
    torch.testing.assert_close(result.terms["adversarial"], wanted.detach())
    slopes = torch.autograd.grad(wanted.mean(), targets, retain_graph=True)
    for mine, theirs in zip(result.grads, slopes, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    a, b = real_energy.mean().item(), fake_energy.mean().item()
    assert result.state["balance"].item() == pytest.approx(held + RATE * (GAMMA * a - b))
    assert result.terms["watched/convergence"].item() == pytest.approx(a + abs(GAMMA * a - b))
    assert result.terms["watched/balance"].item() == held
    torch.testing.assert_close(result.terms["watched/on_real"], -real_energy.detach())  # high is real
    targets = list(game.generator.parameters())
    move = replace(turn, draws=Draws(0, 0, BATCH, prefix="generator"))
    result = STEPPERS[how](game)("generator", move, targets)
    for mine, theirs in zip(result.grads, torch.autograd.grad(fake_energy.mean(), targets), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_parts_of_a_batch_bring_k_where_the_whole_does():
    game, turn = setting(0.3)
    whole = game.play("discriminator", turn)
    parts = []
    for start, stop in ((0, 3), (3, BATCH)):
        draws = Draws(0, 0, BATCH, start=start, stop=stop, prefix="discriminator")
        parts.append(game.play("discriminator", replace(turn, draws=draws, batch=Batch(turn.batch.data[start:stop]))))
    torch.testing.assert_close(torch.stack([p.state["balance"] for p in parts]).mean(), whole.state["balance"])
    torch.testing.assert_close(torch.cat([p.terms["adversarial"] for p in parts]), whole.terms["adversarial"])
    assert game.states()["balance"][1] == "mean"
    assert not game.coupled


def test_a_player_plays_it_and_k_rises_while_fakes_are_easy():
    recipe = validate(
        {"game": {"name": "equilibrium", "gamma": 1.0, "rate": 0.1}, "loss": "boundary", "batch": 16, "images": 1600,
         "generator": {"network": "autoencoder", "hidden": [8]}, "noise": 4, "precision": "fp32",
         "discriminator": {"network": "autoencoder", "hidden": [8], "code": 1},
         "penalties": {"lecam": {"weight": 0.1}}}, "test",
    )  # fmt: skip
    game = build(recipe, Facts((2,)))
    assert isinstance(game, Equilibrium)
    points = np.random.Generator(np.random.PCG64(0)).normal(size=(64, 2)).astype(np.float32) * 3
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    player = Player(game, Dataset("p", "points", (2,), 64, array=points), recipe, torch.device("cpu"), numerics)
    for _ in range(3):
        player.round()
    assert player.healthy()
    assert player.states["balance"].item() > 0.05
    assert "discriminator/watched/convergence" in player.terms()
    assert set(player.states) == {"balance", "lecam/real", "lecam/fake"}
    player.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gamma": 1.5}, "gamma and start must be in"),
        ({"start": -1.0}, "gamma and start must be in"),
        ({"rate": -1.0}, "rate must not be negative"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        setting(0.0, **wrong)


def test_losses_of_logits_and_of_energies_are_not_mixed_up():
    generator, judge = mlp.Generator((2,), NOISE), mlp.Discriminator((2,))
    with pytest.raises(ValueError, match="this loss takes energies"):
        Synthesis(generator, judge, loss=adversarial.energy())
    with pytest.raises(ValueError, match="the discriminator gives energies"):
        Synthesis(generator, autoencoder.Discriminator((2,)), loss=adversarial.hinge())
    with pytest.raises(ValueError, match="equilibrium balances energies"):
        Equilibrium(generator, judge, loss=adversarial.hinge())


def test_ebgan_is_the_usual_game_with_penalties_and_regularizers_of_its_energies():
    torch.manual_seed(0)
    nets = mlp.Generator((2,), NOISE, hidden=(6,)), autoencoder.Discriminator((2,), code=2, hidden=(5,), error="norm")
    lazy = {"r1": Lazy(penalties.r1()), "pulling_away": Lazy(regularizers.pulling_away())}
    game = Synthesis(*nets, loss=adversarial.energy(2.0), penalties=lazy, noise=NOISE, shared_fakes=False).double()
    turn = Turn(Batch(torch.randn(BATCH, 2, dtype=torch.float64)), Draws(0, 0, BATCH), dict.fromkeys(lazy, 0.5))
    outcome = game.play("discriminator", turn)
    with torch.no_grad():
        fake = game.generator(turn.draws.normal("noise", NOISE).double())
        on_real, on_fake = game.discriminator(turn.batch.data), game.discriminator(fake)
    torch.testing.assert_close(outcome.terms["adversarial"].detach(), on_real + (2 - on_fake).clamp(min=0))
    assert outcome.terms["r1"].shape == (BATCH,)
    move = game.play("generator", turn)
    torch.testing.assert_close(move.terms["adversarial"].detach(), on_fake)
    assert move.terms["pulling_away"].dim() == 0
