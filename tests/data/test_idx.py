from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gansmith.data.idx import read_idx
from gansmith.errors import Refused

from .making import idx, outcome

ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("zipped", [False, True])
def test_values_come_back(tmp_path, zipped):
    file = tmp_path / "anything"
    file.write_bytes(gzip.compress(idx(ARRAY), mtime=0) if zipped else idx(ARRAY))
    assert np.array_equal(read_idx(file, 3), ARRAY)
    assert read_idx(file, 3).flags.writeable


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file"),
        (idx(ARRAY, code=0x0D), "0x0d"),
        (idx(ARRAY[0]), "has 2 axes"),
        (idx(ARRAY)[:10], "within its header"),
        (idx(ARRAY)[:-1], "only 23"),
        (idx(ARRAY) + b"!", "but there are more"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "cannot be"),
        (b"\0\0\x08\x03" + b"\0" * 12, "cannot be"),
        (gzip.compress(idx(ARRAY), mtime=0)[:-9], "truncated or damaged"),
        (gzip.compress(idx(ARRAY), mtime=0)[:12], "truncated or damaged"),
    ],
)
def test_damage_is_named(tmp_path, data, says):
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(data)
    with pytest.raises(Refused, match=says) as caught:
        read_idx(file, 3)
    assert str(file) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(Refused, match="cannot be read"):
        read_idx(tmp_path / "none", 3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6), st.integers(0, 60))
def test_any_corruption_is_refused_or_read(tmp_path, zipped, changes, cut):
    data = bytearray(gzip.compress(idx(ARRAY), mtime=0) if zipped else idx(ARRAY))
    for where, value in changes:
        data[where % len(data)] = value
    file = tmp_path / "file"
    file.write_bytes(bytes(data[: max(0, len(data) - cut)]))
    found = outcome(lambda: read_idx(file, 3), Refused)
    assert str(file) in found.what if isinstance(found, Refused) else found.ndim == 3
