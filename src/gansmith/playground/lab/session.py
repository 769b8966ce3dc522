"""A page's laboratory at work: one or two plays in step, in their own thread, and frames as fast as they are drawn."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from gansmith.data import Dataset
from gansmith.engine import hardware
from gansmith.errors import GansmithError, Refused
from gansmith.playground.lab.gauges import Gauges
from gansmith.playground.lab.play import ROUND, Play, Timeline, numerics
from gansmith.playground.lab.settings import Settings
from gansmith.playground.lab.view import PARTS, View
from gansmith.playground.room import Post

FASTEST, RATE_OVER, BRANCHES, THIN = 60.0, 0.5, 8, 6
"""Frames a second at most; seconds over which plays a second are counted; timelines that are kept when another is
followed, and keyframes of each of them."""

SLOW = 60
"""Plays a second up to which every one of them is measured."""

T = TypeVar("T")
log = logging.getLogger("gansmith.playground")


class Turns:
    """One after the other, in the order in which they came.

    Threads that each hold Python's lock for a moment keep each other waiting at every operation of torch; twenty pages
    that take turns of a frame's length are many times as fast.
    """

    def __init__(self) -> None:
        self._changed, self._next, self._now = threading.Condition(), 0, 0

    def __enter__(self) -> None:
        with self._changed:
            mine = self._next
            self._next += 1
            self._changed.wait_for(lambda: self._now == mine)

    def __exit__(self, *about: object) -> None:
        with self._changed:
            self._now += 1
            self._changed.notify_all()


TURNS = Turns()
"""Of all sessions of this process."""


@dataclass
class Branch:
    """Timelines that were left, one of each play, and where."""

    at: int
    lines: list[Timeline]

    @property
    def end(self) -> int:
        """Plays of the whole."""
        return max(line.end for line in self.lines)


class World:
    """Plays in step, with what is measured and shown of them.

    Args:
        sides: settings of one play, or of two.
        dataset: of both.
    """

    def __init__(self, sides: Sequence[Settings], dataset: Dataset) -> None:
        self.plays = [Play(settings, dataset) for settings in sides]
        self.gauges = [Gauges(play) for play in self.plays]
        self.views = [View(play) for play in self.plays]
        self.branches: list[Branch] = []

    def close(self) -> None:
        """Let go of all that it holds at once: parts that know each other would wait for the collector."""
        for play in self.plays:
            play.noted = play.changed = play.player.noted = None
            play.timeline = Timeline()
            play.player.close()
        self.branches.clear()

    @property
    def at(self) -> int:
        """Plays up to now."""
        return self.plays[0].at

    @property
    def end(self) -> int:
        """Plays of the timeline."""
        return max(play.end for play in self.plays)

    def play(self, kind: str) -> None:
        """Play one round or move of each."""
        left = [play.play(kind) for play in self.plays]
        self._left(left, self.at - 1)
        for gauges in self.gauges:
            gauges.look()

    def change(self, who: int, settings: Settings) -> None:
        """Give one side other settings from here on."""
        play = self.plays[who]
        if settings.data != play.settings.data or settings.seed != play.settings.seed:
            raise Refused("other data or another seed want a new start")
        left: list[Timeline | None] = [other.cut() if i != who else None for i, other in enumerate(self.plays)]
        left[who] = play.change(settings)
        self._left(left, self.at)

    def branch(self) -> None:
        """Keep the timeline as it is, and go on with another from here."""
        self._left([play.cut() for play in self.plays], self.at)

    def _left(self, lines: Sequence[Timeline | None], at: int) -> None:
        if all(line is None for line in lines):
            return
        whole = [line or play.timeline for line, play in zip(lines, self.plays, strict=True)]
        self.branches.append(Branch(at, [_thin(line) for line in whole]))
        del self.branches[:-BRANCHES]
        for gauges in self.gauges:
            gauges.back_to(at)

    def follow(self, index: int) -> int:
        """Go over to a timeline that was left, and keep this one in its place; gives where that one was left."""
        if not 0 <= index < len(self.branches):
            raise Refused("there is no such branch")
        taken = self.branches.pop(index)
        self.branches.append(Branch(taken.at, [_thin(play.timeline) for play in self.plays]))
        for play, gauges, line in zip(self.plays, self.gauges, taken.lines, strict=True):
            play.follow(line)
            gauges.back_to(taken.at)
        return taken.end


def _thin(line: Timeline) -> Timeline:
    kept = sorted(line.frames)
    some = {kept[round(i * (len(kept) - 1) / max(THIN - 1, 1))] for i in range(THIN)} | {0}
    acts = [type(act)(act.kind, act.count, act.settings) for act in line.acts]
    return Timeline(acts, {at: line.frames[at] for at in some}, line.every)


class Session:
    """Plays a world in a thread, and sends its frames.

    Args:
        post: to the page.
    """

    def __init__(self, post: Post) -> None:
        self.post = post
        self.world: World | None = None
        self.wanted: set[str] = {"fakes", "surface"}
        self.running, self.speed, self.goal = False, 0.0, None
        self._free, self._dirty, self._ended = True, False, False
        self._said: tuple[Any, ...] = ()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._next_frame = self._since = 0.0
        self._plays, self.rate = 0, 0.0
        self._due = 0.0
        self._thread: threading.Thread | None = None

    # --- from other threads ------------------------------------------------------------------------

    def call(self, what: Callable[[], T]) -> T:
        """Have something done between two plays, and give what it gives."""
        done: Future[T] = Future()
        with self._wake:
            if self._ended:
                raise Refused("this laboratory is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="gansmith-lab", daemon=True)
                self._thread.start()
            self._calls.append((what, done))
            self._wake.notify()
        return done.result()

    def acknowledge(self) -> None:
        """The page has drawn the last frame."""
        with self._wake:
            self._free = True
            self._wake.notify()

    def close(self) -> None:
        """End the thread, and wait for it."""
        with self._wake:
            self._ended = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(10)
        if self.world is not None:
            self.world.close()
        self.world = None

    # --- the thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        hardware.apply(numerics())
        torch.set_num_threads(1)  # which holds for each thread alone
        while True:
            with self._wake:
                if not self._calls and not self._ended:
                    pause = self._pause()
                    if pause is None or pause > 0:
                        self._wake.wait(pause)
                calls = [self._calls.popleft() for _ in range(len(self._calls))]
                if self._ended:
                    for _, done in calls:
                        done.set_exception(Refused("this laboratory is closed"))
                    return
            with TURNS:
                for what, done in calls:
                    try:
                        done.set_result(what())
                    except BaseException as error:
                        done.set_exception(error)
                    self._dirty = True
                self._turn()

    def _pause(self) -> float | None:
        """Seconds until there is something to do; None until someone calls."""
        now = time.perf_counter()
        waits = []
        if self.world is not None:
            if self.goal is not None or (self.running and not self.speed):
                return 0.0
            if self.running:
                waits.append(self._due - now)
            if self._dirty and self._free:
                waits.append(self._next_frame - now)
        return max(min(waits), 0.0) if waits else None

    def _turn(self) -> None:
        """Play until the next frame is due, and send it."""
        world = self.world
        if world is None:
            return
        try:
            now = time.perf_counter()
            slice_end = now + 0.02
            while (self.running or self.goal is not None) and not self._calls and not self._ended:
                if self.goal is not None:
                    self._seek(world)
                elif self.speed and now < self._due:
                    break
                else:
                    world.play(ROUND)
                    self._count(1)
                    self._due = max(self._due + 1 / self.speed, now - 0.1) if self.speed else 0.0
                self._dirty = True
                now = time.perf_counter()
                if (self._free and now >= self._next_frame) or now > slice_end:
                    break
            if self._dirty and self._free and now >= self._next_frame:
                self._frame(world)
        except Exception as error:
            self.running, self.goal = False, None
            if not isinstance(error, GansmithError):
                log.exception("the lab")
            told = error.what if isinstance(error, GansmithError) else f"this went wrong: {error}"
            self.post.say("refused", refused=told[:500], remedy="Change the settings, or start anew.")

    def _seek(self, world: World) -> None:
        assert self.goal is not None
        there = [play.towards(self.goal) for play in world.plays]
        for gauges in world.gauges:
            gauges.look()
        self._count(16)
        if all(there):
            self.goal = None

    def _count(self, plays: int) -> None:
        self._plays += plays
        now = time.perf_counter()
        if now - self._since > RATE_OVER:
            self.rate = self._plays / (now - self._since) if now - self._since < 3 * RATE_OVER else 0.0
            self._plays, self._since = 0, now

    def _frame(self, world: World) -> None:
        begun = time.perf_counter()
        arrays: dict[str, Any] = {}
        for who, view in enumerate(world.views):
            arrays |= {f"{who}.{name}": value for name, value in view.arrays(self.wanted).items()}
        sides = [
            {
                "rounds": play.player.rounds, "images": play.player.images, "troubles": gauges.troubles,
                "settings": play.settings.model_dump(), "straight": play.straight(), **_rows(gauges.taken()),
            }
            for play, gauges in zip(world.plays, world.gauges, strict=True)
        ]  # fmt: skip
        self._dirty = self._free = False
        branches = [{"at": branch.at, "end": branch.end} for branch in world.branches]
        self.post.arrays(
            "frame", arrays, at=world.at, end=world.end, running=self.running, seeking=self.goal is not None,
            rate=round(self.rate if self.running else 0.0, 1), sides=sides, branches=branches,
        )  # fmt: skip
        now = time.perf_counter()
        # The training has as much of the time as the pictures, at least.
        self._next_frame = now + max(1 / FASTEST - (now - begun), now - begun)

    # --- what is asked, in the thread ---------------------------------------------------------------

    def begin(self, world: World, drawn: np.ndarray | None) -> None:
        """Take a world, and show it."""
        if self.world is not None:
            self.world.close()
        self.world, self.running, self.goal = world, False, None
        self._free = True  # whoever looked before may have left without a word
        view = world.views[0]
        facts = [gauges.facts() for gauges in world.gauges]
        self.post.arrays("world", {"real": view.real}, half=view.half, facts=facts, drawn=drawn is not None)

    def run(self, speed: float) -> None:
        """Play on and on, so many rounds a second; 0 as fast as it goes."""
        self.running, self.speed, self._due = True, speed, time.perf_counter()
        self._plays, self._since = 0, time.perf_counter()
        self._closely(bool(speed) and speed <= SLOW)

    def pause(self) -> None:
        """Stop where it is."""
        self.running, self.goal = False, None

    def step(self, kind: str, count: int) -> None:
        """Pause, and play so many rounds or moves."""
        world = self._there()
        self.running, self.goal = False, None
        self._closely(True)
        for _ in range(count):
            world.play(kind)

    def seek(self, at: int) -> None:
        """Pause, and go to a moment of the timeline."""
        world = self._there()
        self.running, self.goal = False, max(0, min(at, world.end))

    def _closely(self, close: bool) -> None:
        for gauges in self._there().gauges:
            gauges.closely(close)

    def _there(self) -> World:
        if self.world is None:
            raise Refused("nothing has been started yet")
        return self.world


def _rows(rows: dict[str, list[list[float]]]) -> dict[str, list[list[float | None]]]:
    """As JSON, which knows no NaN."""
    return {name: [[x if math.isfinite(x) else None for x in row] for row in part] for name, part in rows.items()}


def parts_of(wanted: object) -> set[str]:
    """The parts of a picture that a page asked for.

    Raises:
        Refused: others than there are.
    """
    if not isinstance(wanted, list) or not all(isinstance(part, str) and part in PARTS for part in wanted):
        raise Refused(f"a picture has the parts {', '.join(PARTS)}")
    return set(wanted)
