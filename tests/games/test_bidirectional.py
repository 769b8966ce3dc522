"""BiGAN and ALI: terms and gradients written out by hand in float64, eager and traced."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.bidirectional import Bidirectional
from gansmith.games.game import Game, Turn
from gansmith.losses import adversarial
from gansmith.networks import mlp

BATCH, NOISE, SHAPE = 5, 3, (1, 4, 4)
STEPPERS: dict[str, Callable[[Game], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


def game(moments: int = 1, loss: str = "nonsaturating", classes: int = 0, **arguments: int) -> Bidirectional:
    torch.manual_seed(0)
    encoder = mlp.Encoder(SHAPE, NOISE, classes, moments, hidden=(8,))
    generator = mlp.Generator(SHAPE, NOISE, classes, hidden=(8,))
    discriminator = mlp.Discriminator(SHAPE, classes, hidden=(7,))
    made = getattr(adversarial, loss)()
    return Bidirectional(encoder, generator, discriminator, loss=made, noise=NOISE, hidden=6, **arguments).double()


def turn(move: str, labels: torch.Tensor | None = None) -> Turn:
    data = torch.rand(BATCH, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    return Turn(Batch(data, labels), Draws(0, 0, BATCH, prefix=move))


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("move", ["discriminator", "generator"])
@pytest.mark.parametrize("moments", [1, 2], ids=["BiGAN", "ALI"])
def test_pairs_are_judged_and_the_others_minimise_the_inverse(moments: int, move: str, how: str):
    played = game(moments)
    x, draws = turn(move).batch.data, Draws(0, 0, BATCH, prefix="fakes")
    z = draws.normal("noise", NOISE).double()
    encoded = played.encoder(x)
    if moments == 2:
        mean, log_variance = encoded[:, :NOISE], encoded[:, NOISE:]
        encoded = mean + (log_variance / 2).exp() * draws.normal("posterior", NOISE).double()

    def judge(data: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        return played.head(played.discriminator.layers(data.flatten(1)), vector)

    on_real, on_fake = judge(x, encoded), judge(played.generator(z), z)
    sign = 1 if move == "discriminator" else -1
    # −log D(x, E(x)) − log(1 − D(G(z), z)), and with the two exchanged.
    expected = nn.functional.softplus(-sign * on_real) + nn.functional.softplus(sign * on_fake)
    (trains,) = [m.trains for m in played.moves() if m.name == move]
    trained = [p for name in trains for p in getattr(played, name).parameters()]
    result = STEPPERS[how](played)(move, turn(move), trained)
    torch.testing.assert_close(result.terms["adversarial"], expected.detach())
    slopes = torch.autograd.grad(expected.mean(), trained, allow_unused=True)
    for mine, theirs in zip(result.grads, slopes, strict=True):
        assert (mine is None) == (theirs is None)  # the discriminator's own last layer is not asked
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)
    assert sum(slope is not None and bool(slope.any()) for slope in slopes) >= len(slopes) - 2


def test_what_it_plays():
    played = game(discriminator_steps=2)
    assert [(m.name, m.trains, m.steps, m.fresh) for m in played.moves()] == [
        ("discriminator", ("discriminator", "head"), 2, True), ("generator", ("generator", "encoder"), 1, False),
    ]  # fmt: skip
    assert played.averaged == ("generator", "encoder")
    assert not played.coupled
    assert game(loss="relativistic_average").coupled


@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "relativistic", "least_squares"])
def test_it_plays_by_any_loss(loss: str):
    played = game(loss=loss)
    for move in ("discriminator", "generator"):
        term = played.play(move, turn(move)).terms["adversarial"]
        assert term.shape == (BATCH,)
        assert term.isfinite().all()


def test_a_class_reaches_all_networks():
    played = game(classes=3)
    for move in ("discriminator", "generator"):
        one, two = (
            played.play(move, turn(move, torch.tensor(labels))).terms["adversarial"]
            for labels in ([0, 1, 2, 0, 1], [1, 1, 2, 0, 1])
        )
        assert one[0] != two[0]
        assert torch.equal(one[1:], two[1:])


@pytest.mark.parametrize("moments", [1, 2])
def test_it_encodes_and_decodes(moments: int):
    played = game(moments)
    x = turn("generator").batch.data
    z = played.encode(x)
    assert torch.equal(z, played.encoder(x)[:, :NOISE])
    assert played.generate(z).shape == x.shape


def test_a_discriminator_without_features_is_refused():
    encoder, generator = mlp.Encoder(SHAPE, NOISE), mlp.Generator(SHAPE, NOISE)
    with pytest.raises(ValueError, match="which this one does not offer"):
        Bidirectional(
            encoder, generator, nn.Sequential(nn.Flatten(), nn.Linear(16, 1)), loss=adversarial.nonsaturating()
        )
