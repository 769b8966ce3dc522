from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gansmith.data.arrays import labels_of, read_npz
from gansmith.errors import Refused

from .making import outcome

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 5, 7), dtype=np.uint8)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "set.npz"


@pytest.mark.parametrize("given", [IMAGES, IMAGES.transpose(0, 2, 3, 1), IMAGES[:, :1], IMAGES[:, 0]])
def test_layouts(file, given):
    data = read_npz(saved(file, images=given), "set", "train")
    wanted = IMAGES if given.size == IMAGES.size else IMAGES[:, :1]
    assert np.array_equal(data.array, wanted)
    assert data.shape == wanted.shape[1:]
    assert (data.count, data.labels, data.split, data.notes) == (6, None, "all", ())


def test_an_ambiguous_layout_is_said(file):
    data = read_npz(saved(file, images=np.zeros((5, 3, 8, 4), np.uint8)), "set", "all")
    assert data.shape == (3, 8, 4)
    assert "taken as N, C, H, W" in data.notes[0]


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_labels(file, shape):
    labels = np.array([7, 3, 3, 9, 7, 3]).reshape(shape)
    data = read_npz(saved(file, images=IMAGES, labels=labels), "set", "train")
    assert data.classes == ("3", "7", "9")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 0, 2, 1, 0]
    words = read_npz(saved(file, images=IMAGES, labels=np.array(list("baabab"))), "set", "train")
    assert words.classes == ("a", "b")


def test_conditions(file):
    vectors = np.random.default_rng(1).normal(0, [1, 4], (6, 2))
    data = read_npz(saved(file, images=IMAGES, conditions=vectors), "set", "train")
    assert data.conditions.dtype == np.float32
    assert np.allclose(data.conditions, vectors)
    assert data.labels is None
    assert data.notes[0].startswith("conditions: 2 numbers, of deviation ")
    alone = read_npz(saved(file, images=IMAGES, labels=np.arange(6), conditions=np.arange(6)), "set", "train")
    assert alone.conditions.tolist() == [[i] for i in range(6)]
    assert alone.labels is not None
    saved(file, train_images=IMAGES, train_conditions=vectors, test_images=IMAGES[:2], test_conditions=vectors[:2])
    assert [read_npz(file, "set", split).conditions.shape for split in ("train", "test", "all")] == [
        (6, 2),
        (2, 2),
        (8, 2),
    ]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (np.array(list("abcabc")), r"conditions are numbers, \[N, V\] or \[N\]"),
        (np.zeros((6, 2, 2)), "conditions are numbers"),
        (np.zeros((5, 2)), r"6 images, but conditions of the shape \[5, 2\]"),
        (np.zeros((6, 0)), "conditions of the shape"),
        (np.full((6, 1), np.nan), "some conditions are not finite"),
    ],
)
def test_conditions_that_are_none_are_refused(file, conditions, said):
    with pytest.raises(Refused, match=said):
        read_npz(saved(file, images=IMAGES, conditions=conditions), "set", "train")


def test_splits(file):
    saved(file, train_images=IMAGES, test_images=IMAGES[:2], train_labels=np.arange(6), test_labels=np.arange(2))
    assert [read_npz(file, "set", split).count for split in ("train", "test", "all")] == [6, 2, 8]
    assert read_npz(file, "set", "test").split == "test"
    with pytest.raises(Refused, match="has no test split"):
        read_npz(saved(file, images=IMAGES), "set", "test")
    with pytest.raises(Refused, match="different shapes"):
        read_npz(saved(file, train_images=IMAGES, test_images=IMAGES[:, :1]), "set", "all")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": IMAGES}, r"no array `images` \(it has x\)"),
        ({}, "it has nothing"),
        ({"images": IMAGES / 255}, "is float64; images are uint8"),
        ({"images": IMAGES[0, 0]}, "has the shape"),
        ({"images": IMAGES[:0]}, "has the shape"),
        ({"images": np.zeros((2, 5, 8, 8), np.uint8)}, "no axis of 1 to 4 channels"),
        ({"images": IMAGES, "labels": np.arange(5)}, "6 images, but labels"),
        ({"images": IMAGES, "labels": np.arange(6.0)}, "labels are float64"),
    ],
)
def test_what_is_wrong_is_said(file, arrays, says):
    with pytest.raises(Refused, match=says) as caught:
        read_npz(saved(file, **arrays), "set", "train")
    assert str(file) in caught.value.what


class Evil:
    def __reduce__(self):
        return (open, ("should-never-exist", "w"))


def test_pickles_are_never_read(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(Refused, match="pickled objects, which are never read"):
        read_npz(saved(file, images=np.array([Evil()], dtype=object)), "set", "train")
    assert not (file.parent / "should-never-exist").exists()


@pytest.mark.parametrize("data", [b"", b"text", b"PK\3\4", b"\x93NUMPY\1\0"])
def test_what_is_no_npz(file, data):
    file.write_bytes(data)
    with pytest.raises(Refused, match=r"set\.npz"):
        read_npz(file, "set", "train")
    with open(file, "wb") as out:
        np.save(out, IMAGES)
    with pytest.raises(Refused, match=r"not an \.npz file"):
        read_npz(file, "set", "train")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6), st.integers(0, 300))
def test_any_damage_is_refused_or_read(file, changes, cut):
    data = bytearray(saved(file, images=IMAGES, labels=np.arange(6)).read_bytes())
    for where, value in changes:
        data[where % len(data)] = value
    file.write_bytes(bytes(data[: len(data) - cut]))
    found = outcome(lambda: read_npz(file, "set", "train"), Refused)
    assert str(file) in found.what if isinstance(found, Refused) else found.count >= 1


def test_labels_of_bytes():
    labels, names = labels_of("it", np.array([b"x", b"\xff", b"x"]), 3)
    assert labels.tolist() == [0, 1, 0]
    assert names == ("x", "�")


def test_points(file):
    points = np.array([[0.5, -1], [2, 3]])
    data = read_npz(saved(file, points=points), "set", "train")
    assert (data.modality, data.shape, data.count, data.split) == ("points", (2,), 2, "all")
    assert data.array.dtype == np.float32
    assert np.array_equal(data.array, points)
    with pytest.raises(Refused, match="no test split"):
        read_npz(file, "set", "test")


@pytest.mark.parametrize(
    "wrong", [np.zeros(4), np.zeros((0, 2)), np.zeros((3, 3)), np.array([["a", "b"]]), np.array([[0, np.inf]])]
)
def test_points_that_are_none(file, wrong):
    with pytest.raises(Refused, match="points"):
        read_npz(saved(file, points=wrong), "set", "train")
