"""Every regularizer: its value against the paper's formula in float64, eager and traced; its states by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import nn

from gansmith.build import functions
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import regularizers
from gansmith.losses.adversarial import nonsaturating
from gansmith.losses.regularizers import Regularizer
from gansmith.networks import mlp

BATCH, NOISE, SHAPE, WEIGHT = 6, 3, (1, 4, 4), 0.3
STEPPERS: dict[str, Callable[[Synthesis], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


def setting(name: str, every: int = 1, **arguments: object) -> tuple[Synthesis, Turn]:
    """A game with one regularizer, and a turn of its move; states are random."""
    torch.manual_seed(0)
    nets = mlp.Generator(SHAPE, NOISE, hidden=(8,)), mlp.Discriminator(SHAPE, hidden=(8, 5))
    made = getattr(regularizers, name)(**arguments)
    game = Synthesis(*nets, loss=nonsaturating(), penalties={name: Lazy(made, every)}, noise=NOISE, shared_fakes=False)
    game = game.double()
    state = {key: torch.randn(first.shape, dtype=torch.float64) for key, (first, _) in game.states().items()}
    real = torch.rand(BATCH, *SHAPE, dtype=torch.float64) * 2 - 1
    draws = Draws(0, 0, BATCH, prefix=made.side)
    return game, Turn(Batch(real), draws, {name: WEIGHT}, state)


def play(
    how: str, name: str, turn: Turn, game: Synthesis
) -> tuple[torch.Tensor, list[torch.Tensor], Mapping[str, torch.Tensor]]:
    """The term, the gradient of the whole loss, and the new state."""
    side = game.regularizers[name].side
    network = getattr(game, side)
    result = STEPPERS[how](game)(side, turn, list(network.parameters()))
    grads = [torch.zeros_like(p) if g is None else g for g, p in zip(result.grads, network.parameters(), strict=True)]
    return result.terms[name], grads, result.state


def noise_of(turn: Turn) -> torch.Tensor:
    return turn.draws.normal("noise", NOISE).double()


def by_hand(name: str, game: Synthesis, turn: Turn) -> torch.Tensor:
    """The paper's formula, before the weight; differentiable in the weights."""
    generator, discriminator = game.generator, game.discriminator
    fake, real = generator(noise_of(turn)), turn.batch.data
    on_real, on_fake = discriminator(real), discriminator(fake)
    if name == "drift":
        return on_real**2
    if name == "lecam":
        return (on_real - turn.state["lecam/fake"]) ** 2 + (on_fake - turn.state["lecam/real"]) ** 2
    assert name == "feature_matching"
    body = discriminator.layers
    apart = body(real.flatten(1)).mean(0).detach() - body(fake.flatten(1)).mean(0)
    return apart.norm() ** 2


NAMES = ["drift", "feature_matching", "lecam"]


def test_every_regularizer_is_here():
    assert functions(regularizers, Regularizer) == sorted(NAMES)


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_the_papers(name: str, how: str):
    game, turn = setting(name)
    wanted = WEIGHT * by_hand(name, game, turn)
    term, grads, _ = play(how, name, turn, game)
    torch.testing.assert_close(term, wanted.detach(), rtol=1e-9, atol=1e-12)
    # The gradient of the whole move without the term is another by the term's own.
    bare = Synthesis(game.generator, game.discriminator, loss=nonsaturating(), noise=NOISE, shared_fakes=False)
    side = game.regularizers[name].side
    network: nn.Module = getattr(game, side)
    alone = Eager(bare)(side, turn, list(network.parameters())).grads
    mean = wanted.mean()
    slopes = torch.autograd.grad(mean, list(network.parameters()), allow_unused=True)
    for whole, rest, slope, p in zip(grads, alone, slopes, network.parameters(), strict=True):
        rest, slope = (torch.zeros_like(p) if one is None else one for one in (rest, slope))
        torch.testing.assert_close(whole, rest + slope, rtol=1e-8, atol=1e-10)
    assert any(slope is not None and slope.abs().max() > 1e-6 for slope in slopes)


@pytest.mark.parametrize("name", NAMES)
def test_a_lazy_one_is_due_at_each_nth_step_at_n_times_the_weight(name: str):
    game, turn = setting(name, every=4)
    side = game.regularizers[name].side
    other = {"discriminator": "generator", "generator": "discriminator"}[side]
    assert [game.variant(side, step) for step in range(5)] == [(name,), (), (), (), (name,)]
    assert game.variant(other, 0) == ()
    once = play("eager", name, turn, setting(name)[0])[0]
    assert torch.allclose(play("eager", name, turn, game)[0], 4 * once)
    assert name not in Eager(game)(side, Turn(turn.batch, turn.draws, turn.knobs, turn.state, step=1),
                                   list(getattr(game, side).parameters())).terms  # fmt: skip


@pytest.mark.parametrize("how", STEPPERS)
def test_lecams_anchors_move_towards_the_mean_logits(how: str):
    game, turn = setting("lecam", decay=0.9)
    _, _, state = play(how, "lecam", turn, game)
    with torch.no_grad():
        on_real, on_fake = game.discriminator(turn.batch.data), game.discriminator(game.generator(noise_of(turn)))
    for key, on in (("lecam/real", on_real), ("lecam/fake", on_fake)):
        torch.testing.assert_close(state[key], 0.9 * turn.state[key] + 0.1 * on.mean())
    with pytest.raises(ValueError, match="decay must be in"):
        regularizers.lecam(decay=1)


def test_a_discriminator_without_features_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    with pytest.raises(ValueError, match="feature_matching reads the discriminator's features"):
        Synthesis(mlp.Generator(SHAPE, NOISE), plain, loss=nonsaturating(),
                  penalties={"feature_matching": Lazy(regularizers.feature_matching())})  # fmt: skip
