"""Orders and coin flips that are pure functions of a key: no state, no library's random stream.

The bits come from SplitMix64 (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number
generators"), written out here so that an order never changes with a version of numpy or torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ORDER, MIRROR, SUBSET, SPLIT, POINTS, RESERVE = range(1, 7)
"""Purposes: the first part of a key, so that two uses of one seed have nothing in common."""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(key: tuple[int, ...], first: int, n: int) -> NDArray[np.uint64]:
    """The `first`-th to (first + n)-th 64-bit word of the stream that `key` names.

    Args:
        key: any whole numbers; the first is a purpose.
        first: index of the first word, 0 or more.
        n: number of words.

    Returns:
        uint64 [n], uniform.
    """
    state = np.zeros(1, dtype=np.uint64)
    for part in key:
        state = _mix((state + np.uint64(_GOLDEN)) ^ np.uint64(part & _MASK))
    steps = np.arange(n, dtype=np.uint64) + np.uint64((first + 1) & _MASK)
    return _mix(state + steps * np.uint64(_GOLDEN))


def shuffled(count: int, key: tuple[int, ...]) -> NDArray[np.int64]:
    """A permutation of 0 .. count-1 that depends on `key` alone: the order of `count` random words."""
    return np.argsort(bits(key, 0, count), kind="stable").astype(np.int64, copy=False)


def uniform(key: tuple[int, ...], first: int, n: int) -> NDArray[np.float64]:
    """`n` numbers in [0, 1), with 53 bits each, of the stream that `key` names."""
    return (bits(key, first, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: tuple[int, ...], n: int) -> NDArray[np.float64]:
    """`n` standard normal numbers by the Box-Muller transform, of the stream that `key` names."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform((*key, 0), 0, n)))
    return radius * np.cos(2.0 * np.pi * uniform((*key, 1), 0, n))
