"""Explore: what a trained image model makes."""

from __future__ import annotations

from gansmith.playground.room import Message, Room


class Handler(Room):
    """One page's view of a model."""

    def do_hello(self, message: Message) -> Message:
        """Say that it is there."""
        return {"hello": "explore"}
