"""One GAN of the Lab: a player, all that was done with it, and keyframes to go back to.

It has no training code of its own: every play is one of the player's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.build import Facts, build
from gansmith.data import Dataset
from gansmith.engine import hardware
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.errors import Refused
from gansmith.playground.lab.settings import Settings, read

ROUND, CHANGE = "round", "change"
KEYFRAMES, BYTES, FIRST_EVERY = 48, 64 << 20, 16
"""Keyframes of a timeline and the memory that they may take; and plays between two of them, which doubles when there
are too many."""

ACTS = 2000
"""Entries of a timeline; equal plays one after the other are one entry."""

CPU = torch.device("cpu")


def numerics() -> Numerics:
    """How the Lab computes: as `gansmith train` would, with one thread."""
    return replace(hardware.decide("fp32", "off", CPU, 1), threads=1)


@dataclass
class Act:
    """An entry of a timeline: so many plays of one kind, or a change of the settings, which takes no time."""

    kind: str
    count: int = 0
    settings: Settings | None = None

    def plain(self) -> list[Any]:
        """As JSON."""
        return [self.kind, self.count] if self.settings is None else [self.kind, self.settings.model_dump()]


@dataclass
class Keyframe:
    """A moment to go back to: the player's state, before any change that was made then."""

    tensors: Mapping[str, torch.Tensor]
    clock: Mapping[str, Any]
    settings: Settings


@dataclass
class Timeline:
    """What was done, in order, and the moments that were kept."""

    acts: list[Act] = field(default_factory=list)
    frames: dict[int, Keyframe] = field(default_factory=dict)
    every: int = FIRST_EVERY

    @property
    def end(self) -> int:
        """Number of plays."""
        return sum(act.count for act in self.acts)

    def plain(self) -> list[list[Any]]:
        """The acts as JSON."""
        return [act.plain() for act in self.acts]


class Play:
    """A GAN on its timeline.

    Args:
        settings: to begin with.
        dataset: what it is to make.

    Attributes:
        at: plays from the beginning to now.
        noted: called with (move, terms, norm) of the plays that are sampled; or None.
        changed: called when there is a new player; or None.
    """

    def __init__(self, settings: Settings, dataset: Dataset) -> None:
        self.dataset, self.begun = dataset, settings
        self.noted: Callable[..., None] | None = None
        self.changed: Callable[[], None] | None = None
        self.timeline = Timeline()
        self._act = self._into = self.at = 0
        self._install(settings)
        self._keep()

    def _install(self, settings: Settings) -> None:
        recipe = settings.recipe()
        self.player = Player(build(recipe, Facts(self.dataset.shape)), self.dataset, recipe, CPU, numerics())
        self.player.noted = self._note
        self.settings = settings
        if self.changed is not None:
            self.changed()

    def _note(self, move: str, terms: Mapping[str, torch.Tensor], norm: torch.Tensor) -> None:
        if self.noted is not None:
            self.noted(move, terms, norm)

    @property
    def points(self) -> NDArray[np.float32]:
        """The real examples, [N, 2]."""
        return np.asarray(self.dataset.array, np.float32)

    @property
    def end(self) -> int:
        """Plays of the whole timeline."""
        return self.timeline.end

    # --- forward -----------------------------------------------------------------------------------

    def play(self, kind: str = ROUND) -> Timeline | None:
        """Play a round, or one move by its name; as the timeline has it already where it goes on so.

        Returns:
            The timeline that was left, where this one went otherwise from here on.
        """
        left = None
        if not self._goes_on(kind):
            left = self.cut()
            acts = self.timeline.acts
            if not acts or acts[-1].kind != kind:
                acts.append(Act(kind))
                self._act, self._into = len(acts) - 1, 0
            else:
                self._act, self._into = len(acts) - 1, acts[-1].count
            acts[-1].count += 1
        self._do(kind)
        return left

    def _goes_on(self, kind: str) -> bool:
        acts = self.timeline.acts
        return self._act < len(acts) and acts[self._act].kind == kind

    def _do(self, kind: str) -> None:
        if kind == ROUND:
            self.player.round()
        else:
            self.player.play_move(kind)
        self.at += 1
        self._into += 1
        if self._into >= self.timeline.acts[self._act].count:
            self._act, self._into = self._act + 1, 0
        if kind == ROUND and self.at % self.timeline.every == 0:
            self._keep()
        self._change_due()

    def _change_due(self) -> None:
        acts = self.timeline.acts
        while self._act < len(acts) and acts[self._act].settings is not None:
            self._take(acts[self._act].settings)
            self._act, self._into = self._act + 1, 0

    def change(self, settings: Settings) -> Timeline | None:
        """Go on with other settings; what of the networks and optimisers still fits stays as it is.

        Returns:
            The timeline that was left, if any.
        """
        if settings == self.settings:
            return None
        self._take(settings)  # first, since what is refused must change nothing
        left = self.cut()
        self.timeline.acts.append(Act(CHANGE, 0, settings))
        self._act, self._into = len(self.timeline.acts), 0
        return left

    def _take(self, settings: Settings | None) -> None:
        assert settings is not None
        old, clock, before = self.player.tensors(), self.player.clock(), self.settings
        old = {name: tensor.clone() for name, tensor in old.items()}
        self._install(settings)
        fresh = self.player.tensors()
        fits = {name for name, tensor in old.items() if name in fresh and fresh[name].shape == tensor.shape}
        same = {
            name for name, flat in self.player.flats.items() if all(f"weights.{key}" in fits for key in flat.parameters)
        }
        carried = {"weights": same, "optimizer": same if before.optimizer == settings.optimizer else set[str]()}
        kept = dict(fresh)
        for name, tensor in old.items():
            kind, _, rest = name.partition(".")
            if rest.partition(".")[0] in carried.get(kind, ()) or (kind == "state" and name in fits):
                kept[name] = tensor
        self.player.load(kept, clock)

    def cut(self) -> Timeline | None:
        """Forget what came after now, so that from here on it may go otherwise; give back the whole if it was cut."""
        acts = self.timeline.acts
        if self._act >= len(acts):
            return None
        whole = Timeline([replace(act) for act in acts], dict(self.timeline.frames), self.timeline.every)
        head = acts[: self._act]
        if self._into:
            head.append(Act(acts[self._act].kind, self._into))
        frames = {at: frame for at, frame in self.timeline.frames.items() if at <= self.at}
        self.timeline = Timeline(head, frames, self.timeline.every)
        self._act, self._into = len(head), 0
        return whole

    # --- to and fro --------------------------------------------------------------------------------

    def _keep(self) -> None:
        line = self.timeline
        if self.at in line.frames:
            return
        tensors = {name: tensor.clone() for name, tensor in self.player.tensors().items()}
        line.frames[self.at] = Keyframe(tensors, self.player.clock(), self.settings)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        most = max(4, min(KEYFRAMES, BYTES // max(size, 1)))
        while len(line.frames) > most:
            line.every *= 2
            line.frames = {at: frame for at, frame in line.frames.items() if at % line.every == 0}

    def towards(self, goal: int) -> bool:
        """Come nearer to a moment of the timeline by a few plays, or by a jump.

        Returns:
            Whether it is there.
        """
        goal = max(0, min(goal, self.end))
        nearest = max(at for at in self.timeline.frames if at <= goal)
        if self.at > goal or self.at < nearest:
            self._jump(nearest)
        for _ in range(16):
            if self.at >= goal:
                return True
            self._do(self.timeline.acts[self._act].kind)
        return self.at >= goal

    def _jump(self, at: int) -> None:
        frame = self.timeline.frames[at]
        if frame.settings != self.settings:
            self._install(frame.settings)
        self.player.load(frame.tensors, frame.clock)
        self.at = at
        self._seat()
        self._change_due()

    def _seat(self) -> None:
        """Find the act that comes next, of those that take no time the first."""
        before = 0
        for place, act in enumerate(self.timeline.acts):
            if before == self.at or before + act.count > self.at:
                self._act, self._into = place, self.at - before
                return
            before += act.count
        self._act, self._into = len(self.timeline.acts), 0

    def follow(self, line: Timeline) -> None:
        """Go over to another timeline of the same beginning, at its start; `towards` leads on."""
        self.timeline = line
        self._jump(0)

    def load(self, acts: object) -> None:
        """Take acts as `plain` gave them, to be played by `towards`.

        Raises:
            Refused: they are not such.
        """
        self.timeline = Timeline(acts_of(acts), {0: self.timeline.frames[0]})
        self._jump(0)

    def straight(self) -> bool:
        """Whether all up to now is what `gansmith train` does: rounds, or their moves in order, and no change."""
        done: list[str] = []
        pattern = ["discriminator"] * self.settings.d_steps + ["generator"] * self.settings.g_steps
        left = self.at
        for act in self.timeline.acts:
            if left <= 0:
                break
            if act.settings is not None:
                return False
            take = min(act.count, left)
            left -= take
            if act.kind == ROUND:
                if done:
                    return False
                continue
            done += [act.kind] * take
            while done[: len(pattern)] == pattern:
                del done[: len(pattern)]
            if done != pattern[: len(done)]:
                return False
        return not done and self.settings == self.begun


def acts_of(acts: object) -> list[Act]:
    """Acts of what a page sent.

    Raises:
        Refused: they are not such.
    """
    found: list[Act] = []
    wrong = Refused('acts are a list of [kind, count] and ["change", settings]')
    if not isinstance(acts, list) or len(acts) > ACTS:
        raise wrong
    for each in acts:
        if not isinstance(each, list) or len(each) != 2:
            raise wrong
        kind, what = each
        if kind == CHANGE:
            found.append(Act(CHANGE, 0, read(what)))
        elif kind in (ROUND, "discriminator", "generator") and isinstance(what, int) and 0 < what <= 10_000_000:
            found.append(Act(kind, what))
        else:
            raise wrong
    return found
