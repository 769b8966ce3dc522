from __future__ import annotations

import numpy as np

from gansmith.data import CATALOGUE
from gansmith.fields import Data

from .making import idx_set


def test_each_channel_is_a_digit_and_the_label_is_what_they_spell(tmp_path):
    idx_set(tmp_path, "train", 40, seed=1)
    idx_set(tmp_path, "test", 40, seed=2)
    mnist, stacked, test = (
        CATALOGUE[name].open(Data(source=name, root=str(tmp_path), split=split))
        for name, split in (("mnist", "train"), ("stacked-mnist", "train"), ("stacked-mnist", "test"))
    )
    assert stacked.array is not None
    assert stacked.labels is not None
    assert mnist.array is not None
    assert mnist.labels is not None
    assert (stacked.shape, stacked.count, stacked.stack) == ((3, 28, 28), 40, 10)
    assert len(stacked.classes or ()) == 1000
    known = {image.tobytes(): label for image, label in zip(mnist.array[:, 0], mnist.labels, strict=True)}
    for image, label in zip(stacked.array, stacked.labels, strict=True):
        assert [known[channel.tobytes()] for channel in image] == [int(digit) for digit in f"{label:03d}"]
    assert len({image.tobytes() for image in stacked.array}) > 30
    assert not np.array_equal(stacked.array, test.array)
    again = CATALOGUE["stacked-mnist"].open(Data(source="stacked-mnist", root=str(tmp_path)))
    assert np.array_equal(again.array, stacked.array)
