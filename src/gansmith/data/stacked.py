"""Stacked MNIST: three digits in the channels of one image, for counting a thousand known modes."""

from __future__ import annotations

import numpy as np

from gansmith.data import published
from gansmith.data.dataset import Dataset

DIGITS = 10
SEEDS = {"train": 0, "test": 1}


def stacked_mnist(split: str, root: str | None) -> Dataset:
    """Stack three MNIST digits, drawn at random with replacement, as many stacks as the split has digits.

    Metz et al., 2017, Section 3.3.1 (arXiv:1611.02163). The label is the number that the digits spell, the
    first channel's first; the digits' own frequencies make the modes a little unequal.

    Raises:
        Refused: MNIST's files are not there and cannot be had, or are damaged.
    """
    mnist = published.mnist(split, root)
    assert mnist.array is not None
    assert mnist.labels is not None
    drawn = np.random.Generator(np.random.PCG64(SEEDS[split])).integers(mnist.count, size=(mnist.count, 3))
    labels = (mnist.labels[drawn] * [100, 10, 1]).sum(1)
    classes = tuple(f"{i:03d}" for i in range(DIGITS**3))
    return Dataset(
        "stacked-mnist", "image", (3, *mnist.shape[1:]), mnist.count, mnist.array[drawn, 0],
        labels=labels.astype(np.int64), classes=classes, split=split, notes=mnist.notes, stack=DIGITS,
    )  # fmt: skip
