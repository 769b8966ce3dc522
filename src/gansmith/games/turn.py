"""What a game and the engine say to each other: a move, a turn of it, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gansmith.data.dataset import Batch
from gansmith.draws import Draws


@dataclass(frozen=True)
class Move:
    """One kind of update.

    Attributes:
        name: the game's method `{name}_loss` gives its terms; its optimiser goes by this name too.
        trains: names of the networks whose parameters it trains.
        steps: times in a row that it is played in a round.
        every: it is played in each n-th round only.
        fresh: each step takes the next batch and moves the clock; otherwise it sees the last one.
        phase: the phase of the recipe in which it is played; None is all.
    """

    name: str
    trains: tuple[str, ...]
    steps: int = 1
    every: int = 1
    fresh: bool = False
    phase: str | None = None


@dataclass(frozen=True)
class Turn:
    """All that a move may look at.

    Attributes:
        batch: the examples.
        draws: the random numbers.
        knobs: scheduled values by name (`r1` is that penalty's weight), and the clocks `progress` and `phase`.
        state: the game's state, by name.
        shared: what earlier moves of this round handed on.
        step: how often this move has been played before; only `Game.variant` may depend on it.
    """

    batch: Batch
    draws: Draws
    knobs: Mapping[str, float | torch.Tensor] = field(default_factory=dict[str, float | torch.Tensor])
    state: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    shared: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    step: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a move gives back.

    Attributes:
        terms: what is minimised, by name; the move's loss is their sum. [B] each, or a scalar where a
            term is coupled across the batch (already averaged over all ranks).
        state: new values of states.
        shared: for later moves of this round. What carries a graph is handed on until a network that it
            goes through is trained, and never of a compiled move or a microbatch: a move makes it anew then.
        watched: numbers to log that are not minimised, [B] or scalar each. By `on_real` and `on_fake`, logits [B] of
            a discriminator that are greater for what it takes for real, the engine watches over stability.
    """

    terms: Mapping[str, torch.Tensor]
    state: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    shared: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    watched: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
