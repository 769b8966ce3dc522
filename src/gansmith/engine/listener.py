"""How the outside hears of a training: the trainer calls listeners, and knows nothing of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gansmith.data.dataset import Dataset
    from gansmith.engine.sampler import Sampler
    from gansmith.recipe import Recipe
    from gansmith.run import Run


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        images: the clock.
        total: length of the training, in images.
        seconds: wall seconds of training so far, over all sessions, measuring and saving included.
        cpu_seconds: processor seconds, likewise.
        rate: images/s since the last report.
        terms: mean of each term since the last report, by `move/term` (`discriminator/adversarial`).
        knobs: the scheduled values now, by name (`lr`, `r1`, `ema_half_life`).
    """

    images: int
    total: int
    seconds: float
    cpu_seconds: float
    rate: float
    terms: Mapping[str, float] = field(default_factory=dict)
    knobs: Mapping[str, float] = field(default_factory=dict)


class Listener:
    """Hears of a training; override what you need. Called on rank 0 only."""

    def note(self, text: str) -> None:
        """Something that was chosen, and why; before the training begins."""

    def begin(self, run: Run, recipe: Recipe, dataset: Dataset, images: int) -> None:
        """Training begins, or goes on, at this clock."""

    def progress(self, progress: Progress) -> None:
        """About once a second."""

    def snapshot(self, images: int, sampler: Sampler) -> None:
        """A snapshot: `sampler` holds the averaged weights in eval mode."""

    def score(self, images: int, scores: Mapping[str, float]) -> None:
        """The run was scored; lower is better unless the metric's name says otherwise."""

    def warning(self, images: int, text: str) -> None:
        """Something that the user should know, in one plain line."""

    def end(self, images: int, reason: str) -> None:
        """Training ends: `done`, `converged`, `interrupted` or `failed`."""
