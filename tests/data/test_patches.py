"""Patches of pictures of any sizes: which there are, that each is what it says, and which are kept apart."""

import pickle

import numpy as np
import pytest
from PIL import Image

from gansmith.data import collection, feed, open_dataset, patches
from gansmith.data.finish import reserve
from gansmith.data.patches import Patches, step_for
from gansmith.errors import Refused
from gansmith.recipe import Data

SIZES = ((20, 31), (16, 16), (40, 18), (9, 50), (33, 33))


def marked(height, width, number):
    """A picture that says where each of its pixels is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, number)], 2).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, (height, width) in enumerate(SIZES):
        Image.fromarray(marked(height, width, i)).save(tmp_path / f"{i}.png")
    return tmp_path


def all_of(dataset):
    return [dataset.read(i) for i in range(dataset.count)]


def test_every_patch_of_each_picture_that_is_large_enough(folder):
    dataset = open_dataset(Data(source=str(folder), patch=16))
    assert dataset.shape == (3, 16, 16)
    found = {(int(p[2, 0, 0]), int(p[0, 0, 0]), int(p[1, 0, 0])) for p in all_of(dataset)}
    wanted = {(i, r, c) for i, (h, w) in enumerate(SIZES) for r in range(h - 15) for c in range(w - 15) if i != 3}
    assert found == wanted
    assert dataset.count == len(wanted)
    for patch in all_of(dataset)[::37]:
        number, row, column = int(patch[2, 0, 0]), int(patch[0, 0, 0]), int(patch[1, 0, 0])
        whole = marked(*SIZES[number], number).transpose(2, 0, 1)
        assert np.array_equal(patch, whole[:, row : row + 16, column : column + 16])
    made = f"{len(wanted)} patches of 16x16, every 1 pixels, of 4 pictures"
    assert dataset.notes[-2:] == (made, "1 picture is smaller than a patch, and passed over")


def test_the_step_keeps_the_number_within_bounds(folder, monkeypatch):
    monkeypatch.setattr(patches, "MOST", 60)
    sizes = [size for size in SIZES if min(size) >= 16]
    step = step_for(sizes, 16, 60)
    counts = {s: len(Patches(16, s, tuple(sizes), ())) for s in (step - 1, step)}
    assert counts[step] <= 60 < counts[step - 1]
    assert step_for(sizes, 16, 1) == 16  # side by side, at least
    # The last patch of each row and column lies at the edge, so that no pixel is left out.
    read = Patches(16, 16, ((33, 40),), [marked(33, 40, 0).transpose(2, 0, 1)])
    corners = {(int(p[0, 0, 0]), int(p[1, 0, 0])) for p in map(read, range(len(read)))}
    assert corners == {(r, c) for r in (0, 16, 17) for c in (0, 16, 24)}


def test_pictures_that_do_not_fit_in_memory_are_read_when_they_are_wanted(folder, monkeypatch):
    held = open_dataset(Data(source=str(folder), patch=16))
    monkeypatch.setattr(collection, "IN_MEMORY", 100)
    lazy = open_dataset(Data(source=str(folder), patch=16))
    assert "each is decoded when a patch of it is wanted" in lazy.notes[-1]
    assert lazy.fingerprint == held.fingerprint
    again = pickle.loads(pickle.dumps(lazy.read))
    for i in (0, 100, 200, lazy.count - 1):
        assert np.array_equal(lazy.read(i), held.read(i))
        assert np.array_equal(again(i), held.read(i))


def test_the_feed_orders_them_and_a_jump_gives_the_same(folder):
    dataset = open_dataset(Data(source=str(folder), patch=16))
    with feed.Feed(dataset, batch=5, seed=3, workers=0) as one, feed.Feed(dataset, batch=5, seed=3, workers=2) as other:
        for first in (0, 5, 10, 500):
            assert one.at(first).data.equal(other.at(first).data)


def test_whole_pictures_are_kept_out(folder):
    dataset = open_dataset(Data(source=str(folder), patch=16))
    rest, held = reserve(dataset, 3)
    assert held.count == 3
    apart = {int(p[2, 0, 0]) for p in all_of(held)}
    assert apart.isdisjoint(int(p[2, 0, 0]) for p in all_of(rest))
    assert len({dataset.fingerprint, rest.fingerprint, held.fingerprint}) == 3
    with pytest.raises(Refused, match="leave none of 4 to train on"):
        reserve(dataset, 20)


def test_labels_go_along(tmp_path):
    for name, number in (("a", 3), ("b", 7)):
        (tmp_path / name).mkdir()
        Image.fromarray(marked(20, 24, number)).save(tmp_path / name / "x.png")
    dataset = open_dataset(Data(source=str(tmp_path), patch=16, labels=True))
    for part in (dataset, *reserve(dataset, 1)):
        assert [{3: 0, 7: 1}[int(p[2, 0, 0])] for p in all_of(part)] == part.labels.tolist()


def test_patches_of_an_array(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 12, 14), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images)
    dataset = open_dataset(Data(source=str(tmp_path / "x.npz"), patch=8))
    assert (dataset.count, dataset.shape) == (6 * 5 * 7, (1, 8, 8))
    assert np.array_equal(dataset.read(0), images[0, :, :8, :8])


def test_no_picture_is_large_enough(folder):
    with pytest.raises(Refused, match=r"no picture of .* has 48 pixels a side .* 33x33 at most"):
        open_dataset(Data(source=str(folder), patch=48))
