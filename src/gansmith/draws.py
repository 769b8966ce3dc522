"""Every random number of training, keyed by (seed, purpose, first example of the step, attempt).

A draw is made for the whole batch, and a rank or microbatch takes its slice of it: so two ranks with
half a batch each draw what one rank draws with the whole, and a resumed training draws what an
uninterrupted one draws. Lies below networks and games, since dropout draws as well.
"""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import torch

_MASK = (1 << 64) - 1


def mix(*words: int) -> int:
    """One 63-bit key of several whole numbers (the finaliser of splitmix64, Steele et al., 2014, chained)."""
    state = 0x9E3779B97F4A7C15
    for word in words:
        state = (state ^ (word & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


@lru_cache(maxsize=4096)
def _word(purpose: str) -> int:
    # Two 32-bit sums: one alone would collide among a few ten thousand names.
    data = purpose.encode()
    return zlib.crc32(data) << 32 | zlib.adler32(data)


_LOCAL = threading.local()


def _generator(device: torch.device) -> torch.Generator:
    # One a thread: two trainings in one process would otherwise draw from each other's.
    held: dict[torch.device, torch.Generator] | None = getattr(_LOCAL, "held", None)
    if held is None:
        held = _LOCAL.held = {}
    if device not in held:
        held[device] = torch.Generator(device)
    return held[device]


_SEEDING = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's own CPU generator inside the block, for constructors that know no other, and put it back.

    That generator is the whole process's: so one thread at a time, or two trainings that begin together
    would take each other's first weights.
    """
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Draws:
    """The random numbers of one move.

    Args:
        seed: of the run.
        first: index of the step's first example on the clock.
        total: examples of the step, over all ranks and microbatches.
        start, stop: the slice of them that this call works on.
        attempt: raised by a roll-back, so that it does not replay into the same failure.
        device: where the numbers are made and used.
        prefix: put before each purpose, so that two moves draw differently.
    """

    def __init__(
        self,
        seed: int,
        first: int,
        total: int,
        *,
        start: int = 0,
        stop: int | None = None,
        attempt: int = 0,
        device: torch.device | str = "cpu",
        prefix: str = "",
    ) -> None:
        self.seed, self.first, self.total, self.attempt = seed, first, total, attempt
        self.start, self.stop = start, total if stop is None else stop
        self.device = torch.device(device)
        self.prefix = prefix
        self._unnamed = 0

    def under(self, prefix: str) -> Draws:
        """The same slice of the same step under another prefix, counted afresh."""
        return Draws(
            self.seed, self.first, self.total, start=self.start, stop=self.stop,
            attempt=self.attempt, device=self.device, prefix=prefix,
        )  # fmt: skip

    def unnamed(self) -> str:
        """A purpose for a layer that has no name of its own: its place in the order of calls."""
        self._unnamed += 1
        return f"#{self._unnamed}"

    def _keyed(self, purpose: str) -> torch.Generator:
        key = mix(self.seed, _word(self.prefix + "/" + purpose), self.first, self.attempt)
        return _generator(self.device).manual_seed(key)

    def _slice(self, whole: torch.Tensor) -> torch.Tensor:
        return whole if self.stop - self.start == self.total else whole[self.start : self.stop]

    def normal(self, purpose: str, *shape: int) -> torch.Tensor:
        """Standard normal numbers, float32 [B, *shape]."""
        whole = torch.empty(self.total, *shape, device=self.device)
        return self._slice(whole.normal_(generator=self._keyed(purpose)))

    def uniform(self, purpose: str, *shape: int) -> torch.Tensor:
        """Numbers uniform in [0, 1), float32 [B, *shape]."""
        whole = torch.empty(self.total, *shape, device=self.device)
        return self._slice(whole.uniform_(generator=self._keyed(purpose)))

    def integers(self, purpose: str, high: int, *shape: int) -> torch.Tensor:
        """Whole numbers uniform in [0, high), int64 [B, *shape]."""
        whole = torch.empty(self.total, *shape, device=self.device, dtype=torch.int64)
        return self._slice(whole.random_(high, generator=self._keyed(purpose)))

    def dropout(self, purpose: str, p: float, rows: int, *shape: int) -> torch.Tensor:
        """A dropout mask, float32 [rows, *shape]: 0 with probability p (to 1/65536), else 1 / (1 - p).

        Cut from few 64-bit words, four entries of 16 bits each: a tenth of the cost of a Bernoulli draw.

        Args:
            purpose: what for.
            p: probability of 0.
            rows: examples in this call, a whole multiple of the slice (two for real and fake in one pass), or a
                whole part of it (packs of neighbours that are judged as one).
            shape: of one example.
        """
        pack = max((self.stop - self.start) // rows, 1)
        total, start = self.total // pack, self.start // pack
        stop = start + (self.stop - self.start) // pack
        copies = max(rows // (stop - start), 1)
        whole = copies * total, *shape
        number = math.prod(whole)
        words = torch.empty((number + 3) // 4, dtype=torch.int64, device=self.device)
        words.random_(-(2**63), None, generator=self._keyed(purpose))
        mask = torch.empty(whole, device=self.device)
        # Compared into float at once: a mask of bool costs as much again to convert.
        torch.ge(words.view(torch.int16)[:number].view(whole), round(p * 65536) - 32768, out=mask)
        mask.mul_(1 / (1 - p))
        if stop - start == total:
            return mask
        return mask.view(copies, total, *shape)[:, start:stop].reshape(rows, *shape)


_OWN = "\0"
"""Stands for the move's own prefix, in a record."""


class Recorded(Draws):
    """Draws that can be made outside of a traced function and handed into it.

    Without `given` it draws, and notes each draw in `calls`; with `given` it hands those out, in order.
    """

    base: str
    calls: list[tuple[str, str, tuple[Any, ...]]]
    given: list[torch.Tensor] | None

    @classmethod
    def of(cls, draws: Draws, given: list[torch.Tensor] | None = None) -> Recorded:
        """Record over a step's draws, or replay `given`."""
        new = cls(
            draws.seed, draws.first, draws.total, start=draws.start, stop=draws.stop,
            attempt=draws.attempt, device=draws.device, prefix=draws.prefix,
        )  # fmt: skip
        new.base, new.calls, new.given = draws.prefix, [], None if given is None else list(given)
        return new

    def under(self, prefix: str) -> Draws:
        """Another prefix, recorded into the same list."""
        new = Recorded.of(super().under(prefix))
        new.base, new.calls, new.given = self.base, self.calls, self.given
        return new

    def _drawn(self, kind: str, *arguments: Any) -> torch.Tensor:
        if self.given is not None:
            return self.given.pop(0)
        # The move's own prefix differs from one of its steps in a round to the next, so it is no part of the record.
        own = self.prefix == self.base or self.prefix.startswith(self.base + "/")
        self.calls.append((_OWN + self.prefix.removeprefix(self.base) if own else self.prefix, kind, arguments))
        return getattr(Draws, kind)(self, *arguments)

    def normal(self, purpose: str, *shape: int) -> torch.Tensor:
        """As `Draws.normal`."""
        return self._drawn("normal", purpose, *shape)

    def uniform(self, purpose: str, *shape: int) -> torch.Tensor:
        """As `Draws.uniform`."""
        return self._drawn("uniform", purpose, *shape)

    def integers(self, purpose: str, high: int, *shape: int) -> torch.Tensor:
        """As `Draws.integers`."""
        return self._drawn("integers", purpose, high, *shape)

    def dropout(self, purpose: str, p: float, rows: int, *shape: int) -> torch.Tensor:
        """As `Draws.dropout`."""
        return self._drawn("dropout", purpose, p, rows, *shape)


def replay(draws: Draws, calls: list[tuple[str, str, tuple[Any, ...]]]) -> list[torch.Tensor]:
    """The tensors that a recorded list of draws gives at another step."""
    own = draws.prefix
    return [
        getattr(draws.under(own + prefix[1:] if prefix[:1] == _OWN else prefix), kind)(*arguments)
        for prefix, kind, arguments in calls
    ]


_CURRENT: ContextVar[Draws | None] = ContextVar("gansmith_draws", default=None)


@contextmanager
def use(draws: Draws) -> Iterator[Draws]:
    """Give the layers that draw (dropout, noise) these numbers, inside the block."""
    token = _CURRENT.set(draws)
    try:
        yield draws
    finally:
        _CURRENT.reset(token)


def current() -> Draws | None:
    """The draws in use, or None outside of training."""
    return _CURRENT.get()
