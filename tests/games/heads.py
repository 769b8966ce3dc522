"""Games with heads, small and in float64, and what their moves come to eagerly and traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gansmith.build import accepted
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import adversarial, penalties
from gansmith.networks import mlp

BATCH, NOISE, CLASSES, SHAPE = 6, 8, 3, (1, 4, 4)
LABELS = torch.tensor([0, 2, 1, 2, 0, 1])
KNOBS = {"r1": 0.3, "r2": 0.2, "gradient_penalty": 0.5}


def make(cls: type[Synthesis], names: tuple[str, ...] = (), classes: int = CLASSES, **fields: Any) -> Any:
    """A game on perceptrons, its discriminator unconditional."""
    torch.manual_seed(0)
    nets = mlp.Generator(SHAPE, NOISE, classes, hidden=(9,)), mlp.Discriminator(SHAPE, hidden=(8, 5))
    lazies = {name: Lazy(getattr(penalties, name)()) for name in names}
    fields = {"loss": adversarial.nonsaturating(), "noise": NOISE, "penalties": lazies, **fields}
    if "classes" in accepted(cls)[0]:
        fields["classes"] = classes
    return cls(*nets, **fields).double()


def turn_of(game: Synthesis, move: str, labels: torch.Tensor | None = LABELS) -> Turn:
    data = torch.rand(BATCH, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2 - 1
    return Turn(Batch(data, labels), Draws(0, 0, BATCH, prefix=move), KNOBS)


def targets_of(game: Synthesis, move: str) -> list[nn.Parameter]:
    (trains,) = [each.trains for each in game.moves() if each.name == move]
    return [p for name in trains for p in getattr(game, name).parameters()]


def check(game: Synthesis, move: str, wanted: Mapping[str, torch.Tensor], labels: torch.Tensor | None = LABELS) -> None:
    """The move's terms are those that are wanted, and its gradient that of their means, eagerly and traced."""
    targets, turn = targets_of(game, move), turn_of(game, move, labels)
    loss = sum(term.mean() for term in wanted.values())
    assert isinstance(loss, torch.Tensor)
    grads = torch.autograd.grad(loss, targets, allow_unused=True)
    for stepper in (Eager(game), Compiled(game, lambda graph: graph)):
        result = stepper(move, turn, targets)
        assert {name for name in result.terms if "/" not in name} == set(wanted)
        for name, value in wanted.items():
            assert result.terms[name].shape == (BATCH,)
            torch.testing.assert_close(result.terms[name], value.detach(), msg=name)
        for mine, theirs in zip(result.grads, grads, strict=True):
            zero = torch.zeros(())
            torch.testing.assert_close(
                zero if mine is None else mine, zero if theirs is None else theirs.detach(), check_dtype=False
            )


def noise_of(game: Synthesis, move: str) -> torch.Tensor:
    return game.latents(turn_of(game, move)).double()


def moved(game: Synthesis) -> set[str]:
    """The networks that a round trains."""
    return {name for move in game.moves() for name in move.trains}
