"""One pass over encoded pictures: every one is decoded whole, so that a truncated file is found now."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Problem
from gansmith.data.pictures import Decoder, Picture, Unreadable, quietly
from gansmith.data.stores import Store
from gansmith.errors import Refused

IN_MEMORY = 1 << 30
"""Bytes of decoded pictures that are kept; a larger set is decoded again each time it is fed."""

_HANDFUL = 128

Progress = Callable[[int, int], None]
"""Called now and then with the number of files read so far, and of all."""


@dataclass
class Scan:
    """What a pass over a store found.

    Attributes:
        array: uint8 [good, C, H, W], or None where that is too large or shapes differ.
        good: int64, the numbers in the store of the pictures that can be used.
        digests: sha256 of each good one's array, in the same order.
        each: (height, width) of each good one's array, in the same order.
        shapes: of the decoded arrays, how many of each.
        sizes: (height, width) of the sources, how many of each.
        channels: of the sources, how many of each.
        animated: how many hold more than one frame.
        problems: the others, and why.
    """

    array: NDArray[np.uint8] | None
    good: NDArray[np.int64]
    digests: list[bytes]
    each: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    shapes: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    animated: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Read:
    """Reads and decodes the i-th good picture of a store; picklable."""

    store: Store
    decoder: Decoder
    chosen: NDArray[np.int64]

    def __call__(self, i: int) -> NDArray[np.uint8]:
        """The i-th example, uint8 [C, H, W].

        Raises:
            Refused: it could be read before, and now it cannot.
        """
        which = int(self.chosen[i])
        try:
            return self.decoder(self.store.read(which)).array
        except Unreadable as error:
            remedy = "It was readable when the data was opened; put it back, then go on with `gansmith resume`."
            raise Refused(f"{self.store.names[which]}: {error}", remedy) from None


def scan(store: Store, decoder: Decoder, chosen: Iterable[int], progress: Progress | None = None) -> Scan:
    """Decode the chosen pictures of a store, in their order, on all cores."""
    numbers = list(chosen)
    out = Scan(None, np.empty(0, dtype=np.int64), [])
    good: list[int] = []
    array: NDArray[np.uint8] | None = None
    for done, (which, found) in enumerate(_decoded(store, decoder, numbers), 1):
        if progress is not None and (done % 64 == 0 or done == len(numbers)):
            progress(done, len(numbers))
        if isinstance(found, Problem):
            out.problems.append(found)
            continue
        picture, digest = found
        shape = picture.array.shape
        if not good and len(numbers) * picture.array.nbytes <= IN_MEMORY:
            array = np.empty((len(numbers), *shape), dtype=np.uint8)
        if array is not None and array.shape[1:] == shape:
            array[len(good)] = picture.array
        else:
            array = None
        good.append(which)
        out.digests.append(digest)
        out.each.append((shape[1], shape[2]))
        out.shapes[(shape[0], shape[1], shape[2])] += 1
        out.sizes[picture.size] += 1
        out.channels[picture.channels] += 1
        out.animated += picture.frames > 1
    out.good = np.array(good, dtype=np.int64)
    out.array = None if array is None else array[: len(good)]
    return out


def _decoded(
    store: Store, decoder: Decoder, numbers: list[int]
) -> Iterator[tuple[int, Problem | tuple[Picture, bytes]]]:
    def one(which: int) -> Problem | tuple[Picture, bytes]:
        try:
            picture = decoder(store.read(which))
        except Unreadable as error:
            return Problem(store.names[which], str(error))
        return picture, digest(picture.array)

    with quietly(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        # In handfuls, so that decoded pictures never pile up ahead of the one who takes them.
        for start in range(0, len(numbers), _HANDFUL):
            handful = numbers[start : start + _HANDFUL]
            yield from zip(handful, pool.map(one, handful), strict=True)


def digest(example: NDArray[np.generic]) -> bytes:
    """The sha256 of one example's bytes."""
    return hashlib.sha256(np.ascontiguousarray(example).data).digest()


def fingerprint(
    shape: tuple[int, ...],
    digests: Iterable[bytes],
    labels: NDArray[np.int64] | None,
    conditions: NDArray[np.float32] | None = None,
) -> str:
    """The sha256, in hex, of a whole dataset: its shape, its examples' digests in order, its labels or conditions."""
    whole = hashlib.sha256(f"gansmith 1 {shape} {labels is not None}".encode())
    for each in digests:
        whole.update(each)
    if labels is not None:
        whole.update(np.ascontiguousarray(labels, dtype="<i8").data)
    if conditions is not None:
        whole.update(f"conditions {conditions.shape}".encode())
        whole.update(np.ascontiguousarray(conditions, dtype="<f4").data)
    return whole.hexdigest()
