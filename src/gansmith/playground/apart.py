"""A room's work in a process of its own: it cannot disturb a training of this one, and its end is not the server's."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from gansmith.errors import GansmithError, Refused


class Answers(Protocol):
    """What works there."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        ...


_answers: Answers | None = None


class Worker:
    """Answers requests in one other process, one after the other; begun when first asked, and again when it has died.

    Torch's settings of matmul and threads are a process's, and so is its first random state: a model that is loaded
    beside a training would change them under it.

    Args:
        make: makes what answers, there; a class or function of a module.
        given: its arguments, plain.
    """

    def __init__(self, make: Callable[..., Answers], *given: Any) -> None:
        self._make, self._given = make, given
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            Refused: what the request cannot have; or the process died of it.
        """
        pool, future = self._submitted(request)
        try:
            told = future.result()
        except BrokenProcessPool:
            with self._lock:
                if self._pool is pool:
                    self._pool = None
            remedy = "It begins anew with the next request; perhaps the memory was full."
            raise Refused("the process that holds the models has ended", remedy) from None
        if "refused" in told:
            raise Refused(told["refused"], told["remedy"])
        return told

    def close(self) -> None:
        """End the process, whatever it is at."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):  # Python has a word for it from 3.14 on
                process.terminate()
            pool.shutdown(cancel_futures=True)

    def _submitted(self, request: dict[str, Any]) -> tuple[ProcessPoolExecutor, Future[dict[str, Any]]]:
        with self._lock:
            if self._pool is None:
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, spawn, _begin, (self._make, self._given))
            try:
                return self._pool, self._pool.submit(_answer, request)
            except BrokenProcessPool:
                self._pool = None
        return self._submitted(request)


def _begin(make: Callable[..., Answers], given: tuple[Any, ...]) -> None:
    global _answers
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is the server's
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _answers = make(*given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(0)  # it was killed: nobody will fetch an answer


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    assert _answers is not None
    try:
        return _answers.answer(request)
    except GansmithError as error:
        return {"refused": error.what, "remedy": error.remedy}
