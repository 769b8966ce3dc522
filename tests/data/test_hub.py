from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from gansmith.data import open_dataset
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import encoded, pixels


class Image:
    def __init__(self, decode=True):
        self.decode = decode


class ClassLabel:
    def __init__(self, names):
        self.names = names


class Rows:
    """As much of a `datasets.Dataset` as is used."""

    def __init__(self, rows, features):
        self.rows, self.features = rows, features

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        return [row[key] for row in self.rows] if isinstance(key, str) else self.rows[key]

    def cast_column(self, name, feature):
        assert not feature.decode
        return self


def rows(count, start=0, labels=True, features=None):
    out = [
        {"photo": {"bytes": encoded(pixels("L", seed=start + i)), "path": None}, "kind": i % 2} for i in range(count)
    ]
    known = {"photo": Image(), **({"kind": ClassLabel(["ant", "bee"])} if labels else {})}
    return Rows(out, known if features is None else features)


@pytest.fixture
def hub(monkeypatch):
    given: dict[str, object] = {}

    def load_dataset(name):
        if name not in given:
            raise RuntimeError(f"Dataset '{name}' doesn't exist on the Hub\nand more lines")
        return given[name]

    def concatenate(parts):
        return Rows([row for part in parts for row in part.rows], parts[0].features)

    fake = SimpleNamespace(load_dataset=load_dataset, Image=Image, concatenate_datasets=concatenate)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    return given


def test_splits_and_labels(hub):
    hub["org/insects"] = {"train": rows(6), "validation": rows(3, 6), "test": rows(2, 9)}
    data = open_dataset(Data(source="org/insects"))
    assert (data.name, data.count, data.split, data.classes) == ("insects", 6, "train", ("ant", "bee"))
    assert data.shape == (1, 8, 8)
    assert open_dataset(Data(source="org/insects", split="test")).count == 2
    assert open_dataset(Data(source="org/insects", split="all")).count == 11


def test_one_split_only(hub):
    hub["org/insects"] = {"train": rows(4, labels=False)}
    data = open_dataset(Data(source="org/insects"))
    assert (data.split, data.labels) == ("all", None)
    with pytest.raises(Refused, match="no test split"):
        open_dataset(Data(source="org/insects", split="test"))


def test_files_in_the_librarys_cache(hub, tmp_path):
    found = rows(3)
    file = tmp_path / "a.png"
    file.write_bytes(encoded(pixels("L")))
    found.rows[0]["photo"] = {"bytes": None, "path": str(file)}
    found.rows[1]["photo"] = {"bytes": None, "path": str(tmp_path / "none.png")}
    found.rows[2]["photo"] = {"bytes": None, "path": None}
    hub["org/insects"] = {"train": found}
    data = open_dataset(Data(source="org/insects", skip_bad=True))
    assert [p.reason for p in data.problems] == ["cannot be read (No such file or directory)", "is empty"]


def test_what_is_wrong_is_said(hub, monkeypatch):
    with pytest.raises(Refused, match=r"org/none: no such path.*doesn't exist on the Hub") as caught:
        open_dataset(Data(source="org/none"))
    assert "more lines" not in str(caught.value)
    hub["org/text"] = {"train": rows(2, features={"text": object()})}
    with pytest.raises(Refused, match=r"no column of images \(it has text\)"):
        open_dataset(Data(source="org/text"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(Refused, match=r"pip install 'gansmith\[hub\]'"):
        open_dataset(Data(source="org/none"))
