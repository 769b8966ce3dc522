"""Pairs: every layout, what does not match is listed, hidden pairs stay hidden, derived pairs belong together."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gansmith.data import open_dataset
from gansmith.data.derive import grey
from gansmith.data.finish import reserve
from gansmith.data.pairs import absolute, blinded
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import encoded, picture, pixels


def pairs_at(folder, *, count=3, a="A", b="B", size=(8, 12), modes=("L", "RGB"), seed=0):
    for i in range(count):
        for side, mode in zip((a, b), modes, strict=True):
            picture(folder / side / f"{i}.png", mode, *size, seed=seed + 10 * i + (side == b))
    return folder


def opened(source, **options):
    return open_dataset(Data(source=str(source), **{"pairs": "known", **options}))


def refusal(source, **options):
    with pytest.raises(Refused) as caught:
        opened(source, **options)
    return str(caught.value)


def other(dataset):
    return dataset.beside["b"].dataset


def test_two_folders_of_equal_names(tmp_path):
    folder = pairs_at(tmp_path)
    dataset = opened(folder)
    assert (dataset.shape, other(dataset).shape, dataset.count) == ((1, 8, 12), (3, 8, 12), 3)
    assert dataset.beside["b"].paired
    for i in range(3):
        assert np.array_equal(dataset.array[i, 0], pixels("L", 8, 12, 10 * i))
        assert np.array_equal(other(dataset).array[i], pixels("RGB", 8, 12, 10 * i + 1).transpose(2, 0, 1))
    by_two = opened(f"A:{folder / 'A'} B:{folder / 'B'}")
    assert np.array_equal(by_two.array, dataset.array)
    back = opened(folder, reverse=True)
    assert (back.shape, other(back).shape) == ((3, 8, 12), (1, 8, 12))
    assert back.fingerprint != dataset.fingerprint


def test_splits_are_folders_above_or_below_the_sides(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        pairs_at(tmp_path / "above" / split, count=count)
        pairs_at(tmp_path / "below", count=count, a=f"A/{split}", b=f"B/{split}")
        pairs_at(tmp_path / "named", count=count, a=f"{split}A", b=f"{split}B")
    for layout in ("above", "below", "named"):
        assert opened(tmp_path / layout).count == 3
        test = opened(tmp_path / layout, split="test")
        assert (test.count, test.split, other(test).count) == (2, "test", 2)
    assert "not read together" in refusal(tmp_path / "above", split="all")
    assert "has no test split" in refusal(pairs_at(tmp_path / "plain"), split="test")


def test_pictures_of_two_halves(tmp_path):
    for split in ("train", "val"):
        for i in range(2):
            picture(tmp_path / split / f"{i}.png", "RGB", 8, 24, seed=i)
    dataset = opened(tmp_path)
    whole = np.stack([pixels("RGB", 8, 24, i).transpose(2, 0, 1) for i in range(2)])
    assert np.array_equal(dataset.array, whole[..., :12])
    assert np.array_equal(other(dataset).array, whole[..., 12:])
    assert opened(tmp_path, split="test").count == 2  # val stands in
    picture(tmp_path / "train" / "odd.png", "RGB", 8, 23)
    said = refusal(tmp_path)
    assert "1 of 3 pictures are not two halves side by side: odd.png (23x8)" in said
    assert "--derive" in said


def test_sixteen_bit_halves_keep_their_levels(tmp_path):
    deep = np.arange(8 * 24, dtype=np.uint16).reshape(8, 24) * 300
    Image.fromarray(deep).save(tmp_path / "deep.png")
    dataset = opened(tmp_path)
    assert np.array_equal(dataset.array[0, 0], np.rint(deep[:, :12] / 257))
    assert np.array_equal(other(dataset).array[0, 0], np.rint(deep[:, 12:] / 257))


def test_names_that_do_not_match_are_listed(tmp_path):
    pairs_at(tmp_path)
    picture(tmp_path / "A" / "alone.png")
    picture(tmp_path / "B" / "0.jpg")
    said = refusal(tmp_path)
    assert "1 of 4 in" in said
    assert "alone" in said
    assert "have no like" in said
    assert len(said.splitlines()) == 2
    heaps = opened(tmp_path, pairs="hidden", resolution=8, channels=3)  # without pairs it does not matter
    assert (heaps.count, other(heaps).count) == (4, 4)
    assert set(heaps.beside) == {"b"}


def test_sizes_that_do_not_match_are_listed(tmp_path):
    pairs_at(tmp_path)
    picture(tmp_path / "A" / "1.png", "L", 8, 16)
    said = refusal(tmp_path)
    assert "sizes do not match in 1 of 3 pairs: 1.png (16x8 and 12x8)" in said
    assert "sizes do not match" in refusal(tmp_path, resolution=8)  # another shape is another picture
    picture(tmp_path / "A" / "1.png", "L", 16, 24)
    assert "sizes do not match" in refusal(tmp_path)
    assert opened(tmp_path, resolution=8).shape == (1, 8, 8)


def test_heaps_must_be_of_one_size(tmp_path):
    for i in range(2):
        picture(tmp_path / "trainA" / f"x{i}.png", "RGB", 8, 8)
        picture(tmp_path / "trainB" / f"y{i}.png", "RGB", 12, 12)
    assert "must be of one size, and are 8x8 and 12x12" in refusal(tmp_path, pairs="hidden")
    dataset = opened(tmp_path, pairs="hidden", resolution=10)
    assert not dataset.beside["b"].paired


def test_a_pair_goes_when_either_half_is_bad(tmp_path):
    pairs_at(tmp_path, count=5)
    (tmp_path / "A" / "1.png").write_bytes(b"")
    (tmp_path / "B" / "3.png").write_bytes(encoded(pixels("RGB", 8, 12))[:50])
    assert "1.png is empty" in refusal(tmp_path)
    dataset = opened(tmp_path, skip_bad=True)
    assert dataset.count == other(dataset).count == 3
    assert [problem.path for problem in dataset.problems] == ["1.png", "3.png"]
    for row, i in enumerate((0, 2, 4)):
        assert np.array_equal(other(dataset).array[row], pixels("RGB", 8, 12, 10 * i + 1).transpose(2, 0, 1))


def test_a_limit_takes_the_same_pairs_of_both_sides(tmp_path):
    pairs_at(tmp_path, count=6)
    whole, part = opened(tmp_path), opened(tmp_path, limit=2)
    for row in range(2):
        (at,) = np.flatnonzero((whole.array == part.array[row]).all((1, 2, 3)))
        assert np.array_equal(other(whole).array[at], other(part).array[row])


def test_hidden_pairs_are_known_to_what_is_held_out_alone(tmp_path):
    pairs_at(tmp_path, count=8)
    dataset = opened(tmp_path, pairs="hidden")
    assert not dataset.beside["b"].paired
    assert dataset.beside["truth"].paired
    kept, held = reserve(dataset, 3)
    trained = blinded(kept)
    assert set(trained.beside) == {"b"}
    assert not trained.beside["b"].paired
    truths = held.beside["truth"].dataset.array
    assert len(truths) == 3
    for one in trained.beside["b"].dataset.array:  # and no truth of theirs is in the training
        assert not (truths == one).all((1, 2, 3)).any()
    assert blinded(opened(tmp_path)).beside["b"].paired


def test_derived_pairs_belong_together(tmp_path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", "RGB", 8, 12, seed=i)
    dataset = opened(tmp_path, derive="grey")
    assert (dataset.shape, other(dataset).shape) == ((1, 8, 12), (3, 8, 12))
    for one, of in zip(dataset.array, other(dataset).array, strict=True):
        assert np.array_equal(one, grey(of))
    assert any("derived of them: grey" in note for note in dataset.notes)
    assert open_dataset(Data(source=str(tmp_path), derive="grey")).fingerprint != dataset.fingerprint
    assert opened(tmp_path, derive="edges").fingerprint != dataset.fingerprint
    digits = open_dataset(Data(source="digits", derive="blur", pairs="known", split="test"))
    assert (digits.count, other(digits).shape) == (297, (1, 8, 8))


def test_pictures_that_are_read_one_by_one_are_derived_likewise(tmp_path, monkeypatch):
    for i in range(3):
        picture(tmp_path / f"{i}.png", "RGB", 8, 12, seed=i)
    whole = opened(tmp_path, derive="edges")
    monkeypatch.setattr("gansmith.data.scan.IN_MEMORY", 1)
    read = opened(tmp_path, derive="edges")
    assert read.array is None
    assert read.shape == (1, 8, 12)
    assert all(np.array_equal(read.read(i), whole.array[i]) for i in range(3))
    assert read.fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (lambda path: path / "nowhere", {}, "there is no such path"),
        (lambda path: "digts", {}, "did you mean 'digits'"),
        (lambda path: "digits", {}, "holds no pairs"),
        (lambda path: "ring", {"derive": "grey"}, "these are points"),
        (lambda path: path, {}, "holds no pictures"),
        (lambda path: f"A:{path / 'x'} B:{path / 'y'}", {}, "x: no such folder"),
    ],
)
def test_what_it_cannot_be_is_said(tmp_path, make, options, said):
    assert said in refusal(make(tmp_path), **options)


def test_a_source_of_two_folders_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("A:one B:the other") == f"A:{tmp_path / 'one'} B:{tmp_path / 'the other'}"
    assert absolute("digits") == "digits"
