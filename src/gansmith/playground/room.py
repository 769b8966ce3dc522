"""What every room of the playground is, on the server's side, and how it speaks to its page."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused

Message = Mapping[str, Any]
Made = TypeVar("Made")

LONGEST = 1000
"""Characters of a run's name."""

KINDS = {"float32": "f", "uint8": "u"}
"""Types of numbers that travel, and how they are marked."""


@dataclass(frozen=True)
class House:
    """What all rooms and connections share.

    Attributes:
        runs: the folder of runs; nothing outside of it is read or written for a page.
        local: whether pages are of this machine alone, and so of who may read its files anyway.
    """

    runs: Path
    local: bool = True
    _made: dict[str, Any] = field(default_factory=dict[str, Any], compare=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, compare=False, repr=False)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What is made once under a name, when it is first asked for, and is of all connections."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def close(self) -> None:
        """The server ends: what was made, and has something to close, closes it."""
        with self._lock:
            for made in self._made.values():
                getattr(made, "close", lambda: None)()
            self._made.clear()

    def run(self, name: str) -> Path:
        """The folder of a run inside `runs`.

        Raises:
            Refused: a name that leads outside.
        """
        root = self.runs.resolve()
        try:
            path = (root / name).resolve() if len(name) < LONGEST else root
        except (OSError, ValueError):  # such as a zero byte
            path = root
        if path == root or not path.is_relative_to(root):
            raise Refused(f"no run {name[:80]!r} in {self.runs}")
        return path


class Post:
    """Sends a room's messages to its page, from any thread.

    Args:
        room: its name.
        send: takes a text or bytes.
    """

    def __init__(self, room: str, send: Callable[[str | bytes], None]) -> None:
        self.room, self._send = room, send

    def say(self, kind: str, **fields: Any) -> None:
        """Tell something."""
        self._send(json.dumps({"room": self.room, "kind": kind, **fields}, allow_nan=False, default=_plain))

    def arrays(self, kind: str, arrays: Mapping[str, NDArray[Any]], **fields: Any) -> None:
        """Tell something, with arrays: float32 (what is not uint8 becomes so)."""
        self._send(packed({"room": self.room, "kind": kind, **fields}, arrays))


def packed(fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Fields and arrays as bytes.

    uint32 length of a JSON text, the text, and the arrays one after the other, each from a multiple of 4. The text's
    `arrays` lists [name, "f" or "u", shape].
    """
    table, parts = [], []
    for name, array in arrays.items():
        held = np.ascontiguousarray(array, array.dtype if array.dtype == np.uint8 else np.float32)
        table.append([name, KINDS[held.dtype.name], list(held.shape)])
        parts.append(held.tobytes() + b"\0" * (-held.nbytes % 4))
    text = json.dumps({**fields, "arrays": table}, allow_nan=False, default=_plain).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + b"".join(parts)


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `packed` was given."""
    (size,) = struct.unpack_from("<I", data)
    fields = json.loads(data[4 : 4 + size])
    arrays, at = {}, 4 + size
    for name, kind, shape in fields.pop("arrays"):
        dtype = np.dtype(np.uint8 if kind == "u" else np.float32)
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += count * dtype.itemsize + -count * dtype.itemsize % 4
    return fields, arrays


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


class Room:
    """One connection's side of a room; write `do_NAME(message) → mapping or None` for each thing it can be asked.

    Args:
        house: what all share.
        post: to its page.
    """

    def __init__(self, house: House, post: Post) -> None:
        self.house, self.post = house, post

    def hear(self, message: Message) -> Message | None:
        """Do what a message asks, and give the answer's fields.

        Raises:
            Refused: what cannot be done.
        """
        do = message.get("do")
        method = getattr(self, f"do_{do}", None) if isinstance(do, str) else None
        if method is None:
            raise Refused(f"the room {self.post.room} cannot do {str(do)[:40]!r}")
        return method(message)

    def close(self) -> None:
        """The connection has ended."""
