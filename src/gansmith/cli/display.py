"""What a training shows while it runs, and what it says at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gansmith.engine.listener import Listener, Progress
from gansmith.errors import DONE, PARTLY
from gansmith.report import classes_of, duration, figure, next_commands

if TYPE_CHECKING:
    from gansmith.data.dataset import Dataset, Problem
    from gansmith.recipe import Recipe
    from gansmith.run import Run

SECONDS = 15
"""Between two lines where the output is no terminal."""

NAMED = 10
"""Skipped files that are named; the rest are counted."""


class Display(Listener):
    """Prints lines: how it begins, now and then where it stands, and each warning.

    Attributes:
        run: the run, once it has begun.
        dataset: what it trains on.
        images: the clock.
        reason: how the training ended, or None.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.dataset: Dataset | None = None
        self.images, self.total, self.seconds = 0, 0, 0.0
        self.reason: str | None = None
        self._pace = Pace()
        self._scores: Mapping[str, float] = {}
        self._said = 0.0

    def begin(self, run: Run, recipe: Recipe, dataset: Dataset, images: int) -> None:
        """Say what is trained on what."""
        self.run, self.dataset, self.images, self.total = run, dataset, images, recipe.images
        for line in opening(recipe, dataset, images):
            self.say(line)
        self.say(f"  into {run.path}; Ctrl-C saves and stops")

    def progress(self, progress: Progress) -> None:
        """Say where it stands, every so often."""
        self.images, self.total, self.seconds = progress.images, progress.total, progress.seconds
        self._pace.add(progress)
        self.show(progress)

    def show(self, progress: Progress) -> None:
        """Print a line if the last one is some time ago."""
        if time.monotonic() - self._said >= SECONDS or progress.images >= progress.total:
            self._said = time.monotonic()
            share = progress.images / max(progress.total, 1)
            parts = [
                f"{progress.images:>11,} of {progress.total:,} images  {share:>4.0%}",
                f"{figure(self._pace.rate)} images/s",
                f"{duration(self._pace.left(progress))} left",
                *self._numbers(progress),
            ]
            self.say("   ".join(parts))

    def _numbers(self, progress: Progress) -> list[str]:
        losses = [f"{move} {value:.3f}" for move, value in by_move(progress.terms).items()]
        augmented = {name: value for name, value in progress.knobs.items() if name.partition("/")[0] == "augment"}
        return losses + [f"{name} {figure(value)}" for name, value in {**augmented, **self._scores}.items()]

    def score(self, images: int, scores: Mapping[str, float]) -> None:
        """Remember the newest score."""
        self._scores = {name: value for name, value in scores.items() if "/" not in name}

    def warning(self, images: int, text: str) -> None:
        """Say it at once."""
        self.say(f"warning (at {images:,} images): {text}")

    def end(self, images: int, reason: str) -> None:
        """Remember how it ended."""
        self.images, self.reason = images, reason

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)


class LiveDisplay(Display):
    """A bar and the newest numbers, kept at the bottom of a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._live: Any = None

    def show(self, progress: Progress) -> None:
        """Redraw."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(refresh_per_second=4, redirect_stderr=False)
            self._live.start()
        self._live.update(self._picture(progress))

    def _picture(self, progress: Progress) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        share = progress.images / max(progress.total, 1)
        line = Table.grid(padding=(0, 2))
        room = self._live.console.width - 76  # what the numbers need beside it
        line.add_row(
            ProgressBar(total=1.0, completed=min(share, 1.0), width=min(max(room, 4), 30)),
            Text(f"{share:.0%}"),
            Text(f"{progress.images:,} of {progress.total:,} images"),
            Text(f"{figure(self._pace.rate)} images/s"),
            Text(f"{duration(self._pace.left(progress))} left"),
        )
        return Group(line, Text("   ".join(self._numbers(progress)), style="dim"))

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._live is None:
            print(text, flush=True)
        else:
            self._live.console.print(text, markup=False, highlight=False)

    def end(self, images: int, reason: str) -> None:
        """Let go of the terminal."""
        super().end(images, reason)
        self.close()

    def close(self) -> None:
        """Let go of the terminal, whatever has happened."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class Pace:
    """Images a second over the last reports, so that the time left does not jump about."""

    def __init__(self) -> None:
        self.rate = 0.0

    def add(self, progress: Progress) -> None:
        """Take in a report."""
        self.rate = progress.rate if not self.rate else 0.8 * self.rate + 0.2 * progress.rate

    def left(self, progress: Progress) -> float:
        """Seconds to the end at this pace."""
        return max(progress.total - progress.images, 0) / self.rate if self.rate > 0 else 0.0


def make_display() -> Display:
    """The display that fits standard output: live on a terminal, lines otherwise."""
    if not sys.stdout.isatty():
        return Display()
    try:
        import rich  # noqa: F401
    except ImportError:
        return Display()
    return LiveDisplay()


def by_move(terms: Mapping[str, float]) -> dict[str, float]:
    """The loss of each move: the sum of its terms (`discriminator/adversarial`, `discriminator/r1`)."""
    sums: dict[str, float] = {}
    for name, value in terms.items():
        move, _, term = name.partition("/")
        if term.startswith("watched/"):
            continue
        sums[move] = sums.get(move, 0.0) + value
    return sums


def opening(recipe: Recipe, dataset: Dataset, images: int) -> list[str]:
    """What is trained on what, in a few lines."""
    shape = "x".join(map(str, dataset.shape))
    kind = "images" if dataset.modality == "image" else dataset.modality
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    lines = [f"{recipe.name} on {dataset.name}: {dataset.count:,} {kind} of {shape}{classes}"]
    lines += [f"  {note}" for note in dataset.notes]
    verb = f"goes on at {images:,} of" if images else "trains for"
    names = ", ".join(f"{role} {part.network}" for role, part in recipe.all_networks().items())
    # Without a discriminator nothing has the adversarial loss.
    plays = f"loss {recipe.loss.name}" if recipe.discriminator else f"game {recipe.game.name}"
    lines.append(f"  {verb} {recipe.images:,} images, {recipe.batch} a step; {names}; {plays}")
    return lines


def follow(work: Callable[[Listener], Run]) -> int:
    """Show a training while it runs, and say at the end what came of it.

    Args:
        work: trains, or goes on, with this listener, and gives the run.

    Returns:
        The exit code, as of `closing`.

    Raises:
        KeyboardInterrupt: where nothing was saved yet, so that there is nothing to go on with.
    """
    display = make_display()
    try:
        run = work(display)
    except KeyboardInterrupt:
        # The engine saves at the first Ctrl-C, and returns; the second comes through.
        if display.run is None or not display.run.checkpoints():
            raise
        display.reason, run = "interrupted", display.run
    finally:
        if isinstance(display, LiveDisplay):
            display.close()
    return closing(run, display)


def closing(run: Run, display: Display) -> int:
    """Say how a training ended, where to look and what to do next.

    Returns:
        The exit code: 0; or 1 where it was interrupted, or files were skipped.
    """
    if isinstance(display, LiveDisplay):
        display.close()
    reason = display.reason or "done"
    took = f" in {duration(display.seconds)}" if display.seconds else ""
    words = {
        "done": f"Done: {display.images:,} images{took}.",
        "converged": f"Done early at {display.images:,} images{took}: the score had stopped improving.",
        "interrupted": f"Stopped and saved at {display.images:,} of {display.total:,} images.",
    }
    print("\n" + words.get(reason, f"Ended ({reason}) at {display.images:,} images."))
    samples = run.samples()
    if samples:
        print(f"  samples  {samples[-1][1]}")
    if run.report_file.exists():
        print(f"  report   {run.report_file}")
    print("Next:")
    for line in next_commands(run, reason, classes_of(info := run.info()), info.get("use")):
        print(f"  {line}")
    problems = display.dataset.problems if display.dataset is not None else ()
    if problems:
        print("\n" + "\n".join(skipped(problems)))
    return PARTLY if problems or reason == "interrupted" else DONE


def skipped(problems: Sequence[Problem], at_most: int = NAMED) -> list[str]:
    """The files that were passed over, counted and named."""
    lines = [f"{len(problems):,} {'file was' if len(problems) == 1 else 'files were'} skipped:"]
    lines += [f"  {problem.path}: {problem.reason}" for problem in problems[:at_most]]
    if len(problems) > at_most:
        lines.append(f"  … and {len(problems) - at_most:,} more")
    return lines
