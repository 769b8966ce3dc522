from __future__ import annotations

import pickle

import numpy as np
import pytest

from gansmith.data import scan as scans
from gansmith.data.pictures import Decoder
from gansmith.data.scan import Read, digest, fingerprint, scan
from gansmith.data.stores import Encoded
from gansmith.errors import Refused

from .making import encoded, pixels

ARRAYS = [pixels("RGB", seed=seed) for seed in range(300)]
STORE = Encoded(tuple(f"{i}.png" for i in range(300)), [encoded(array) for array in ARRAYS])


def test_every_picture_in_its_order():
    order = np.random.default_rng(0).permutation(300).tolist()
    heard: list[tuple[int, int]] = []
    found = scan(STORE, Decoder(), order, lambda done, of: heard.append((done, of)))
    assert found.good.tolist() == order
    assert found.array is not None
    assert np.array_equal(found.array, np.stack([ARRAYS[i].transpose(2, 0, 1) for i in order]))
    assert heard[-1] == (300, 300)
    assert found.digests == [digest(one) for one in found.array]
    assert found.shapes == {(3, 8, 8): 300}


def test_bad_ones_are_counted_and_the_rest_kept():
    blobs = [encoded(ARRAYS[0]), b"", encoded(ARRAYS[1])[:50], b"text", encoded(ARRAYS[2])]
    found = scan(Encoded(("a", "b", "c", "d", "e"), blobs), Decoder(), range(5))
    assert found.good.tolist() == [0, 4]
    assert found.array is not None
    assert found.array.shape == (2, 3, 8, 8)
    assert [p.path for p in found.problems] == ["b", "c", "d"]
    assert [p.reason for p in found.problems] == [
        "is empty",
        "is truncated",
        "is not a picture, or is damaged at its start",
    ]


def test_mixed_shapes_are_counted_not_kept():
    blobs = [encoded(pixels("RGB", 4, 5)), encoded(pixels("L", 6, 5)), encoded(pixels("RGB", 4, 5))]
    found = scan(Encoded(("a", "b", "c"), blobs), Decoder(), range(3))
    assert found.array is None
    assert found.sizes == {(4, 5): 2, (6, 5): 1}
    assert found.channels == {3: 2, 1: 1}


def test_what_is_too_large_is_read_again_each_time(monkeypatch):
    whole = scan(STORE, Decoder(), range(300))
    monkeypatch.setattr(scans, "IN_MEMORY", 300 * 8 * 8 * 3 - 1)
    found = scan(STORE, Decoder(), range(300))
    assert found.array is None
    assert found.digests == whole.digests
    read = pickle.loads(pickle.dumps(Read(STORE, Decoder(), found.good)))
    assert np.array_equal(read(7), ARRAYS[7].transpose(2, 0, 1))


def test_a_file_that_went_bad_after_it_was_checked():
    with pytest.raises(Refused, match=r"a\.png: is empty"):
        Read(Encoded(("a.png",), [b""]), Decoder(), np.array([0]))(0)


def test_equal_data_equal_fingerprint():
    one, other = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    labels = np.array([0, 1])
    base = fingerprint((2, 2), [digest(one), digest(other)], labels)
    assert base == fingerprint((2, 2), [digest(one.copy()), digest(other)], labels.copy())
    changed = [
        fingerprint((2, 2), [digest(other), digest(one)], labels),
        fingerprint((2, 2), [digest(one), digest(other)], None),
        fingerprint((2, 2), [digest(one), digest(other)], labels[::-1]),
        fingerprint((4, 1), [digest(one), digest(other)], labels),
        fingerprint((2, 2), [digest(one)], labels[:1]),
    ]
    assert len({base, *changed}) == 6
