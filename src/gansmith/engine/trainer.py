"""The training loop: snapshots, checkpoints, progress, interruption, roll-back, and when to stop."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

import torch

from gansmith.engine import checkpoint, distributed
from gansmith.engine.listener import Listener, Progress
from gansmith.engine.measure import explain_memory, out_of_memory
from gansmith.engine.player import Player
from gansmith.engine.sampler import Sampler
from gansmith.errors import GansmithError, Refused
from gansmith.run import Run

PROGRESS_SECONDS = 0.7
CHECKPOINT_SECONDS = 120.0
KEPT = 2
MOST_ROLLBACKS = 2


class Diverged(GansmithError):
    """Training broke down, and rolling back did not help."""


class Scores(Protocol):
    """Scores a sampler."""

    def __call__(self, sampler: Sampler) -> Mapping[str, float]:
        """Scores by metric's name; the first one decides."""
        ...

    def cost(self, scores: Mapping[str, float]) -> float:
        """What decides which checkpoint is the best, by such scores: lower is better."""
        ...


class Trainer:
    """Plays to the end of a training, and keeps it safe on the way.

    Args:
        player: where the training stands.
        run: where it is written; None keeps the last good state in memory alone.
        listeners: whom to tell.
        scores: scores each snapshot, or None.
        seconds, cpu_seconds: spent by earlier sessions.
        warnings: what listeners are told once the training has begun.
    """

    def __init__(
        self,
        player: Player,
        run: Run | None = None,
        listeners: Sequence[Listener] = (),
        scores: Scores | None = None,
        seconds: float = 0.0,
        cpu_seconds: float = 0.0,
        warnings: Sequence[str] = (),
    ) -> None:
        self.player, self.run = player, run
        self.first = player.rank == 0
        self.listeners = list(listeners) if self.first else []
        self.scores, self.warnings = scores, warnings
        self.best: tuple[float, int] | None = None
        self.rollbacks = 0
        self._seconds, self._cpu = seconds, cpu_seconds
        self._began, self._began_cpu = time.perf_counter(), time.process_time()
        self._memory: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None
        self._stop = False
        recipe, total = player.recipe, player.total
        self._snapshots = [math.ceil(total * i / recipe.snapshots) for i in range(1, recipe.snapshots + 1)]
        every = recipe.eval_every
        self._scorings = [*range(every, total, every), total] if every else self._snapshots

    def seconds(self) -> tuple[float, float]:
        """Wall and processor seconds so far, over all sessions."""
        wall, cpu = time.perf_counter() - self._began, time.process_time() - self._began_cpu
        return self._seconds + wall, self._cpu + cpu

    def tell(self, what: str, *arguments: Any) -> None:
        """Call a method of every listener."""
        for listener in self.listeners:
            getattr(listener, what)(*arguments)

    def train(self) -> str:
        """Play to the end.

        Returns:
            `done`, `converged` or `interrupted`.

        Raises:
            Diverged: weights became non-finite again after two roll-backs.
            Refused: out of memory or disk.
        """
        player = self.player
        self.tell("begin", self.run, player.recipe, player.dataset, player.images)
        for text in self.warnings:
            self.tell("warning", player.images, text)
        try:
            with _Signals(self):
                if player.images == 0 or self.run is None or not self.run.checkpoints():
                    self.save()
                reason = self._play_on()
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            for listener in self.listeners:
                # What went wrong first is what the user must hear, not that the disk is full for the report too.
                with contextlib.suppress(GansmithError, OSError):
                    listener.end(player.images, reason)
            raise
        self.tell("end", player.images, reason)
        return reason

    def _play_on(self) -> str:
        player = self.player
        every = player.recipe.checkpoint_every
        next_save = player.images + every if every else None
        last_save, last_look, last_images = time.perf_counter(), time.perf_counter(), player.images
        rounds, look_every = 0, 1
        while player.images < player.total:
            before = player.images
            self._round()
            rounds += 1
            snapshot, scoring = (_passed(marks, before, player.images) for marks in (self._snapshots, self._scorings))
            wanted = next_save is not None and player.images >= next_save
            if not (snapshot or scoring or wanted) and rounds < look_every:
                continue
            # Only here is the device waited for, and only here do ranks agree on what the clocks say.
            if not self._look():
                last_look, last_images, rounds = time.perf_counter(), player.images, 0
                next_save = player.images + every if every else None
                continue
            now = time.perf_counter()
            rate = (player.images - last_images) / max(now - last_look, 1e-9)
            self._report(rate)
            # Look again after so many rounds as fill the interval; the first rank's watch counts.
            ahead = PROGRESS_SECONDS * rounds / max(now - last_look, 1e-9)
            look_every = max(1, int(distributed.share(ahead, player.device)))
            last_look, last_images, rounds = now, player.images, 0
            stop = distributed.agree(self._stop, player.device)
            if (snapshot or scoring) and self._show(snapshot, scoring):
                self.save()
                return "converged"
            timely = distributed.agree(now - last_save > CHECKPOINT_SECONDS, player.device)
            if stop or snapshot or scoring or wanted or timely or player.images >= player.total:
                self.save()
                last_save = time.perf_counter()
                next_save = player.images + every if every else None
            if stop and player.images < player.total:
                return "interrupted"
        return "done"

    def _round(self) -> None:
        try:
            self.player.round()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise explain_memory(self.player, self._restore) from None

    def _report(self, rate: float) -> None:
        player = self.player
        terms = player.terms()
        if self.listeners:
            wall, cpu = self.seconds()
            self.tell("progress", Progress(
                player.images, player.total, wall, cpu, rate, terms, player.shown_knobs(),
            ))  # fmt: skip

    # --- snapshots ---------------------------------------------------------------------------------

    def _show(self, snapshot: bool, scoring: bool) -> bool:
        """Show a snapshot, score the samples, and tell whether the training has converged."""
        player, patience = self.player, self.player.recipe.patience
        converged = False
        if self.first:
            try:
                sampler = player.sampler()
                if snapshot:
                    self.tell("snapshot", player.images, sampler)
                scores = self.scores(sampler) if self.scores and scoring else {}
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self.scores, scores = None, {}
                self.tell("warning", player.images, "out of memory at a snapshot: no scores from here on")
            if scores and self.scores:
                self.tell("score", player.images, scores)
                value = self.scores.cost(scores)
                if math.isfinite(value) and (self.best is None or value < self.best[0]):
                    self.best = (value, player.images)
                if patience is not None and self.best is not None and player.images < player.total:
                    converged = player.images - self.best[1] >= patience
        return distributed.agree(converged, player.device)

    # --- safety ------------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Whether all is finite; otherwise roll back, or give up."""
        player = self.player
        if player.healthy():
            return True
        at = player.images
        if self.rollbacks >= MOST_ROLLBACKS:
            raise Diverged(
                f"the weights became infinite or NaN near image {at:,}, after {MOST_ROLLBACKS} roll-backs",
                "Lower the learning rate (--optimizer.lr), raise the penalty, or train in --precision fp32.",
            )
        self.rollbacks += 1
        attempt = player.attempt + 1
        self._restore()
        player.attempt = attempt
        self.tell(
            "warning", player.images,
            f"weights became infinite or NaN near image {at:,}: rolled back to image {player.images:,}, "
            f"other random numbers from here ({self.rollbacks} of {MOST_ROLLBACKS} roll-backs)",
        )  # fmt: skip
        return False

    def save(self) -> None:
        """Write a checkpoint, if all is finite."""
        player = self.player
        if not player.healthy():
            return
        wall, cpu = self.seconds()
        rest = {
            **player.clock(), "seconds": wall, "cpu_seconds": cpu, "rollbacks": self.rollbacks,
            "best": list(self.best) if self.best else None, "numerics": player.numerics.record(),
        }  # fmt: skip
        tensors = player.tensors()
        if self.run is None:
            self._memory = ({k: v.detach().clone() for k, v in tensors.items()}, rest)
        elif self.first:
            checkpoint.save(self.run.checkpoint_file(player.images), tensors, rest)
            checkpoint.prune(self.run, KEPT, self.best[1] if self.best else None)

    def _restore(self) -> None:
        if self._memory is not None:
            self.player.load(*self._memory)
        elif self.run is not None:
            if self.player.world > 1:
                torch.distributed.barrier()
            newest = checkpoint.newest(self.run)
            for text in newest.warnings():
                self.tell("warning", newest.rest["images"], text)
            self.player.load(newest.tensors, newest.rest)
        else:
            raise Refused("there is no state to go back to")

    def interrupt(self) -> None:
        """Ask for a stop: the training saves at its next look, and returns `interrupted`."""
        self._stop = True


class _Signals:
    """Turns the first Ctrl-C (or SIGTERM) into a clean stop; the second is let through.

    Under torchrun a process may hear one Ctrl-C twice: from the terminal, and from torchrun.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.heard = trainer, 0.0
        self.old: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.old[number] = signal.signal(number, self._handle)

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.trainer._stop and not (distributed.launched() and time.monotonic() < self.heard + 2.0)
        if again:
            raise KeyboardInterrupt
        self.heard = time.monotonic()
        self.trainer.interrupt()


def _passed(marks: Sequence[int], before: int, now: int) -> bool:
    """Whether the clock has passed one of these marks."""
    return bisect_right(marks, now) > bisect_right(marks, before)
