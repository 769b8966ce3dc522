"""The phases of a training on its clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gansmith.errors import Refused
from gansmith.fields import Phase
from gansmith.games.game import Game
from gansmith.recipe import Recipe


class Span(NamedTuple):
    """A phase on the clock: from `begin` to `end`, in images. Without a name it is all of a training."""

    name: str | None
    begin: float
    end: float


def phases_of(recipe: Recipe, game: Game) -> Sequence[Phase]:
    """The recipe's phases, or else the game's own.

    Raises:
        Refused: the recipe names one that the game does not have.
    """
    own = game.phases()
    known = [phase.name for phase in own]
    for phase in recipe.phases if own else ():
        if phase.name not in known:
            raise Refused(
                f"phases: the game {recipe.game.name} has no phase {phase.name!r}; there are {', '.join(known)}"
            )
    return recipe.phases or own


def spans(phases: Sequence[Phase], total: int) -> list[Span]:
    """Where each lies on a clock of `total` images, in order; one without a name where there are none."""
    found: list[Span] = []
    for phase in phases:
        until = phase.until * total if phase.until <= 1 else phase.until
        begin = found[-1].end if found else 0.0
        found.append(Span(phase.name, begin, max(begin, until)))
    return found or [Span(None, 0.0, total)]
