from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gansmith.data import Dataset, Feed
from gansmith.data.dataset import Beside


class Stored:
    """Reads from an array, as a reader from disk would; picklable."""

    def __init__(self, array):
        self.array = array

    def __call__(self, i):
        return self.array[i].copy()


def images(count=10, channels=3, labels=True, lazy=False):
    array = np.random.default_rng(0).integers(0, 256, (count, channels, 4, 6), dtype=np.uint8)
    array[:, 0, 0, 0] = np.arange(count) % 256
    which = (np.arange(count) % 3).astype(np.int64) if labels else None
    where = {"read": Stored(array)} if lazy else {"array": array}
    return Dataset("test", "image", array.shape[1:], count, labels=which, **where)


def points(count=10):
    array = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    return Dataset("test", "points", (2,), count, array)


def test_values_are_the_images_scaled():
    data = images()
    feed = Feed(data, batch=4, seed=0)
    batch, which = feed.at(4), feed.indices(4, 4)
    assert data.array is not None
    assert batch.data.dtype == torch.float32
    assert torch.equal(batch.data, torch.from_numpy(data.array[which]).float() / 127.5 - 1)
    assert batch.data.min() >= -1
    assert batch.data.max() <= 1
    assert batch.labels is not None
    assert batch.labels.dtype == torch.int64
    assert batch.labels.tolist() == (which % 3).tolist()


def test_conditions_are_fed_in_the_labels_place():
    data = images()
    vectors = np.random.default_rng(3).normal(size=(10, 3)).astype(np.float32)
    feed = Feed(replace(data, conditions=vectors), batch=4, seed=0)
    assert np.array_equal(feed.at(4).labels.numpy(), vectors[feed.indices(4, 4)])


def test_points_are_fed_as_they_are():
    data = points()
    feed = Feed(data, batch=4, seed=0, mirror=True, channels_last=True)
    assert data.array is not None
    assert torch.equal(feed.at(3).data, torch.from_numpy(data.array[feed.indices(3, 4)]))
    assert feed.at(3).labels is None


def test_other_examples_of_three_axes_keep_their_shape():
    held = np.arange(4 * 2 * 3 * 5, dtype=np.float32).reshape(4, 2, 3, 5)
    feed = Feed(Dataset("fields", "field", (2, 3, 5), 4, held), batch=4, seed=0, channels_last=True)
    assert np.array_equal(feed.at(0).data.numpy(), held[feed.indices(0, 4)])


def test_the_dataset_is_never_written_to():
    data = images()
    assert data.array is not None
    before = data.array.copy()
    feed = Feed(data, batch=8, seed=0, mirror=True)
    for step in range(5):
        feed.at(8 * step).data.zero_()
    assert np.array_equal(before, data.array)


def test_each_epoch_is_a_permutation_of_its_own():
    feed = Feed(images(17), batch=5, seed=3)
    epochs = [feed.indices(17 * e, 17) for e in range(6)]
    assert all(sorted(order.tolist()) == list(range(17)) for order in epochs)
    assert len({tuple(order.tolist()) for order in epochs}) == 6


def test_the_seed_decides_the_order():
    orders = {tuple(Feed(images(17), batch=5, seed=seed).indices(0, 17).tolist()) for seed in (0, 1, 2, -1)}
    assert len(orders) == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 10**7), st.integers(0, 50))
def test_the_order_is_a_function_of_n_alone(count, n, first, skip):
    feed = Feed(points(count), batch=3, seed=1)
    whole = feed.indices(first, n + skip)
    assert np.array_equal(Feed(points(count), batch=7, seed=1).indices(first + skip, n), whole[skip:])


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [4, 7, 25])
def test_ranks_share_a_batch_without_gap_or_overlap(world, batch):
    data = images()
    whole = Feed(data, batch=batch, seed=5, mirror=True).at(18).data
    parts = [Feed(data, batch=batch, seed=5, mirror=True, rank=r, world=world).at(18).data for r in range(world)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_batch_may_exceed_the_dataset():
    feed = Feed(images(3), batch=64, seed=0)
    assert feed.at(0).data.shape == (64, 3, 4, 6)
    counts = np.bincount(feed.indices(0, 63), minlength=3)
    assert counts.tolist() == [21, 21, 21]
    assert Feed(images(1), batch=5, seed=0).indices(7, 5).tolist() == [0] * 5


def test_mirroring_is_keyed_by_n():
    data = images(64, labels=False)
    plain, mirrored = Feed(data, batch=16, seed=2), Feed(data, batch=16, seed=2, mirror=True)
    flips = []
    for step in range(8):
        a, b = plain.at(16 * step).data, mirrored.at(16 * step).data
        for one, other in zip(a, b, strict=True):
            flips.append(torch.equal(one.flip(2), other))
            assert flips[-1] or torch.equal(one, other)
    assert 40 < sum(flips) < 88
    assert flips[:64] != flips[64:]
    # Entering between two batches changes nothing.
    assert torch.equal(mirrored.at(8).data[8:], mirrored.at(16).data[:8])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("lazy", [False, True])
def test_channels_last_is_a_layout_only(channels, lazy):
    data = images(channels=channels, lazy=lazy)
    with (
        Feed(data, batch=4, seed=0, mirror=True, workers=1) as usual,
        Feed(data, batch=4, seed=0, mirror=True, workers=1, channels_last=True) as last,
    ):
        for first in (0, 8, 3):
            assert torch.equal(usual.at(first).data, last.at(first).data)
            assert usual.at(first).data.is_contiguous()
            assert last.at(first).data.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 1, 3, None])
@pytest.mark.parametrize("mirror", [False, True])
def test_read_and_resident_data_give_the_same(workers, mirror):
    small = Feed(images(23), batch=8, seed=4, mirror=mirror, rank=1, world=2)
    with Feed(images(23, lazy=True), batch=8, seed=4, mirror=mirror, rank=1, world=2, workers=workers) as large:
        # In order, again, forward, back, and off the grid of batches.
        for first in (0, 8, 16, 24, 24, 80, 8, 13, 21):
            a, b = small.at(first), large.at(first)
            assert torch.equal(a.data, b.data)
            assert a.labels is not None
            assert b.labels is not None
            assert torch.equal(a.labels, b.labels)


def test_a_failing_read_is_heard_where_it_is_needed():
    def read(i):
        raise RuntimeError("gone")

    data = Dataset("test", "image", (1, 2, 2), 4, read=read)
    with Feed(data, batch=2, seed=0, workers=1) as feed, pytest.raises(RuntimeError, match="gone"):
        feed.at(0)


def test_only_what_is_soon_needed_is_kept():
    with Feed(images(50, lazy=True), batch=4, seed=0, workers=1) as feed:
        for first in (0, 4, 8, 400):
            feed.at(first)
        reader = feed._main._reader
        assert reader is not None
        assert set(reader._pending) <= set(range(400, 416))


def test_a_read_only_array_is_taken_without_a_warning():
    array = np.frombuffer(bytes(range(16)), dtype=np.uint8).reshape(4, 1, 2, 2)
    feed = Feed(Dataset("test", "image", (1, 2, 2), 4, array), batch=4, seed=0)
    assert feed.at(0).data.shape == (4, 1, 2, 2)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"rank": 2, "world": 2}, {"rank": -1}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match="cannot feed"):
        Feed(points(), **{"batch": 2, "seed": 0, **wrong})


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_a_pairs_other_half_comes_in_the_same_order_mirrored_alike(lazy, last):
    data, other = images(20, lazy=lazy), images(20, channels=1, lazy=lazy)
    with Feed(
        replace(data, beside={"b": Beside(other)}), batch=8, seed=2, mirror=True, channels_last=last, workers=1
    ) as feed:
        batch, which = feed.at(16), feed.indices(16, 8)
        alone = Feed(images(20, channels=1), batch=8, seed=2, mirror=True)
    assert batch.more["b"].shape == (8, 1, 4, 6)
    assert torch.equal(batch.more["b"], alone.at(16).data)
    plain = torch.from_numpy(images(20).array[which]).float() / 127.5 - 1
    flipped = (batch.data != plain).flatten(1).any(1)
    truth = torch.from_numpy(images(20, channels=1).array[which]).float() / 127.5 - 1
    assert 0 < int(flipped.sum()) < 8
    assert torch.equal((batch.more["b"] != truth).flatten(1).any(1), flipped)


def test_another_domain_comes_in_an_order_of_its_own():
    data, other = images(20), images(7, channels=1)
    beside = {"b": Beside(other, paired=False), "c": Beside(other, paired=False)}
    feed = Feed(replace(data, beside=beside), batch=7, seed=2)
    first = [feed.at(at).more["b"] for at in (0, 7)]
    ranks = [Feed(replace(data, beside=beside), batch=7, seed=2, rank=r, world=2).at(7).more["b"] for r in (0, 1)]
    assert torch.equal(torch.cat(ranks), first[1])
    sums = [sorted(each.flatten(1).sum(1).tolist()) for each in first]  # an epoch of its own each
    assert sums[0] == sums[1]
    assert not torch.equal(*first)
    assert not torch.equal(feed.at(0).more["c"], first[0])
    assert torch.equal(feed.at(0).data, Feed(data, batch=7, seed=2).at(0).data)


class Chooses:
    """Takes rows 0, 1, 2 in turn, and says which place each has."""

    def indices(self, first, n):
        return np.arange(first, first + n) % 3

    def more(self, first, n):
        return {"place": np.arange(first, first + n, dtype=np.float32)[:, None]}


@pytest.mark.parametrize("lazy", [False, True])
def test_a_sampler_chooses_the_rows_and_says_more_of_them(lazy):
    with Feed(images(10, lazy=lazy), batch=4, seed=0, sampler=Chooses(), rank=1, world=2, workers=1) as feed:
        batch = feed.at(8)
        assert feed.indices(8, 4).tolist() == [2, 0, 1, 2]
    assert batch.more["place"].tolist() == [[10.0], [11.0]]
    assert torch.equal(batch.data, torch.from_numpy(images(10).array[[1, 2]]).float() / 127.5 - 1)
