"""The interface of a game: the networks that play, and the moves they make.

A move is a pure function: examples, draws, state and scheduled knobs in; named terms and new state out.
No optimiser, no device, no file, no hidden randomness. The trainer plays any game, and knows none.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from gansmith.data.dataset import Batch, Dataset
from gansmith.data.feed import Sampler
from gansmith.draws import Draws
from gansmith.errors import Refused
from gansmith.fields import Phase
from gansmith.games.turn import Move, Outcome, Turn

__all__ = ["Game", "Move", "Outcome", "Turn"]


class Game(nn.Module):
    """Networks and their moves; write `{move}_loss(turn) → Outcome` for each move, and `generate`."""

    coupled: bool = False
    """Whether a term or layer mixes the examples of a batch, so that it must not be split."""

    averaged: tuple[str, ...] = ("generator",)
    """Networks whose weights are averaged over training, and used after it."""

    classes: tuple[str, ...] | None = None
    """Names of classes that `generate` can be asked for though no data has them, as a code's; else None."""

    use: str | None = None
    """How a trained game that makes nothing of noise alone is used, as `upscale PICTURES --run RUN`; else None."""

    better: Mapping[str, Literal["lower", "higher"]] = {}
    """What is better of each of its `numbers`, the chief first."""

    notes: tuple[str, ...] = ()
    """What it decided on its own, one plain line each."""

    def moves(self) -> Sequence[Move]:
        """The moves of a round, in order; by default the discriminator's and then the generator's."""
        return (Move("discriminator", ("discriminator",), fresh=True), Move("generator", ("generator",)))

    def states(self) -> dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]:
        """Fixed-shape tensors that outlive a step: first value, and how ranks are brought together."""
        return {}

    def variant(self, move: str, step: int) -> Hashable:
        """Whatever in a move depends on the step's number, so that each variant is compiled once."""
        return None

    def phases(self) -> Sequence[Phase]:
        """The phases of a training whose recipe names none; a recipe may move these or leave some out."""
        return ()

    def enter(self, phase: str) -> None:
        """A phase begins (progressive growing opens a block here).

        A resume, a roll-back and a loaded model enter their own phase alone: so it must not build on an earlier one.
        """

    def prepare(self, move: str, turn: Turn) -> Mapping[str, torch.Tensor]:
        """Gradient-free work before a move (rollouts); what it returns joins `turn.shared`."""
        return {}

    def sampler(self, dataset: Dataset, seed: int) -> Sampler | None:
        """What chooses the rows, and says something of each; None leaves them to the feed's own order."""
        return None

    def play(self, move: str, turn: Turn) -> Outcome:
        """The outcome of a move."""
        return getattr(self, f"{move}_loss")(turn)

    forward = play  # so that functional_call reaches any move

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """What the trained game makes of noise [B, noise], in the data's scale."""
        if self.use is None:
            raise NotImplementedError
        raise Refused("this run makes nothing of noise alone", f"It is used by `gansmith {self.use}`.")

    def truncated(self, noise: torch.Tensor, labels: torch.Tensor | None, psi: float) -> torch.Tensor:
        """As `generate`, nearer to the middle of what it makes: of noise that is scaled by psi in (0, 1]."""
        return self.generate(noise * psi, labels)

    def pictures(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """What to look at of held-out examples, in order and by name: images [B, C, H, W] in [-1, 1] of any sizes."""
        return {}

    def numbers(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """Scores of held-out examples, [B] each by name; they are averaged."""
        return {}
