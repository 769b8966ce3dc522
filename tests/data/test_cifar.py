from __future__ import annotations

import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gansmith.data.cifar import CLASSES, read_cifar
from gansmith.errors import Refused

from .making import cifar_records, outcome

RECORDS = cifar_records(5)


def python_batch(records=RECORDS, **over):
    fields = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": [int(label) for label in records[:, 0]],
        b"data": np.ascontiguousarray(records[:, 1:]),
        b"filenames": [b"a.png"] * len(records),
    }
    return {**fields, **{key.encode(): value for key, value in over.items()}}


def test_binary_records(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(RECORDS[:3].tobytes())
    (tmp_path / "data_batch_2.bin").write_bytes(RECORDS[3:].tobytes())
    found = read_cifar(tmp_path, "train")
    assert np.array_equal(found.array.reshape(5, -1), RECORDS[:, 1:])
    assert found.labels.tolist() == RECORDS[:, 0].tolist()
    assert found.notes == ("5 of the 50,000 published train images are there",)
    assert len(CLASSES) == 10


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_python_batches_by_every_protocol(tmp_path, protocol):
    (tmp_path / "test_batch").write_bytes(pickle.dumps(python_batch(), protocol=protocol))
    found = read_cifar(tmp_path, "test")
    assert np.array_equal(found.array.reshape(5, -1), RECORDS[:, 1:])
    assert found.labels.tolist() == RECORDS[:, 0].tolist()


def test_a_batch_as_python_2_wrote_it(tmp_path):
    """By hand, as the published files are: text is Python 2's `str`, the array's values too."""

    def text(value: bytes) -> bytes:
        short = struct.pack("<B", len(value)) if len(value) < 256 else b""
        return b"U" + short + value if short else b"T" + struct.pack("<i", len(value)) + value

    raw = RECORDS[:, 1:].tobytes()
    kind = (
        b"cnumpy\ndtype\n(" + text(b"u1") + b"K\0K\1tR(K\3" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text(b"b") + b"tR"
    array += b"(K\1(K\5M\0\x0ct" + kind + b"\x89" + text(raw) + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in RECORDS[:, 0]) + b"e"
    (tmp_path / "data_batch_1").write_bytes(b"\x80\2}(" + text(b"data") + array + text(b"labels") + labels + b"u.")
    found = read_cifar(tmp_path, "train")
    assert np.array_equal(found.array.reshape(5, -1), RECORDS[:, 1:])


class Evil:
    def __reduce__(self):
        return os.system, ("touch should-never-exist",)


class Attribute:
    """A pickle that would set an attribute of the function that it may call."""

    def __reduce__(self):
        return np.array([1], dtype=np.uint8).__reduce__()[0], (np.ndarray, (0,), b"b"), ({}, {"_function": 1})


@pytest.mark.parametrize(
    "bad",
    [
        Evil(),
        {b"data": Evil(), b"labels": [1]},
        python_batch(data=np.array([print], dtype=object)),
        python_batch(data=np.zeros((5, 3072))),
        python_batch(data=np.zeros((5, 3072), dtype="i1")),
        python_batch(data=np.asfortranarray(RECORDS[:, 1:])),
        python_batch(labels=[np.int64(1)] * 5),
        python_batch(labels=Attribute()),
        python_batch(data=np.zeros(1, dtype=[("a", "u1")])),
        Refused,
        eval,
    ],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path, monkeypatch, bad):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(bad, protocol=2))
    with pytest.raises(Refused, match="data_batch_1: refused, since it holds more than arrays"):
        read_cifar(tmp_path, "train")
    assert not (tmp_path / "should-never-exist").exists()


def test_a_call_cannot_be_altered(tmp_path):
    # `numpy.dtype`, then BUILD with a state: would set attributes of what find_class gave.
    for state in (b"}", b"(N}t", b"(}U\tX_functionX\0\0\0\0t"):
        (tmp_path / "data_batch_1").write_bytes(b"\x80\2cnumpy\ndtype\n" + state + b"b.")
        with pytest.raises(Refused):
            read_cifar(tmp_path, "train")


@pytest.mark.parametrize(
    "bad",
    [
        python_batch(labels=[1, 2]),
        python_batch(labels=[1, 2, 3, 4, 10]),
        python_batch(labels=[1, 2, 3, 4, 10**40]),
        python_batch(labels=[1, 2, 3, 4, -1]),
        python_batch(labels=[1, 2, 3, 4, "x"]),
        python_batch(data=np.zeros((5, 3), dtype=np.uint8)),
        python_batch(RECORDS[:0]),
        {},
        [1, 2],
        7,
    ],
)
def test_a_pickle_that_is_no_batch(tmp_path, bad):
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(bad, protocol=2))
    with pytest.raises(Refused, match="data_batch_1"):
        read_cifar(tmp_path, "train")


def test_damage_is_named(tmp_path):
    with pytest.raises(Refused, match="holds no data_batch files"):
        read_cifar(tmp_path, "train")
    file = tmp_path / "data_batch_1.bin"
    for data, says in (
        (b"", "0 bytes"),
        (RECORDS.tobytes()[:-1], "15,364 bytes are not a whole number of 3073-byte records"),
        (RECORDS.tobytes()[1:] + b"\0", "label outside"),
    ):
        file.write_bytes(data)
        with pytest.raises(Refused, match=says) as caught:
            read_cifar(tmp_path, "train")
        assert str(file) in caught.value.what


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8), st.integers(0, 400))
def test_any_corruption_of_a_pickle_is_refused_or_read(tmp_path, changes, cut):
    data = bytearray(pickle.dumps(python_batch(RECORDS[:1]), protocol=2))
    for where, value in changes:
        data[where % len(data)] = value
    (tmp_path / "test_batch").write_bytes(bytes(data[: len(data) - cut]))
    found = outcome(lambda: read_cifar(tmp_path, "test"), Refused)
    assert "test_batch" in found.what if isinstance(found, Refused) else found.array.shape == (1, 3, 32, 32)
