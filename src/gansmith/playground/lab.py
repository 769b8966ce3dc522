"""The Lab: points in the plane, trained live."""

from __future__ import annotations

from gansmith.playground.room import Message, Room


class Handler(Room):
    """One page's laboratory."""

    def do_hello(self, message: Message) -> Message:
        """Say that it is there."""
        return {"hello": "lab"}
