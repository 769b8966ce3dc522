from __future__ import annotations

import io

import pytest
from PIL import Image

from gansmith.data.collection import assemble, by_names, examine, split_of
from gansmith.data.stores import Encoded
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import encoded, pixels

PNG = encoded(pixels())


def named(*names, blob=PNG, split="train", others=0):
    store = Encoded(tuple(sorted(names)), [blob] * len(names))
    return by_names("it", "photos", store, others, split)


def made(blobs, **options):
    store = Encoded(tuple(f"{i}.png" for i in range(len(blobs))), blobs)
    spec = Data(**options)
    whole = by_names("it", "photos", store, 0, "train")
    return assemble(whole, examine(whole, spec), spec)


def test_labels_are_the_folders():
    found = named("cat/1.png", "cat/sub/2.png", "dog/1.png")
    assert found.classes == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "names", [("a.png", "b.png"), ("a.png", "cat/b.png"), ("cat/a.png", "cat/b.png"), ("cat/a.png",)]
)
def test_no_labels(names):
    assert named(*names).labels is None


def test_a_folder_that_holds_everything_is_passed():
    found = named("data/all/cat/1.png", "data/all/dog/1.png")
    assert found.classes == ("cat", "dog")


def test_splits_are_folders_too():
    names = ("x/train/cat/1.png", "x/train/dog/2.png", "x/train/dog/3.png", "x/test/cat/4.png", "x/test/dog/5.png")
    train, test, whole = (named(*names, split=split) for split in ("train", "test", "all"))
    assert [found.split for found in (train, test, whole)] == ["train", "test", "all"]
    assert [len(found.chosen) for found in (train, test, whole)] == [3, 2, 5]
    assert train.classes == test.classes == whole.classes == ("cat", "dog")
    assert {train.store.names[i] for i in train.chosen} == {name for name in names if "train" in name}
    assert whole.labels is not None
    assert sorted(whole.labels.tolist()) == [0, 0, 1, 1, 1]


def test_names_of_splits():
    assert split_of(["Train", "TEST"]) == {"Train": "train", "TEST": "test"}
    assert split_of(["train", "val"]) == {"train": "train", "val": "test"}
    assert split_of(["train", "validation", "test"]) == {"train": "train", "test": "test"}
    for names in (["train"], ["train", "cats"], ["test", "val"], ["cat", "dog"], []):
        assert split_of(names) is None


def test_no_test_split():
    with pytest.raises(Refused, match="photos: has no test split"):
        named("a.png", split="test")
    assert named("train/cat/a.png", "train/dog/a.png").classes == ("cat", "dog")
    assert named("a.png", split="all").split == named("a.png").split == "all"


def test_other_files_are_noted():
    assert named("a.png", others=12).notes == ("12 files are no pictures",)
    assert named("a.png", others=1).notes == ("1 file is no picture",)
    with pytest.raises(Refused, match=r"photos: holds no pictures$"):
        named()
    with pytest.raises(Refused, match="3 other files"):
        named(others=3)


def test_bad_files_are_named_and_counted():
    blobs = [PNG, *[b""] * 7, PNG]
    with pytest.raises(Refused) as caught:
        made(blobs)
    assert caught.value.what == (
        "photos: 7 of 9 pictures cannot be used: 1.png is empty, 2.png is empty, 3.png is empty, 4.png is empty, "
        "5.png is empty, and 2 more"
    )
    assert caught.value.remedy is not None
    assert "--data.skip-bad true" in caught.value.remedy
    data = made(blobs, skip_bad=True)
    assert data.count == 2
    assert len(data.problems) == 7
    assert data.notes == ("7 unreadable files passed over",)
    with pytest.raises(Refused, match="no picture can be read"):
        made([b""], skip_bad=True)


def test_labels_stay_with_their_pictures():
    names = [f"{kind}/{i}.png" for kind in "abc" for i in range(4)]
    blobs = [encoded(pixels("L", 4, 4, seed=i)) if i % 3 else b"" for i in range(12)]
    store = Encoded(tuple(names), blobs)
    whole = by_names("it", "photos", store, 0, "train")
    for options in ({}, {"limit": 6}):
        spec = Data(skip_bad=True, **options)
        found = examine(whole, spec)
        data = assemble(whole, found, spec)
        assert data.labels is not None
        assert [names[i][0] for i in found.good] == ["abc"[label] for label in data.labels]


def test_mixed_pictures_are_refused_with_the_remedy():
    grey, small = encoded(pixels("L")), encoded(pixels("RGB", 4, 6))
    with pytest.raises(Refused, match="2 RGB, 1 grey") as caught:
        made([PNG, grey, PNG])
    assert "--data.channels 3" in str(caught.value)
    data = made([PNG, grey, PNG], channels=3)
    assert data.shape == (3, 8, 8)
    assert data.notes == ("converted to RGB: 2 RGB, 1 grey",)
    with pytest.raises(Refused, match="2 of 8x8, 1 of 4x6") as caught:
        made([PNG, small, PNG])
    assert "--data.resolution 64" in str(caught.value)
    assert made([PNG, small, PNG], resolution=16).shape == (3, 16, 16)


def test_equal_sizes_are_kept():
    data = made([PNG, PNG])
    assert (data.shape, data.notes, data.split) == ((3, 8, 8), (), "all")
    assert data.array is not None


def test_in_memory_or_not_the_data_are_the_same(monkeypatch):
    from gansmith.data import scan

    blobs = [encoded(pixels("RGB", 6, 6, seed=i)) for i in range(9)]
    kept = made(blobs, resolution=4, limit=7)
    monkeypatch.setattr(scan, "IN_MEMORY", 10)
    read = made(blobs, resolution=4, limit=7)
    assert kept.fingerprint == read.fingerprint
    assert kept.array is not None
    assert read.array is None
    assert read.read is not None
    assert all((read.read(i) == kept.array[i]).all() for i in range(7))


def test_animations_are_noted():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert made([buffer.getvalue()]).notes == ("1 hold more than one frame; the first is used",)
