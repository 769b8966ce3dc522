from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from gansmith.data import Dataset
from gansmith.data.dataset import Beside
from gansmith.data.finish import finish, limit_note, reserve, subset
from gansmith.errors import Refused
from gansmith.fields import Data


def images(count=20):
    array = np.random.default_rng(0).integers(0, 256, (count, 1, 6, 6), dtype=np.uint8)
    labels = (np.arange(count) % 2).astype(np.int64)
    return Dataset("it", "image", (1, 6, 6), count, array, labels=labels, classes=("a", "b"), notes=("first",))


def test_nothing_asked_nothing_changed():
    data = images()
    done = finish(data, Data())
    assert done.array is data.array
    assert done.notes == ("first",)
    assert len(done.fingerprint) == 64


def test_a_smaller_limit_is_the_start_of_a_larger():
    small, large = subset(100, 10), subset(100, 40)
    assert large[:10].tolist() == small.tolist()
    assert sorted(subset(7, 100).tolist()) == list(range(7))
    assert subset(7, None).tolist() == list(range(7))
    assert small.tolist() != list(range(10))


def test_limit_keeps_labels_with_their_images():
    data = replace(images(), conditions=np.arange(40, dtype=np.float32).reshape(20, 2))
    done = finish(data, Data(limit=5))
    assert np.array_equal(done.conditions, data.conditions[subset(20, 5)])
    assert done.fingerprint != finish(replace(data, conditions=data.conditions + 1), Data(limit=5)).fingerprint
    which = subset(20, 5)
    assert data.array is not None
    assert data.labels is not None
    assert done.count == 5
    assert np.array_equal(done.array, data.array[which])
    assert np.array_equal(done.labels, data.labels[which])
    assert "5 of 20" in done.notes[-1]
    assert limit_note(3, 9) == ("the limit of 9 is more than there are: all 3 are used",)


def test_size_and_channels():
    done = finish(images(), Data(resolution=(4, 8), channels=3, fit="pad"))
    assert done.shape == (3, 4, 8)
    assert done.array is not None
    assert done.array.shape == (20, 3, 4, 8)
    assert done.notes[1:] == (
        "resized from 6x6 to 4x8 (Lanczos), padded where the shape differs",
        "converted from grey to RGB",
    )


def test_labels_on_and_off():
    off = finish(images(), Data(labels=False))
    assert (off.labels, off.classes) == (None, None)
    assert off.fingerprint != finish(images(), Data(labels=True)).fingerprint
    with pytest.raises(Refused, match="has no labels"):
        finish(off, Data(labels=True))


def test_points_have_no_resolution():
    data = Dataset("ring", "points", (2,), 3, np.zeros((3, 2), np.float32))
    assert finish(data, Data()).shape == (2,)
    for wrong in (Data(resolution=8), Data(channels=1)):
        with pytest.raises(Refused, match="these are points"):
            finish(data, wrong)


def test_reserved_examples_and_the_rest_are_all_there_are():
    data = finish(images(), Data())
    rest, held = reserve(data, 6)
    assert (rest.count, held.count) == (14, 6)
    whole = {row.tobytes() for row in data.array}
    assert {row.tobytes() for row in rest.array} | {row.tobytes() for row in held.array} == whole
    place = {row.tobytes(): label for row, label in zip(data.array, data.labels, strict=True)}
    for part in (rest, held):
        assert [place[row.tobytes()] for row in part.array] == part.labels.tolist()
    assert len({data.fingerprint, rest.fingerprint, held.fingerprint}) == 3
    assert rest.notes[-1] == "6 of 20 are kept out of the training, as data.reserve says"
    again = reserve(data, 6)
    assert np.array_equal(again[1].array, held.array)
    with pytest.raises(Refused, match=r"data.reserve: 20 of 20 examples leave none"):
        reserve(data, 20)


def test_examples_that_are_read_are_reserved_too():
    data = images()
    read = Dataset("it", "image", (1, 6, 6), 20, read=data.array.__getitem__, fingerprint="it")
    (rest, held), (there, kept) = reserve(read, 5), reserve(replace(data, fingerprint="it"), 5)
    assert held.labels is None
    assert all(np.array_equal(held.read(i), kept.array[i]) for i in range(5))
    assert all(np.array_equal(rest.read(i), there.array[i]) for i in range(15))
    pickle.dumps(rest.read)  # worker processes get it


def test_what_is_reserved_takes_its_other_halves_along():
    def numbered(count):
        array = np.arange(count, dtype=np.float32)[:, None]
        return Dataset("numbers", "vectors", (1,), count, array, conditions=-array, fingerprint="f")

    data = replace(numbered(10), beside={"b": Beside(numbered(10)), "c": Beside(numbered(6), paired=False)})
    rest, held = reserve(data, 4)
    for part, n in ((rest, 6), (held, 4)):
        assert np.array_equal(part.array, part.beside["b"].dataset.array)
        assert np.array_equal(part.array, -part.conditions)
        assert part.beside["b"].paired
        assert not part.beside["c"].paired
        assert part.count == n
    others = [set(part.beside["c"].dataset.array.ravel()) for part in (rest, held)]
    assert len(others[0]) == 2
    assert others[0] | others[1] == set(range(6))
    assert set(rest.array.ravel()) | set(held.array.ravel()) == set(range(10))
