"""Pictures of any sizes, as a dataset of their square patches on a grid."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset
from gansmith.data.order import RESERVE, shuffled
from gansmith.errors import Refused

MOST = 1_000_000
"""Patches, about, at most: the step of the grid is the smallest that leaves so many."""

_KEPT = 8
"""Decoded pictures that are kept, where not all of them fit in memory."""


@dataclass(frozen=True)
class Patches:
    """Reads the i-th patch; picklable.

    Attributes:
        patch: pixels of its side.
        step: pixels from one to the next, along both sides; the last of each row and column lies at the edge.
        sizes: (height, width) of each picture.
        pictures: the decoded ones, or what reads the i-th where they are too large together.
    """

    patch: int
    step: int
    sizes: tuple[tuple[int, int], ...]
    pictures: Sequence[NDArray[np.uint8]] | Callable[[int], NDArray[np.uint8]]
    _starts: NDArray[np.int64] = field(init=False, compare=False, repr=False)
    _kept: OrderedDict[int, NDArray[np.uint8]] = field(
        default_factory=OrderedDict[int, NDArray[np.uint8]], init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", np.concatenate([[0], np.cumsum(self.each())]).astype(np.int64))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __call__(self, i: int) -> NDArray[np.uint8]:
        """The i-th patch, uint8 [C, patch, patch]."""
        which = int(np.searchsorted(self._starts, i, side="right")) - 1
        height, width = self.sizes[which]
        row, column = divmod(i - int(self._starts[which]), _along(width, self.patch, self.step))
        top, left = min(row * self.step, height - self.patch), min(column * self.step, width - self.patch)
        return self._picture(which)[:, top : top + self.patch, left : left + self.patch]

    def each(self) -> NDArray[np.int64]:
        """How many patches each picture has; int64 [pictures]."""
        return _counts(self.sizes, self.patch, self.step)

    def of(self, chosen: NDArray[np.int64], step: int) -> Patches:
        """The patches of some of the pictures, on a grid of another step."""
        pictures = self.pictures
        some = _Some(pictures, chosen) if callable(pictures) else [pictures[i] for i in chosen]
        return Patches(self.patch, step, tuple(self.sizes[i] for i in chosen), some)

    def _picture(self, which: int) -> NDArray[np.uint8]:
        if not callable(self.pictures):
            return self.pictures[which]
        found = self._kept.get(which)
        if found is None:
            found = self._kept[which] = self.pictures(which)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


@dataclass(frozen=True)
class _Some:
    """Reads the i-th of some of the pictures."""

    read: Callable[[int], NDArray[np.uint8]]
    chosen: NDArray[np.int64]

    def __call__(self, i: int) -> NDArray[np.uint8]:
        return self.read(int(self.chosen[i]))


def _along(length: int, patch: int, step: int) -> int:
    return math.ceil((length - patch) / step) + 1


def _counts(sizes: Sequence[tuple[int, int]], patch: int, step: int) -> NDArray[np.int64]:
    each = [_along(height, patch, step) * _along(width, patch, step) for height, width in sizes]
    return np.array(each, dtype=np.int64)


def step_for(sizes: Sequence[tuple[int, int]], patch: int, most: int = MOST) -> int:
    """The smallest step of the grid that leaves no more than `most` patches, and at most a patch's side."""
    low, high = 1, patch
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _counts(sizes, patch, middle).sum() <= most else (middle + 1, high)
    return low


def cut(
    dataset: Dataset,
    sizes: Sequence[tuple[int, int]],
    pictures: Sequence[NDArray[np.uint8]] | Callable[[int], NDArray[np.uint8]],
    patch: int,
) -> Dataset:
    """The patches of a dataset's pictures; those that are smaller than a patch are passed over.

    Args:
        dataset: what is known of them: name, labels, fingerprint and notes; its shape gives the channels alone.
        sizes: (height, width) of each picture.
        pictures: uint8 [C, H, W] each, or what reads the i-th.
        patch: pixels of a patch's side.

    Raises:
        Refused: no picture is as large as a patch.
    """
    chosen = np.array([i for i, size in enumerate(sizes) if min(size) >= patch], dtype=np.int64)
    small = len(sizes) - len(chosen)
    if not len(chosen):
        largest = max(sizes, key=min)
        raise Refused(
            f"data.patch: no picture of {dataset.name} has {patch} pixels a side (height x width: "
            f"{largest[0]}x{largest[1]} at most)",
            f"--data.patch {min(largest)} or less.",
        )
    kept = [sizes[i] for i in chosen]
    step = step_for(kept, patch)
    read = Patches(patch, 1, tuple(sizes), pictures).of(chosen, step)
    notes = (
        *dataset.notes,
        f"{len(read):,} patches of {patch}x{patch}, every {step} pixels, of {len(kept):,} pictures",
    )
    if small:
        notes += (f"{small:,} picture{'s are' if small > 1 else ' is'} smaller than a patch, and passed over",)
    if callable(pictures):
        notes += ("the pictures are too large to be held in memory: each is decoded when a patch of it is wanted",)
    labels = None if dataset.labels is None else np.repeat(dataset.labels[chosen], read.each())
    mark = hashlib.sha256(f"{dataset.fingerprint} patches {patch} {step}".encode()).hexdigest()
    return replace(
        dataset, shape=(dataset.shape[0], patch, patch), count=len(read), array=None, read=read, labels=labels,
        notes=notes, fingerprint=mark,
    )  # fmt: skip


def part(dataset: Dataset, n: int) -> tuple[Dataset, Dataset]:
    """A dataset of patches without some of its pictures, and n patches of those.

    Patches overlap, so that a patch kept back is unseen only if its whole picture is. Those of the pictures kept back
    lie side by side.

    Raises:
        Refused: no picture would be left.
    """
    read = dataset.read
    assert isinstance(read, Patches)
    order = shuffled(len(read.sizes), (RESERVE,))
    apart = _counts(read.sizes, read.patch, read.patch)
    enough = int(np.searchsorted(np.cumsum(apart[order]), n)) + 1
    if enough >= len(order):
        raise Refused(f"data.reserve: {n:,} patches of whole pictures leave none of {len(order):,} to train on")
    held, rest = np.sort(order[:enough]), np.sort(order[enough:])
    label = None if dataset.labels is None else dataset.labels[np.cumsum(read.each()) - 1]

    def of(chosen: NDArray[np.int64], step: int, most: int | None, what: str, notes: tuple[str, ...]) -> Dataset:
        some = read.of(chosen, step)
        count = len(some) if most is None else most
        labels = None if label is None else np.repeat(label[chosen], some.each())[:count]
        mark = hashlib.sha256(f"{dataset.fingerprint} {what}".encode()).hexdigest()
        return replace(
            dataset, count=count, read=some, labels=labels, notes=dataset.notes + notes, fingerprint=mark
        )  # fmt: skip

    note = f"{enough:,} pictures are kept out of the training, and {n:,} patches of them kept, as data.reserve says"
    return of(rest, read.step, None, f"without {n}", (note,)), of(held, read.patch, n, f"only {n}", ())
