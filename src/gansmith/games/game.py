"""The interface of a game: the networks that play, and the moves they make.

A move is a pure function: examples, draws, state and scheduled knobs in; named terms and new state out.
No optimiser, no device, no file, no hidden randomness. The trainer plays any game, and knows none.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from gansmith.data.dataset import Batch, Dataset
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
        knobs: scheduled values, by name (`r1` is that penalty's weight).
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


class Game(nn.Module):
    """Networks and their moves; write `{move}_loss(turn) → Outcome` for each move, and `generate`."""

    coupled: bool = False
    """Whether a term or layer mixes the examples of a batch, so that it must not be split."""

    averaged: tuple[str, ...] = ("generator",)
    """Networks whose weights are averaged over training, and used after it."""

    def moves(self) -> Sequence[Move]:
        """The moves of a round, in order; by default the discriminator's and then the generator's."""
        return (Move("discriminator", ("discriminator",), fresh=True), Move("generator", ("generator",)))

    def states(self) -> dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]:
        """Fixed-shape tensors that outlive a step: first value, and how ranks are brought together."""
        return {}

    def variant(self, move: str, step: int) -> Hashable:
        """Whatever in a move depends on the step's number, so that each variant is compiled once."""
        return None

    def enter(self, phase: str) -> None:
        """A phase of the recipe begins (progressive growing opens a block here).

        A resume or a roll-back enters the phase of its clock alone: so it must not build on an earlier one.
        """

    def prepare(self, move: str, turn: Turn) -> Mapping[str, torch.Tensor]:
        """Gradient-free work before a move (rollouts); what it returns joins `turn.shared`."""
        return {}

    def sampler(self, dataset: Dataset) -> object | None:
        """An object with `indices(first, n)` and `more(first, n)` that chooses the rows, or None."""
        return None

    def play(self, move: str, turn: Turn) -> Outcome:
        """The outcome of a move."""
        return getattr(self, f"{move}_loss")(turn)

    forward = play  # so that functional_call reaches any move

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """What the trained game makes of noise [B, noise], in the data's scale."""
        raise NotImplementedError
