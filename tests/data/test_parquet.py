from __future__ import annotations

import json

import numpy as np
import pytest

from gansmith.data import open_dataset, scan
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import encoded, pixels

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

BLOBS = [encoded(pixels("RGB", seed=seed)) for seed in range(5)]


def write(path, blobs=BLOBS, *, struct=True, name="image", metadata=None, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    column = [None if b is None else {"bytes": b, "path": "x.png"} for b in blobs] if struct else blobs
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if struct else pa.binary()
    table = pa.table({"id": list(range(len(blobs))), name: pa.array(column, kind), **columns})
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=2)
    return path


@pytest.mark.parametrize("struct", [True, False])
def test_pictures_and_labels(tmp_path, struct):
    path = write(tmp_path / "set.parquet", struct=struct, label=[2, 0, 0, 2, 1])
    data = open_dataset(Data(source=str(path)))
    assert data.array is not None
    assert data.labels is not None
    assert (data.name, data.split, data.classes) == ("set", "all", ("0", "1", "2"))
    assert data.labels.tolist() == [2, 0, 0, 2, 1]
    assert np.array_equal(data.array[3], pixels("RGB", seed=3).transpose(2, 0, 1))


def test_the_hubs_own_schema(tmp_path):
    features = {"photo": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["ant", "bee"]}, "id": {}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    more = {"kind": [1, 0, 1, 1, 0], "other": pa.array([b"x"] * 5, pa.binary()), "image": pa.array([b"x"] * 5)}
    path = write(tmp_path / "set.parquet", name="photo", metadata=metadata, **more)
    data = open_dataset(Data(source=str(path)))
    assert data.classes == ("ant", "bee")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 1, 1, 0]


def test_a_folder_with_splits(tmp_path):
    write(tmp_path / "data/train-00000-of-00002.parquet", BLOBS[:2])
    write(tmp_path / "data/train-00001-of-00002.parquet", BLOBS[2:4])
    write(tmp_path / "data/test-00000-of-00001.parquet", BLOBS[4:])
    counts = {s: open_dataset(Data(source=str(tmp_path), split=s)).count for s in ("train", "test", "all")}
    assert counts == {"train": 4, "test": 1, "all": 5}
    write(tmp_path / "more.parquet")
    assert open_dataset(Data(source=str(tmp_path))).split == "all"
    with pytest.raises(Refused, match="no test split"):
        open_dataset(Data(source=str(tmp_path), split="test"))


def test_bad_rows_are_problems(tmp_path):
    path = write(tmp_path / "set.parquet", [BLOBS[0], None, b"text", BLOBS[1]])
    with pytest.raises(Refused, match=r"2 of 4 .*set\.parquet, row 1 is missing, set\.parquet, row 2 is not a picture"):
        open_dataset(Data(source=str(path)))
    assert open_dataset(Data(source=str(path), skip_bad=True)).count == 2


def test_what_is_wrong_is_said(tmp_path, monkeypatch):
    path = tmp_path / "set.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(Refused, match=r"set\.parquet: cannot be read"):
        open_dataset(Data(source=str(path)))
    pq.write_table(pa.table({"x": [1, 2], "y": ["a", "b"]}), path)
    with pytest.raises(Refused, match=r"no column of pictures was found \(it has x, y\)"):
        open_dataset(Data(source=str(path)))
    write(path, [])
    with pytest.raises(Refused, match="holds no rows"):
        open_dataset(Data(source=str(path)))
    write(path)
    monkeypatch.setattr(scan, "IN_MEMORY", 50)
    with pytest.raises(Refused, match="unpack it into a folder"):
        open_dataset(Data(source=str(path)))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Refused, match="needs pyarrow"):
        open_dataset(Data(source=str(path)))
