"""The Lab: points in the plane, trained live."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused
from gansmith.playground.lab import gallery
from gansmith.playground.lab.choices import choices
from gansmith.playground.lab.play import ROUND, Timeline, acts_of
from gansmith.playground.lab.session import Session, World, parts_of
from gansmith.playground.lab.settings import DRAWN, Settings, copies, opened, read, read_drawn
from gansmith.playground.lab.view import PARTS
from gansmith.playground.room import House, Message, Post, Room

ONCE = 1000
"""Steps that one message may ask for."""


def warm() -> None:
    """Find out what there is to choose, before anyone asks."""
    choices()


class Handler(Room):
    """One page's laboratory.

    Args:
        house: what all share.
        post: to its page.
    """

    def __init__(self, house: House, post: Post) -> None:
        super().__init__(house, post)
        self.session = Session(post)
        self.drawn: NDArray[np.float32] | None = None

    def close(self) -> None:
        """End its thread."""
        self.session.close()

    def do_hello(self, message: Message) -> Message:
        """What there is to choose, what it begins with, and the gallery."""
        return {"choices": choices(), "settings": Settings().model_dump(), "gallery": gallery.plain(), "parts": PARTS}

    def do_start(self, message: Message) -> None:
        """Begin anew: `sides` (settings of one or two), `drawn` points, `acts` of each, and where to go (`at`)."""
        asked = message.get("sides")
        if not isinstance(asked, list) or len(asked) not in (1, 2):
            raise Refused("sides are one or two settings")
        sides = [_known(read(each)) for each in asked]
        if len({(each.data, each.seed) for each in sides}) > 1:
            raise Refused("both sides of a duel have the same data and seed")
        drawn = read_drawn(message["drawn"]) if message.get("drawn") else None
        lines = message.get("acts")
        acts = [acts_of(each) for each in lines] if isinstance(lines, list) and len(lines) == len(sides) else []
        at = _whole(message.get("at", 0), "at", 1 << 31)
        data = opened(sides[0], drawn)
        session = self.session

        def begin() -> None:
            world = World(sides, data)
            for play, line in zip(world.plays, acts, strict=False):
                play.follow(Timeline(line, {0: play.timeline.frames[0]}))
            session.begin(world, drawn)
            if acts and at:
                session.seek(at)

        session.call(begin)
        self.drawn = drawn

    def do_ack(self, message: Message) -> None:
        """The last frame was drawn."""
        self.session.acknowledge()

    def do_want(self, message: Message) -> None:
        """Which `parts` the picture has."""
        wanted = parts_of(message.get("parts"))
        self.session.call(lambda: setattr(self.session, "wanted", wanted))

    def do_run(self, message: Message) -> None:
        """Play on, `speed` rounds a second; 0 as fast as it goes."""
        speed = message.get("speed", 0)
        if not isinstance(speed, int | float) or not 0 <= speed <= 100_000:
            raise Refused("speed: rounds a second, from 0, which is as fast as it goes")
        self.session.call(lambda: self.session.run(float(speed)))

    def do_pause(self, message: Message) -> None:
        """Stop where it is."""
        self.session.call(self.session.pause)

    def do_step(self, message: Message) -> None:
        """Play `count` times `kind`: round, discriminator or generator."""
        kind = message.get("kind", ROUND)
        if kind not in (ROUND, "discriminator", "generator"):
            raise Refused("kind: round, discriminator or generator")
        count = _whole(message.get("count", 1), "count", ONCE)
        self.session.call(lambda: self.session.step(kind, count))

    def do_change(self, message: Message) -> None:
        """Give the side `who` other `settings` from here on."""
        settings, who = _known(read(message.get("settings"))), _whole(message.get("who", 0), "who", 1)
        self.session.call(lambda: self._world(who).change(who, settings))

    def do_seek(self, message: Message) -> None:
        """Go to the moment `at` of the timeline."""
        at = _whole(message.get("at"), "at", 1 << 31)
        self.session.call(lambda: self.session.seek(at))

    def do_branch(self, message: Message) -> None:
        """Keep the timeline, and go another way from here."""
        self.session.call(lambda: self._world().branch())

    def do_follow(self, message: Message) -> None:
        """Go over to the `branch`-th timeline that was left."""
        index = _whole(message.get("branch"), "branch", 1000)

        def follow() -> None:
            self.session.seek(self._world().follow(index))

        self.session.call(follow)

    def do_acts(self, message: Message) -> Message:
        """All that was done, of each side, for an address that leads here again."""

        def acts() -> list[Any]:
            return [
                {"begun": play.begun.model_dump(), "acts": play.timeline.plain(), "at": play.at}
                for play in self._world().plays
            ]

        return {"sides": self.session.call(acts)}

    def do_copy(self, message: Message) -> Message:
        """The side `who` as a command, as YAML and as Python; and whether that comes to the very same weights."""
        who = _whole(message.get("who", 0), "who", 1)

        def copy() -> Message:
            play = self._world(who).plays[who]
            images = play.player.images or 200 * play.settings.batch
            source = "drawn.npz" if play.settings.data == DRAWN else None
            return {**copies(play.settings, images, source), "same": play.straight(), "images": images}

        return self.session.call(copy)

    def do_file(self, message: Message) -> None:
        """Send what was drawn as an .npz that `gansmith train` reads."""
        if self.drawn is None:
            raise Refused("nothing has been drawn yet")
        held, data = io.BytesIO(), opened(Settings(data="drawn"), self.drawn)
        assert data.array is not None
        np.savez_compressed(held, points=data.array)
        self.post.arrays("file", {"bytes": np.frombuffer(held.getvalue(), np.uint8)}, name="drawn.npz")

    def _world(self, who: int = 0) -> World:
        world = self.session.world
        if world is None or who >= len(world.plays):
            raise Refused("nothing has been started yet" if world is None else "there is one side alone")
        return world


def _known(settings: Settings) -> Settings:
    """Settings whose parts are on offer.

    Raises:
        Refused: others.
    """
    offered = choices()
    if settings.loss not in offered["loss"]:
        raise Refused(f"loss: none is called {settings.loss!r} here; there are {', '.join(offered['loss'])}")
    for name in settings.penalties:
        if name not in offered["penalties"]:
            raise Refused(f"penalties: none is called {name!r} here; there are {', '.join(offered['penalties'])}")
    return settings


def _whole(value: object, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Refused(f"{name}: a whole number from 0 to {most:,}")
    return value
