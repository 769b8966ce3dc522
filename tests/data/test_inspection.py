from __future__ import annotations

import pytest

from gansmith.data import inspect
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import picture


def test_a_catalogue_name():
    found = inspect(Data(source="digits", resolution=16))
    assert (found.name, found.modality, found.count, found.shape) == ("digits", "image", 1500, (1, 16, 16))
    assert (found.sizes, found.channels) == ({(8, 8): 1500}, {1: 1500})
    assert sum(count for _, count in found.labels) == 1500
    assert found.labels[0][0] == "0"
    assert found.refusal is None
    assert found.dataset is not None


def test_points():
    found = inspect(Data(source="ring", limit=100))
    assert (found.modality, found.shape, found.count) == ("points", (2,), 100)
    assert (found.sizes, found.channels) == ({}, {})
    assert len(found.labels) == 8


def test_a_mixed_folder_with_bad_files_is_described(tmp_path):
    picture(tmp_path / "a/1.png", "RGB", 8, 6)
    picture(tmp_path / "a/2.png", "RGB", 8, 6)
    picture(tmp_path / "b/3.png", "RGBA", 5, 5)
    (tmp_path / "b/4.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("none")
    found = inspect(Data(source=str(tmp_path)))
    assert found.labels == (("a", 2), ("b", 1))
    assert found.sizes == {(8, 6): 2, (5, 5): 1}
    assert found.channels == {3: 2, 4: 1}
    assert [p.path for p in found.problems] == ["b/4.png"]
    assert found.notes == ("1 file is no picture",)
    assert (found.count, found.shape, found.dataset) == (3, None, None)
    assert found.refusal is not None
    assert "--data.channels 3" in str(found.refusal)


def test_bad_files_alone_leave_a_usable_dataset(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    found = inspect(Data(source=str(tmp_path)))
    assert found.dataset is not None
    assert found.dataset.count == found.count == 1
    assert found.shape == (3, 8, 8)
    assert len(found.problems) == 1
    assert found.refusal is not None
    assert "2.png is empty" in found.refusal.what
    passed = inspect(Data(source=str(tmp_path), skip_bad=True))
    assert passed.refusal is None
    assert passed.notes == ("1 unreadable file passed over",)


def test_nothing_but_bad_files(tmp_path):
    (tmp_path / "2.png").write_bytes(b"")
    found = inspect(Data(source=str(tmp_path)))
    assert (found.count, found.shape, found.dataset) == (0, None, None)
    assert found.refusal is not None


def test_nothing_to_look_at(tmp_path):
    for source in (str(tmp_path), "nothing"):
        with pytest.raises(Refused):
            inspect(Data(source=source))
