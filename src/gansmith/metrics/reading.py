"""Examples of a dataset by index, in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset

BYTES = 1 << 26
"""Bytes of examples held at a time."""

HELD, READ = 50_000, 10_000
"""Most examples of a reference: where they lie in memory, and where each is read from its file."""


def some(dataset: Dataset, most: int, seed: int, *, shuffled: bool = False) -> NDArray[np.int64]:
    """Choose indices of all examples, or of a seeded choice of `most` of them, in order unless shuffled."""
    if dataset.count <= most and not shuffled:
        return np.arange(dataset.count)
    order = np.random.Generator(np.random.PCG64([seed, dataset.count])).permutation(dataset.count)[:most]
    return order if shuffled else np.sort(order)


def array(dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[Any]:
    """The examples at these indices, [N, *shape]."""
    if dataset.array is not None:
        # All of them in order: the array itself, not a copy of it.
        return dataset.array if len(indices) == dataset.count and _in_order(indices) else dataset.array[indices]
    assert dataset.read is not None
    return np.stack([dataset.read(int(i)) for i in indices])


def _in_order(indices: NDArray[np.int64]) -> bool:
    return bool((indices[1:] > indices[:-1]).all())


def read(dataset: Dataset, indices: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """The examples at these indices, in parts."""
    at = 0
    for count in parts(len(indices), dataset.shape):
        yield array(dataset, indices[at : at + count])
        at += count


def parts(n: int, shape: tuple[int, ...]) -> Iterator[int]:
    """Sizes of parts of n examples that each fit in memory."""
    size = max(1, BYTES // int(np.prod(shape)))
    while n > 0:
        yield min(n, size)
        n -= size
