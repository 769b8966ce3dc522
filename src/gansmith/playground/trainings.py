"""Trainings as processes: each is the command `gansmith train` or `gansmith resume` itself, and outlives the server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress

from gansmith.errors import Refused

MOST = 4
"""Trainings that may go on at once."""

SAID = 4000
"""Bytes of a training's last lines that are shown."""

REMEMBERED = 50
"""Trainings whose last words are kept after their end."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Trainings:
    """Starts trainings, and stops them as Ctrl-C does.

    A training has a session of its own: Ctrl-C at the server's terminal does not reach it, and it goes on when the
    server has gone.

    Args:
        program: the words that call `gansmith`.
        most: that may go on at once.
    """

    def __init__(self, program: Sequence[str] = (sys.executable, "-m", "gansmith"), most: int = MOST) -> None:
        self._program, self._most = tuple(program), most
        self._lock = threading.Lock()
        self._processes: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        weakref.finalize(self, _close, self._processes)

    def begin(self, name: str, words: Sequence[str]) -> None:
        """Call `gansmith` with these words, for the run of a name.

        Raises:
            Refused: so many trainings go on already, or this one does.
        """
        with self._lock:
            living = [each for each in self._processes if self._living(each)]
            if name in living:
                raise Refused(f"{name}: is being trained already")
            if len(living) >= self._most:
                raise Refused(f"{len(living)} trainings go on already", "Stop one, or wait until one has ended.")
            self._forget()
            with tempfile.TemporaryFile() as said:
                process = subprocess.Popen(
                    [*self._program, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )  # fmt: skip
                self._processes[name] = (process, os.dup(said.fileno()))

    def names(self) -> list[str]:
        """Of all that were begun here and are remembered."""
        return list(self._processes)

    def living(self, name: str) -> bool:
        """Whether a training that was begun here goes on."""
        with self._lock:
            return self._living(name)

    def code(self, name: str) -> int | None:
        """The exit code of a training that was begun here; None while it goes on, or of others."""
        with self._lock:
            return self._processes[name][0].poll() if name in self._processes else None

    def stop(self, name: str, number: int | None) -> None:
        """Ask a training to save and stop, as Ctrl-C does.

        Args:
            name: of the run.
            number: the process that trains it, where it was not begun here.

        Raises:
            Refused: where no process is known that trains it.
        """
        with self._lock:
            if self._living(name):
                self._processes[name][0].send_signal(signal.SIGINT)
                return
        if number is None or number == os.getpid():
            raise Refused(f"{name}: no process of this machine is known that trains it")
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGINT)

    def said(self, name: str) -> str:
        """The last lines that a training printed."""
        with self._lock:
            if name not in self._processes:
                return ""
            number = self._processes[name][1]
            # At a place of its own: the process writes where the file's one position is.
            size = os.fstat(number).st_size
            told = os.pread(number, SAID, max(size - SAID, 0)).decode("utf-8", "replace")
        return _COLOURS.sub("", told if size <= SAID else told.partition("\n")[2]).strip()

    def forget(self, name: str) -> None:
        """Forget the last words of a training that has ended."""
        with self._lock:
            if name in self._processes and not self._living(name):
                os.close(self._processes.pop(name)[1])

    def _living(self, name: str) -> bool:
        return name in self._processes and self._processes[name][0].poll() is None

    def _forget(self) -> None:
        ended = [each for each in self._processes if not self._living(each)]
        for name in ended[: max(len(self._processes) - REMEMBERED, 0)]:
            os.close(self._processes.pop(name)[1])


def _close(processes: dict[str, tuple[subprocess.Popen[bytes], int]]) -> None:
    for _, said in processes.values():
        os.close(said)
