"""The interface of a game, on four numbers: a game on scalars whose moves are worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, loss_of
from gansmith.games.game import Game, Move, Outcome, Turn


class Line(nn.Module):
    """x ↦ slope · x + offset."""

    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        self.offset = nn.Parameter(torch.tensor(offset, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * x + self.offset


class Four(Game):
    """Two lines, a pull of the knob `weight`, and a running mean of the fakes as state."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = Line(2.0, 0.5), Line(-0.5, 0.25)

    def states(self):
        return {"mean": (torch.zeros((), dtype=torch.float64), "mean")}

    def discriminator_loss(self, turn: Turn) -> Outcome:
        fake = self.generator(turn.draws.normal("z").double())
        on_real, on_fake = self.discriminator(turn.batch.data), self.discriminator(fake)
        pull = turn.knobs["weight"] * self.discriminator.slope**2
        return Outcome(
            {"gap": on_fake - on_real, "pull": pull},
            state={"mean": 0.5 * turn.state["mean"] + 0.5 * fake.mean()},
            shared={"fake": fake},
            watched={"on_real": on_real},
        )

    def generator_loss(self, turn: Turn) -> Outcome:
        return Outcome({"gap": -self.discriminator(turn.shared["fake"])})

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.generator(noise[:, 0])


REAL = [1.0, -1.0, 3.0, 0.5]


def turn(**fields: object) -> Turn:
    values: dict[str, object] = {"knobs": {"weight": 0.1}, "state": {"mean": torch.tensor(1.0, dtype=torch.float64)}}
    return Turn(Batch(torch.tensor(REAL, dtype=torch.float64)), Draws(0, 0, 4), **{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Eager, lambda game: Compiled(game, lambda graph: graph)], ids=["eager", "traced"])
def test_a_move_on_four_numbers(kind):
    game = Four()
    z = Draws(0, 0, 4).normal("z").double().tolist()
    fake = [2.0 * v + 0.5 for v in z]
    mean = sum(fake) / 4

    result = kind(game)("discriminator", turn(), list(game.discriminator.parameters()))
    by_slope, by_offset = result.grads
    assert by_slope is not None
    # d/ds of mean(s·f + o − s·x − o) + 0.1 s², at s = −0.5; the offset cancels.
    assert by_slope.item() == pytest.approx(mean - sum(REAL) / 4 - 0.1)
    assert by_offset is None or by_offset.item() == pytest.approx(0)
    assert result.terms["gap"].tolist() == pytest.approx([-0.5 * f + 0.5 * x for f, x in zip(fake, REAL, strict=True)])
    assert result.terms["pull"].item() == pytest.approx(0.025)
    assert result.terms["watched/on_real"].tolist() == pytest.approx([-0.5 * x + 0.25 for x in REAL])
    assert result.state["mean"].item() == pytest.approx(0.5 + 0.5 * mean)


def test_what_a_move_hands_on_carries_its_graph_where_graphs_are_kept():
    game, eager = Four(), Eager(Four())
    eager.game = game
    z = Draws(0, 0, 4).normal("z").double()
    result = eager("discriminator", turn(), list(game.discriminator.parameters()))
    second = eager("generator", turn(shared=result.shared), list(game.generator.parameters()))
    by_slope, by_offset = second.grads
    assert by_slope is not None
    assert by_offset is not None
    assert by_slope.item() == pytest.approx(0.5 * z.mean().item())
    assert by_offset.item() == pytest.approx(0.5)


def test_the_loss_is_the_sum_of_the_terms_means():
    outcome = Outcome({"a": torch.tensor([1.0, 3.0]), "b": torch.tensor(0.5)}, watched={"c": torch.tensor(100.0)})
    assert loss_of(outcome).item() == 2.5
    assert loss_of(Outcome({})).item() == 0


def test_defaults_of_the_interface():
    game = Game()
    assert game.moves() == (
        Move("discriminator", ("discriminator",), fresh=True),
        Move("generator", ("generator",)),
    )
    assert game.states() == {}
    assert game.variant("generator", 3) is None
    assert game.prepare("generator", turn()) == {}
    assert not game.coupled
    assert game.averaged == ("generator",)
    with pytest.raises(NotImplementedError):
        game.generate(torch.zeros(1, 1))


def test_play_finds_the_move_by_its_name():
    game = Four()
    assert math.isclose(game.play("discriminator", turn()).terms["pull"].item(), 0.025)
    assert math.isclose(game("discriminator", turn()).terms["pull"].item(), 0.025)
    assert game.generate(torch.ones(3, 2, dtype=torch.float64)).tolist() == [2.5] * 3
