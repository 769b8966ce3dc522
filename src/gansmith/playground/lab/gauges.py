"""What the Lab measures beside the training: losses and gradients, modes, the exact distance, and the watch's verdict.

Everything is taken at fixed places of the timeline, so that it is the same however fast it was played.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from gansmith.engine.player import SAMPLED_ROUNDS
from gansmith.engine.sampler import latents
from gansmith.engine.signals import Signal, Signals
from gansmith.engine.watch import APART, LONG, diagnose
from gansmith.metrics.modes import mode_coverage
from gansmith.metrics.wasserstein import wasserstein_distance
from gansmith.playground.lab.play import Play

SAMPLES, PAIRED, FLOORS = 1000, 256, 3
"""Fakes whose modes are counted, and of which the exact distance is taken (its cost grows as the cube); and sets of as
many other real examples, whose mean distance is what even perfect fakes would have."""

REMEMBERED = 4 * LONG
"""Probes that the watch looks back over."""

WAITING = 8192
"""Rows that may wait to be handed out."""

LOST = "weights are no numbers any more"

SEED = 20
"""Of the noise that is measured with; what is shown has seed 0."""


class Gauges:
    """The measurements of one play.

    Args:
        play: whose.

    Attributes:
        points: rows (t, D's loss, G's loss, D's gradient, G's gradient) that were not yet handed out.
        scores: rows (t, modes, share of high quality, W2) likewise; NaN where the data have no modes.
        troubles: what the watch says now.
    """

    def __init__(self, play: Play) -> None:
        self.play = play
        self.points: list[list[float]] = []
        self.scores: list[list[float]] = []
        self.troubles: list[Mapping[str, str]] = []
        self.upto = self.scored = -1
        self.close = False
        self.history: list[tuple[int, Signal]] = []
        self._now: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        array = play.points
        self.real = torch.from_numpy(array[:PAIRED])
        others = [array[i * PAIRED : (i + 1) * PAIRED] for i in range(1, 1 + FLOORS)]
        self.floor = sum(wasserstein_distance(self.real, other) for other in others) / FLOORS
        play.noted, play.changed = self._note, self._attach
        self._attach()

    def _attach(self) -> None:
        player = self.play.player
        noted = player.noted
        self.signals = Signals(player)
        player.noted = noted
        self.closely(self.close)
        self.noise: dict[int, torch.Tensor] = {}

    def closely(self, close: bool) -> None:
        """Sample each round, as who goes step by step wants it, or now and then."""
        self.close = close
        self.play.player.sampled = 1 if close else SAMPLED_ROUNDS

    def _note(self, move: str, terms: Mapping[str, torch.Tensor], norm: torch.Tensor) -> None:
        self.signals.note(move, terms, norm)
        losses = [value.mean() for name, value in terms.items() if not name.startswith("watched/")]
        self._now[move] = (torch.stack(losses).sum(), norm)

    def look(self) -> None:
        """Take what is due after a play."""
        at = self.play.at
        if at > self.upto and len(self._now) == 2:
            values = torch.stack([x for move in ("discriminator", "generator") for x in self._now[move]]).tolist()
            d_loss, d_norm, g_loss, g_norm = values
            self.points.append([at, d_loss, g_loss, d_norm, g_norm])
            if len(self.points) > WAITING:  # nobody looks; who comes back sees every other one
                del self.points[::2]
            self.upto, self._now = at, {}
        if at % APART == 0 and at > self.scored:
            self.scored = at
            found = self.score()
            self.scores.append([at, *found])
            if math.isfinite(found[-1]):
                self._probe()
            else:
                self.troubles = [
                    {"name": "divergence", "line": LOST, "remedy": "Go back, and lower the learning rates"}
                ]

    def score(self) -> list[float]:
        """Modes covered, share of high quality, and the exact 2-Wasserstein distance to as many real examples."""
        fakes = self.play.player.game.generate(self._noise(SAMPLES)).detach()
        if not bool(torch.isfinite(fakes).all()):
            return [float("nan")] * 3
        modes = self.play.dataset.modes
        found = None if modes is None else mode_coverage(fakes, modes.centres, modes.sigma)
        both = [float("nan")] * 2 if found is None else [float(found.covered), found.good]
        return [*both, wasserstein_distance(fakes[:PAIRED], self.real)]

    def _noise(self, count: int) -> torch.Tensor:
        if count not in self.noise:
            self.noise[count] = torch.from_numpy(latents(count, self.play.settings.noise, SEED))
        return self.noise[count]

    def _probe(self) -> None:
        at, found = self.play.at, self.signals.probe()
        self.history = [(when, signal) for when, signal in self.history if when < at][-REMEMBERED:]
        self.history.append((at, found))
        self.troubles = [
            {"name": each.name, "line": each.line, "remedy": each.remedy}
            for each in diagnose([signal for _, signal in self.history])
        ]

    def back_to(self, at: int) -> None:
        """The play goes on from here, otherwise than before: what was measured later is measured anew."""
        self.upto, self.scored = min(self.upto, at), min(self.scored, at)
        self.history = [(when, signal) for when, signal in self.history if when <= at]
        self.points = [row for row in self.points if row[0] <= at]
        self.scores = [row for row in self.scores if row[0] <= at]

    def taken(self) -> dict[str, list[list[float]]]:
        """What was not yet handed out."""
        out = {"points": self.points, "scores": self.scores}
        self.points, self.scores = [], []
        return out

    def facts(self) -> dict[str, Any]:
        """What the page needs to know of the data, once."""
        modes = self.play.dataset.modes
        return {"modes": None if modes is None else len(modes.centres), "floor": self.floor}
