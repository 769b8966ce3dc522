"""The 1,797 handwritten digits that ship with scikit-learn: real data that needs no download."""

from __future__ import annotations

import numpy as np

from gansmith.data.dataset import Dataset
from gansmith.data.order import SPLIT, shuffled

_TEST = 297


def digits(split: str = "train") -> Dataset:
    """UCI's optical digits (Alpaydin and Kaynak, 1998), 8x8 grey, their 0..16 taken to 0..255.

    scikit-learn ships one set without splits. Here 297 are the test split, drawn by a fixed key and
    stratified: within its class each example has a rank in (0, 1), and the highest 297 are taken.

    Args:
        split: `train` (1,500), `test` (297), or `all`, in the original order.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    labels = np.asarray(labels, dtype=np.int64)
    array = np.rint(np.asarray(images) * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    rank = np.empty(len(labels))
    for each in range(10):
        members = np.flatnonzero(labels == each)
        rank[members[shuffled(len(members), (SPLIT, each))]] = (np.arange(len(members)) + 0.5) / len(members)
    test = np.zeros(len(labels), dtype=np.bool_)
    test[np.argsort(rank, kind="stable")[-_TEST:]] = True
    chosen = {"train": ~test, "test": test}.get(split, np.ones_like(test))
    names = tuple(str(digit) for digit in range(10))
    array, labels = array[chosen], labels[chosen]
    return Dataset("digits", "image", array.shape[1:], len(array), array, labels=labels, classes=names, split=split)
