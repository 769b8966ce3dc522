"""A run's events as they come: each look reads on from where the last one ended, and memory stays bounded."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from gansmith.contenders import seconds_at
from gansmith.errors import GansmithError
from gansmith.ranking import better_of, cards_of, cost
from gansmith.run import Run
from gansmith.scores import is_number

ROWS = 1200
"""Rows of a table; of more, two and two become one."""

LISTED = 400
"""Scores, warnings and snapshots that are kept of a run, of each the newest."""

TAIL = 64
"""Bytes before the last look's end, by which it is seen whether the file is still the same."""

PIECE = 1 << 20
"""Bytes read at a time."""

PATIENCE = 0.5
"""Seconds for which one look reads: a long run is read in several, and nobody waits for it."""

SILENT = 300
"""Seconds after which a training that says nothing is taken for one that was killed."""


class Column:
    """One quantity: in each row the mean, least and greatest of so many reports."""

    def __init__(self, rows: int) -> None:
        self.number = [0] * rows
        self.mean: list[float | None] = [None] * rows
        self.low: list[float | None] = [None] * rows
        self.high: list[float | None] = [None] * rows

    def put(self, number: int, mean: float | None, low: float | None, high: float | None) -> None:
        """Add to the last row."""
        if mean is None or low is None or high is None:
            return
        held, lows, highs = self.number[-1], self.low, self.high
        if not held:
            self.number[-1], self.mean[-1], lows[-1], highs[-1] = number, mean, low, high
            return
        before, least, greatest = self.mean[-1], lows[-1], highs[-1]
        assert before is not None
        assert least is not None
        assert greatest is not None
        self.number[-1], self.mean[-1] = held + number, before + (mean - before) * number / (held + number)
        if low < least:
            lows[-1] = low
        if high > greatest:
            highs[-1] = high

    def open(self) -> None:
        """Begin a row."""
        self.number.append(0)
        for each in (self.mean, self.low, self.high):
            each.append(None)

    def drop(self) -> None:
        """Forget the last row."""
        for each in (self.number, self.mean, self.low, self.high):
            each.pop()


class Table:
    """Numbers over a clock, a row for each report; where there are too many, several reports share a row.

    Args:
        most: rows.

    Attributes:
        stride: reports that share a row.
        epoch: raised whenever rows that were told of are no longer so.
        images, seconds: the clock and the wall seconds at each row's last report.
    """

    def __init__(self, most: int = ROWS) -> None:
        self.most, self.stride, self.epoch = most, 1, 0
        self.images: list[float] = []
        self.seconds: list[float] = []
        self._reports: list[int] = []
        self.columns: dict[str, Column] = {}

    def add(self, images: float, seconds: float, values: Mapping[str, float]) -> None:
        """Add a report; what is later than its clock was undone by a roll-back, and is forgotten."""
        self.back(images)
        if self._reports and self._reports[-1] < self.stride:
            self._reports[-1] += 1
            self.images[-1], self.seconds[-1] = images, seconds
        else:
            if len(self.images) >= self.most:
                self._halve()
            self._open(images, seconds, 1)
        columns = self.columns
        for name, value in values.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = Column(len(self.images))
            column.put(1, value, value, value)

    def back(self, images: float) -> None:
        """Forget the rows at this clock and later."""
        while self.images and self.images[-1] >= images:
            self.epoch += 1
            for each in (self.images, self.seconds, self._reports):
                each.pop()
            for column in self.columns.values():
                column.drop()

    def told(self, epoch: int, have: int) -> dict[str, Any]:
        """The rows that one lacks who has `have` rows of an epoch: also the last of these, which may have grown."""
        start = max(min(have, len(self.images)) - 1, 0) if epoch == self.epoch else 0
        columns = {}
        for name, column in self.columns.items():
            columns[name] = {"mean": _brief(column.mean[start:])}
            if self.stride > 1:
                columns[name] |= {"low": _brief(column.low[start:]), "high": _brief(column.high[start:])}
        return {
            "epoch": self.epoch, "from": start, "stride": self.stride, "images": self.images[start:],
            "seconds": _brief(self.seconds[start:]), "columns": columns,
        }  # fmt: skip

    def seconds_at(self, images: float) -> float:
        """Wall seconds at a clock."""
        return seconds_at(images, [(0.0, 0.0), *zip(self.images, self.seconds, strict=True)])

    def _open(self, images: float, seconds: float, reports: int) -> None:
        self.images.append(images)
        self.seconds.append(seconds)
        self._reports.append(reports)
        for column in self.columns.values():
            column.open()

    def _halve(self) -> None:
        old = Table(self.most)
        old.__dict__.update(self.__dict__)
        self.stride, self.epoch = old.stride * 2, old.epoch + 1
        self.images, self.seconds, self._reports = [], [], []
        self.columns = {name: Column(0) for name in old.columns}
        for i in range(len(old.images)):
            if i % 2 == 0:
                self._open(old.images[i], old.seconds[i], old._reports[i])
            else:
                self.images[-1], self.seconds[-1] = old.images[i], old.seconds[i]
                self._reports[-1] += old._reports[i]
            for name, column in old.columns.items():
                self.columns[name].put(column.number[i], column.mean[i], column.low[i], column.high[i])


def _brief(values: list[Any]) -> list[Any]:
    """In six digits: more than a screen shows, and a third of the message."""
    return [None if value is None else float(f"{value:.6g}") for value in values]


Kept = TypeVar("Kept")


class OfFile(Generic[Kept]):
    """What a file holds, read again only when it has changed."""

    def __init__(self, path: Path, read: Callable[[], Kept]) -> None:
        self._path, self._read = path, read
        self._stamp: tuple[int, ...] | None = None
        self._held: Kept | None = None

    def get(self) -> Kept:
        """What it holds now; the reader's own errors go through."""
        try:
            state = self._path.stat()
            stamp: tuple[int, ...] | None = (state.st_mtime_ns, state.st_size, state.st_ino)
        except OSError:
            stamp = None
        if self._held is None or stamp is None or stamp != self._stamp:
            self._held, self._stamp = self._read(), stamp
        return self._held


class Follower:
    """Follows a run; `look` reads what is new.

    Attributes:
        table: losses, knobs and speed.
        scores: what was measured: `images`, `values` and `spreads` by name.
        warnings: clock and text.
        snapshots: clocks.
        images, total: the clock, and where it ends.
        began, time: of the first and of the last event, in seconds since 1970.
        reason: how it ended, or None.
        behind: whether there is more to be read than one look could.
        bytes_read: of its events, over all looks.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.info = OfFile(run.info_file, run.info)
        self.recipe = OfFile(run.recipe_file, run.recipe)
        self.bytes_read = 0
        self._epochs = 0
        self._again()

    def look(self, patience: float | None = None) -> None:
        """Read the events that are new; from the first where the file is no longer the one of the last look.

        Args:
            patience: seconds after which the rest is left to the next look.
        """
        try:
            with open(self.run.events_file, "rb") as file:
                state = os.fstat(file.fileno())
                if state.st_ino != self._inode or state.st_size < self._at or not self._same(file):
                    self._again()
                    self._inode = state.st_ino
                file.seek(self._at)
                self._read(file, time.monotonic() + (PATIENCE if patience is None else patience))
        except OSError:
            pass  # it has not begun, or is just being replaced

    @property
    def alive(self) -> bool:
        """Whether it is being trained, as far as can be told."""
        if self.reason is not None or not self._begun:
            return False
        return self.run.trained_by() is not None or time.time() - self.written() < SILENT

    def status(self) -> str:
        """`done`, `converged`, `interrupted`, `failed`, `running`, `stopped` (killed), `reading`, or `unknown`."""
        if self.behind:
            return "reading"
        if self.reason is not None:
            return self.reason
        if not self._begun:
            return str(self.info.get().get("status", "unknown"))
        return "running" if self.alive else "stopped"

    def best(self) -> dict[str, Any] | None:
        """The best value of the first score, its name and its clock; None where it was not scored."""
        if not self.scores:
            return None
        name = next(iter(self.scores[0]["values"]))
        card = cards_of(self.info.get()).get(name)
        mine = [(each["values"][name], each["images"]) for each in self.scores if name in each["values"]]
        value, images = min(mine, key=lambda each: cost(each[0], card))
        return {"name": name, "value": value, "images": images, "better": better_of(card)}

    def _again(self) -> None:
        self._at, self._inode, self._tail = 0, -1, b""
        self._epochs += 1
        self.table = Table()
        self.table.epoch = self._epochs << 20
        self.scores: list[dict[str, Any]] = []
        self.warnings: list[tuple[int, str]] = []
        self.snapshots: list[int] = []
        self.warned = 0
        self.images, self.total, self.seconds, self.rate, self.time, self.began = 0, 0, 0.0, 0.0, 0.0, 0.0
        self.reason: str | None = None
        self._begun = self.behind = False

    def _same(self, file: Any) -> bool:
        file.seek(self._at - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _read(self, file: Any, end: float) -> None:
        rest = b""
        self.behind = False
        while piece := file.read(PIECE):
            self.bytes_read += len(piece)
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()  # a line that is not whole yet is read again at the next look
            for line in lines:
                self._line(line)
            whole = b"\n".join([*lines, b""]) if lines else b""
            self._at += len(whole)
            self._tail = (self._tail + whole)[-TAIL:]
            if time.monotonic() > end:
                self.behind = len(piece) == PIECE
                return

    def _line(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return
        if not isinstance(event, dict) or not is_number(event.get("images")):
            return
        take = {"progress": self._progress, "score": self._score, "end": self._end, "begin": self._begin}
        kind, images = event.get("event"), int(event["images"])
        self.time = float(event["time"]) if is_number(event.get("time")) else self.time
        self.images = images
        if kind in take:
            take[kind](images, event)
        elif kind == "warning":
            self.warned += 1
            self.warnings = [*self.warnings[1 - LISTED :], (images, str(event.get("text", "")))]
        elif kind == "snapshot":
            kept = [each for each in self.snapshots if each < images]
            self.snapshots = [*kept[1 - LISTED :], images]

    def _begin(self, images: int, event: Mapping[str, Any]) -> None:
        self._begun, self.reason = True, None
        self.began = self.began or self.time
        self.total = int(event["total"]) if is_number(event.get("total")) else self.total

    def _end(self, images: int, event: Mapping[str, Any]) -> None:
        self.reason = str(event.get("reason", "unknown"))

    def _progress(self, images: int, event: Mapping[str, Any]) -> None:
        self._begun = True
        values = {}
        for group in ("terms", "knobs"):
            told = event.get(group)
            if isinstance(told, Mapping):
                values |= {f"{group}/{name}": value for name, value in told.items() if is_number(value)}
        if is_number(event.get("rate")):
            self.rate = values["rate"] = event["rate"]
        if is_number(event.get("total")):
            self.total = int(event["total"])
        if is_number(event.get("seconds")):
            self.seconds = float(event["seconds"])
        self.table.add(images, self.seconds, values)

    def _score(self, images: int, event: Mapping[str, Any]) -> None:
        told = event.get("scores")
        if not isinstance(told, Mapping):
            return
        values = {name: float(v) for name, v in told.items() if is_number(v) and "/" not in name}
        spreads = {name: told[f"{name}/spread"] for name in values if is_number(told.get(f"{name}/spread"))}
        kept = [each for each in self.scores if each["images"] < images]
        if values:
            self.scores = [*kept[1 - LISTED :], {"images": images, "values": values, "spreads": spreads}]

    def written(self) -> float:
        """When it last said something, in seconds since 1970."""
        try:
            return self.run.events_file.stat().st_mtime
        except OSError:
            return 0.0


def damaged(error: GansmithError) -> str:
    """What is wrong with a run, without the path of its folder."""
    return error.what.rpartition(": ")[2] or error.what
