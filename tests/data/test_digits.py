from __future__ import annotations

import numpy as np

from gansmith.data.digits import digits


def test_the_splits():
    train, test, whole = digits("train"), digits("test"), digits("all")
    assert (train.count, test.count, whole.count) == (1500, 297, 1797)
    assert train.array is not None
    assert test.array is not None
    assert whole.array is not None
    assert train.shape == (1, 8, 8)
    assert train.array.dtype == np.uint8
    assert (train.array.min(), train.array.max()) == (0, 255)
    # Nothing is in both, nothing is lost.
    rows = [sorted(map(bytes, part)) for part in (np.concatenate([train.array, test.array]), whole.array)]
    assert rows[0] == rows[1]


def test_the_test_split_is_stratified():
    whole, test = digits("all"), digits("test")
    assert whole.labels is not None
    assert test.labels is not None
    wanted = np.bincount(whole.labels, minlength=10) * 297 / 1797
    assert np.abs(np.bincount(test.labels, minlength=10) - wanted).max() <= 1


def test_the_values_are_scaled_not_cut():
    array = digits("all").array
    assert array is not None
    assert set(np.unique(array).tolist()) == {round(v * 255 / 16) for v in range(17)}
