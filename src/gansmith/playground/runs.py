"""Runs: what trainings write, live and past."""

from __future__ import annotations

from gansmith.playground.room import Message, Room


class Handler(Room):
    """One page's view of the runs."""

    def do_hello(self, message: Message) -> Message:
        """Say that it is there."""
        return {"hello": "runs"}
