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

from gansmith.data.dataset import Dataset
from gansmith.engine import checkpoint, distributed, duality, hardware
from gansmith.engine.listener import Listener, Progress
from gansmith.engine.measure import explain_memory, out_of_memory
from gansmith.engine.player import Player
from gansmith.engine.sampler import Sampler
from gansmith.engine.watch import Watch
from gansmith.errors import GansmithError, Refused
from gansmith.run import Run

PROGRESS_SECONDS = 0.7
CHECKPOINT_SECONDS = 120.0
KEPT = 2
MOST_ROLLBACKS = 2
MOST_EASED = 3
"""Times that `on_trouble: adapt` makes a training gentler, at most."""


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
        held: examples that it does not train on, by which overfitting is seen and the duality gap is searched.

    Attributes:
        watch: looks at its stability; None where the recipe says so.
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
        held: Dataset | None = None,
    ) -> None:
        self.player, self.run = player, run
        self.first = player.rank == 0
        self.listeners = list(listeners) if self.first else []
        self.scores, self.warnings = scores, warnings
        self.best: tuple[float, int] | None = None
        self.rollbacks = 0
        self._seconds, self._cpu = seconds, cpu_seconds
        self._began, self._began_cpu = time.perf_counter(), time.process_time()
        self._memory: list[tuple[dict[str, torch.Tensor], dict[str, Any]]] = []
        self._stop = False
        recipe, total = player.recipe, player.total
        # What a training is adapted by must not be what it will be scored against: then only reserved examples do.
        sees = recipe.on_trouble == "say" or recipe.data.reserve is not None
        self.watch = Watch(player, held if sees else None) if recipe.on_trouble != "ignore" else None
        self.held = held
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
            probing = self.watch is not None and _passed(self.watch.marks, before, player.images)
            if not (snapshot or scoring or wanted or probing) and rounds < look_every:
                continue
            # Only here is the device waited for, and only here do ranks agree on what the clocks say.
            if not self._look() or (probing and not self._watched()):
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
        hardware.trim()  # what scoring takes is of other sizes than what a step has left
        won = self._gap() if snapshot else {}
        if self.first:
            try:
                sampler = player.sampler(self.held)
                if snapshot:
                    self.tell("snapshot", player.images, sampler)
                scores = dict(self.scores(sampler)) if self.scores and scoring else {}
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self.scores, scores = None, {}
                self.tell("warning", player.images, "out of memory at a snapshot: no scores from here on")
            if scores or won:
                self.tell("score", player.images, {**scores, **won})
            if scores and self.scores:
                value = self.scores.cost(scores)
                if math.isfinite(value) and (self.best is None or value < self.best[0]):
                    self.best = (value, player.images)
                if patience is not None and self.best is not None and player.images < player.total:
                    converged = player.images - self.best[1] >= patience
        return distributed.agree(converged, player.device)

    def _gap(self) -> dict[str, float]:
        """The duality gap, where it is asked for."""
        steps = self.player.recipe.duality_gap
        if steps is None or self.held is None:
            return {}
        gap = duality.gap(self.player, self.held, steps)
        sides = {f"{duality.NAME}/{side}": won for side, won in gap._asdict().items()}
        return {duality.NAME: gap.value, **sides}

    # --- safety ------------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Whether all is finite; otherwise roll back, or give up."""
        player = self.player
        if player.healthy():
            return True
        trouble = f"weights became infinite or NaN near image {player.images:,}"
        if self._may_ease():
            self._ease(f"divergence: {trouble}", None)
            return False
        if self.rollbacks >= MOST_ROLLBACKS:
            raise Diverged(
                f"the {trouble}, after {MOST_ROLLBACKS} roll-backs",
                "Lower the learning rate (--optimizer.lr), raise the penalty, or train in --precision fp32.",
            )
        self.rollbacks += 1
        attempt, eased = player.attempt + 1, player.eased
        self._restore()
        player.attempt, player.eased = attempt, eased
        self.tell(
            "warning", player.images,
            f"divergence: {trouble}: rolled back to image {player.images:,}, "
            f"other random numbers from here ({self.rollbacks} of {MOST_ROLLBACKS} roll-backs)",
        )  # fmt: skip
        return False

    def _watched(self) -> bool:
        """Probe, and say what is wrong; whether the training goes on from here, and was not rolled back."""
        player, watch = self.player, self.watch
        assert watch is not None
        trouble = watch.look()
        if watch.failed is not None:
            self.tell("warning", player.images, watch.failed)
            watch.failed = None
        # The first rank's word counts; its numbers are the others', but for a rounding perhaps.
        if distributed.share(float(trouble is not None and self._may_ease()), player.device):
            self._ease(f"{trouble}", int(distributed.share(watch.since(), player.device)))
            return False
        if trouble is not None:
            self.tell("warning", player.images, str(trouble))
        return True

    def _may_ease(self) -> bool:
        return self.player.recipe.on_trouble == "adapt" and self.player.eased < MOST_EASED

    def _ease(self, trouble: str, before: int | None) -> None:
        """Go back to a checkpoint from before the trouble, and on from there more gently."""
        player, recipe = self.player, self.player.recipe
        attempt, eased = player.attempt + 1, player.eased + 1
        self._restore(before)
        player.attempt, player.eased = attempt, eased
        if self.watch is not None:
            self.watch.said.clear()  # what is still so after this is said again
        if self.best is not None and self.best[1] > player.images:
            self.best = None
        self._forget(player.images)
        self.save()
        done = ["learning rates halved"]
        done += ["penalties doubled"] if recipe.penalties else []
        done += ["augmentation raised"] if recipe.augment else []
        back = f"Rolled back to image {player.images:,}, and on with {', '.join(done)} ({eased} of {MOST_EASED})"
        self.tell("warning", player.images, f"{trouble}. {back}")

    def _forget(self, images: int) -> None:
        """Drop what was saved later than this clock: a resume must not begin there."""
        self._memory = [(tensors, rest) for tensors, rest in self._memory if rest["images"] <= images]
        if self.player.world > 1:
            torch.distributed.barrier()  # all have read what they go back to
        if self.run is not None and self.first:
            for path in self.run.checkpoints():
                if path > self.run.checkpoint_file(images):
                    path.unlink(missing_ok=True)

    def save(self) -> None:
        """Write a checkpoint, if all is finite."""
        player = self.player
        if not player.healthy():
            return
        wall, cpu = self.seconds()
        rest = {
            **player.clock(), "seconds": wall, "cpu_seconds": cpu, "rollbacks": self.rollbacks,
            "best": list(self.best) if self.best else None, "numerics": player.numerics.record(),
            "watch": self.watch.state() if self.watch else None,
        }  # fmt: skip
        tensors = player.tensors()
        # To go back to before a trouble, one is kept that is older than all that its rule looks at.
        adapts = self.watch is not None and player.recipe.on_trouble == "adapt"
        since = self.watch.since() if self.watch is not None and adapts else None
        if self.run is None:
            older = [kept for kept in self._memory if since is not None and kept[1]["images"] <= since]
            newer = [kept for kept in self._memory if since is not None and kept[1]["images"] > since]
            self._memory = [*older[-1:], *newer, ({k: v.detach().clone() for k, v in tensors.items()}, rest)]
        elif self.first:
            checkpoint.save(self.run.checkpoint_file(player.images), tensors, rest)
            checkpoint.prune(self.run, KEPT, self.best[1] if self.best else None, since)

    def _restore(self, before: int | None = None) -> None:
        """Go back to the newest checkpoint, or to the newest that is not later than a clock."""
        if self._memory:
            older = [kept for kept in self._memory if before is None or kept[1]["images"] <= before]
            tensors, rest = (older or self._memory[:1])[-1]
        elif self.run is not None:
            if self.player.world > 1:
                torch.distributed.barrier()
            found = checkpoint.newest(self.run, before)
            for text in found.warnings():
                self.tell("warning", found.rest["images"], text)
            tensors, rest = found.tensors, found.rest
        else:
            raise Refused("there is no state to go back to")
        self.player.load(tensors, rest)
        if self.watch is not None:
            self.watch.load(rest.get("watch"), said=self.watch.said)

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
