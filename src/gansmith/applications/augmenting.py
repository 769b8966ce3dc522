"""Labelled examples made by a GAN from few, filtered; and the trial of whether they help. Knows no kind of data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gansmith.applications.benefit import PLAIN, Codes, Fold, Trial, judged, scores_for
from gansmith.applications.screening import REASONS, Judge, Screen
from gansmith.engine.listener import Listener, Progress
from gansmith.errors import Refused

TRIES = 20
"""Examples that are made for each that is asked for, at most."""

SPARE = 1.3
"""Examples that are made at once for each that is still wanted."""

Maker = Callable[[int, int, int], Any]
"""(class, n, seed) → n examples; the first k of n are those of k."""


class Kind(Protocol):
    """What there is to know of a kind of data."""

    words: str
    ways: Mapping[str, str | None]

    def take(self, data: Any, rows: NDArray[Any]) -> Any:
        """Some of the examples."""
        ...

    def join(self, parts: Sequence[Any]) -> Any:
        """Examples one after the other."""
        ...

    def generator(self, data: Any, labels: Codes, seed: int, folder: Path, listeners: Sequence[Listener] = ()) -> Maker:
        """Train a conditional generator; KeyboardInterrupt where the training is interrupted."""
        ...

    def judge(
        self, data: Any, labels: Codes, seed: int, way: str = PLAIN, made: Any = None, made_labels: Codes | None = None
    ) -> Judge:
        """Train a classifier, one of the ways, which takes of the made examples what it needs."""
        ...


@dataclass(frozen=True)
class Made:
    """Made examples that were kept, and where each is from.

    Attributes:
        data: of the kind's own form.
        labels: the class of each, int64 [n].
        draw: the seed of its draw, and its place among those drawn, int64 [n, 2].
        share: how sure a classifier of the real examples is of its class, [n].
        nearest: the training example of its class that it is nearest to, [n].
        distance: to that, in the classifier's features, [n].
        reasons: why others were rejected, by number.
        lacking: classes of which fewer were kept than asked for, and how many were.
    """

    data: Any
    labels: Codes
    draw: NDArray[np.int64]
    share: NDArray[np.float64]
    nearest: NDArray[np.int64]
    distance: NDArray[np.float64]
    reasons: Mapping[str, int]
    lacking: Mapping[int, int]


@dataclass(frozen=True)
class Task:
    """Examples to be added to.

    Attributes:
        kind: of data.
        data: the real examples, in the kind's own form.
        labels: their classes, int64 [n].
        classes: names of the classes.
        wanted: how many to make of each class, by code.
        seed: of everything random.
        say: told in one line where it stands.
    """

    kind: Kind
    data: Any
    labels: Codes
    classes: tuple[Any, ...]
    wanted: Mapping[int, int]
    seed: int = 0
    say: Callable[[str], None] = field(default=lambda text: None)

    @cached_property
    def plain(self) -> Judge:
        """The classifier of the real examples alone: made ones are screened by it, and measured against it."""
        return self.kind.judge(self.data, self.labels, self.seed)

    def part(self, rows: NDArray[Any], seed: int, what: str) -> Task:
        """The same with some of the examples."""
        return Task(
            self.kind, self.kind.take(self.data, rows), self.labels[rows], self.classes, self.wanted, seed,
            lambda text: self.say(f"{what}: {text}"),
        )  # fmt: skip


class _Watch(Listener):
    """Passes on how far a training is."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def progress(self, progress: Progress) -> None:
        self.say(f"generator {progress.images / max(progress.total, 1):.0%} trained")


def grow(task: Task, folder: Path) -> Made:
    """Train a generator, and make examples until so many are kept as are wanted.

    Args:
        task: examples, and what is wanted.
        folder: where the training writes its run.

    Raises:
        KeyboardInterrupt: the training was interrupted.
    """
    maker = task.kind.generator(task.data, task.labels, task.seed, folder, (_Watch(task.say),))
    screen = Screen(task.plain, task.data, task.labels, len(task.classes))
    parts: list[Any] = []
    columns: list[tuple[NDArray[Any], ...]] = []
    rejected, lacking = np.zeros(len(REASONS) + 1, np.int64), dict[int, int]()
    for label, n in task.wanted.items():
        got = tried = rounds = 0
        while got < n and tried < TRIES * n:
            count = int(SPARE * (n - got)) + 8
            draw = task.seed + 1000 * rounds
            try:
                data = maker(label, count, draw)
            except Refused:  # a table's condition is met too seldom
                break
            found = screen(data, np.full(count, label, np.int64))
            rows = np.flatnonzero(found.reason == 0)[: n - got]
            seen = int(rows[-1]) + 1 if len(rows) == n - got else count
            rejected += np.bincount(found.reason[:seen], minlength=len(REASONS) + 1)
            parts.append(task.kind.take(data, rows))
            draws = np.stack([np.full(len(rows), draw), rows], 1)
            labels = np.full(len(rows), label, np.int64)
            columns.append((labels, draws, found.share[rows], found.nearest[rows], found.distance[rows]))
            got, tried, rounds = got + len(rows), tried + count, rounds + 1
        if got < n:
            lacking[label] = got
    if not columns:
        none = np.zeros(0, np.int64)
        parts.append(task.kind.take(task.data, none))
        columns.append((none, np.zeros((0, 2), np.int64), np.zeros(0), none, np.zeros(0)))
    labels, draws, share, nearest, distance = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    reasons: dict[str, int] = dict(zip(REASONS, rejected[1:].tolist(), strict=True))
    return Made(task.kind.join(parts), labels, draws, share, nearest, distance, reasons, lacking)


# --- whether it helps ------------------------------------------------------------------------------


def cross_validated(task: Task, folds: int, focus: int | None, score: str | None = None) -> Trial:
    """The trial by stratified cross-validation: generator, filter and classifiers know a fold's training part alone."""
    from sklearn.model_selection import StratifiedKFold

    least = int(np.bincount(task.labels, minlength=len(task.classes)).min())
    k = min(folds, least)
    cut: Any = StratifiedKFold(k, shuffle=True, random_state=task.seed)
    found: list[Fold] = []
    for i, (train, test) in enumerate(cut.split(task.labels, task.labels)):
        part = task.part(train, task.seed + i, f"fold {i + 1} of {k}")
        found.append(_fold(part, _grown(part), task.kind.take(task.data, test), task.labels[test]))
    how = f"by {k} folds of {len(task.labels):,} {task.kind.words}"
    return judged(found, task.kind.ways, scores_for(focus, score), how, same=False)


def by_test_set(
    task: Task, first: Made, seeds: int, test: Any, truth: Codes, focus: int | None, score: str | None = None
) -> Trial:
    """The trial by examples of the user's own, over several seeds of generator and classifiers.

    Args:
        task: examples to be added to.
        first: what the task's own seed made.
        seeds: how many, that one among them.
        test: examples to test by.
        truth: their classes.
        focus: the class that matters; None where all do.
        score: by which to judge.
    """
    every = np.arange(len(task.labels))
    found: list[Fold] = []
    for i in range(seeds):
        part = task.part(every, task.seed + i, f"seed {i + 1} of {seeds}")
        found.append(_fold(part, _grown(part) if i else first, test, truth))
    how = f"on {len(truth):,} {task.kind.words}, over {seeds} seeds"
    return judged(found, task.kind.ways, scores_for(focus, score), how, same=True)


def _grown(task: Task) -> Made:
    with tempfile.TemporaryDirectory(prefix="gansmith-augment-") as folder:
        return grow(task, Path(folder) / "run")


def _fold(task: Task, made: Made, test: Any, truth: Codes) -> Fold:
    task.say("classifiers")
    shares = {PLAIN: task.plain.shares(test)}
    for way in task.kind.ways:
        if way != PLAIN:
            judge = task.kind.judge(task.data, task.labels, task.seed, way, made.data, made.labels)
            shares[way] = judge.shares(test)
    return Fold(truth, shares, len(task.labels))
