"""Degradations are what they say, and a metric's answer to them is named rightly."""

import numpy as np
import pytest
from benches import load_bench

N, CLASSES = 40, 10


@pytest.fixture(scope="module")
def bench():
    return load_bench("behaviour")


@pytest.fixture(scope="module")
def source(bench):
    draw = np.random.Generator(np.random.PCG64(0))

    def some(count):
        labels = draw.permutation(np.arange(count) % CLASSES).astype(np.int64)
        return bench.Fakes(draw.integers(0, 256, (count, 3, 16, 16), dtype=np.uint8), labels)

    pool = some(8 * N)
    rank, cluster = bench.grouped(
        pool.images.mean((2, 3), dtype=np.float32), pool.images.mean((2, 3), dtype=np.float32), pool.labels
    )
    return bench.Source(pool, some(3 * N), some(N), rank, cluster, N)


def test_nothing_is_wrong_at_strength_zero_and_all_is_seeded(bench, source):
    for one in bench.DEGRADATIONS:
        none, clean = one(source, 1, 0), source.clean(1)
        assert all(np.array_equal(a, b) for a, b in zip(none, clean, strict=True)), one.name
        for strength in one.strengths:
            fakes, again = one(source, 1, strength), one(source, 1, strength)
            assert all(np.array_equal(a, b) for a, b in zip(fakes, again, strict=True)), one.name
            assert fakes.images.shape == clean.images.shape
            assert (fakes.images.dtype, fakes.labels.dtype) == (np.uint8, np.int64)
        changed = [not np.array_equal(a, b) for a, b in zip(fakes, clean, strict=True)]
        assert any(changed), one.name
        assert one.seen in one.strengths


def test_draws_share_no_image_of_the_pool(source):
    rows = np.concatenate([source.rows(i) for i in range(8)])
    assert len(np.unique(rows)) == len(rows) == len(source.pool.labels)


def test_changes_of_sets_keep_what_they_say(bench, source):
    by_name = {one.name: one for one in bench.DEGRADATIONS}
    clean = source.clean(0)
    assert len(np.unique(by_name["lost classes"](source, 0, 3).labels)) == CLASSES - 3
    assert len(np.unique(by_name["repeats"](source, 0, 5).images, axis=0)) == N // 5
    copied = by_name["copies of training"](source, 0, 0.5).images
    taught = {image.tobytes() for image in source.taught.images}
    assert sum(image.tobytes() in taught for image in copied) == N // 2
    copied = by_name["copies of reference"](source, 0, 1).images
    assert {i.tobytes() for i in copied} == {i.tobytes() for i in source.reference.images}
    wrong = by_name["wrong labels"](source, 0, 0.3)
    assert (wrong.labels != clean.labels).sum() == round(0.3 * N)
    assert np.array_equal(wrong.images, clean.images)


def test_a_turn_of_the_colours_keeps_each_pixels_mean_and_a_whole_one_all(bench):
    images = np.random.Generator(np.random.PCG64(0)).integers(100, 156, (2, 3, 4, 4), dtype=np.uint8)
    turned = bench.hue(images, 120, None)
    np.testing.assert_array_equal(np.roll(images, 1, axis=1), turned)
    np.testing.assert_array_equal(bench.hue(images, 360, None), images)
    np.testing.assert_allclose(bench.hue(images, 45, None).mean(1), images.mean(1), atol=1)


@pytest.mark.parametrize(
    ("responses", "real", "expected"),
    [
        ([0.1, 4, 5, 9], False, "sees"),
        ([0.1, 2, 5, 9], False, "late"),
        ([9.0, 1, 1, 1], False, "blind"),
        ([0.1, 1, -4, -9], False, "wrong"),
        ([0.1, 1, -4, -9], True, "too good"),
    ],
)
def test_verdicts(bench, responses, real, expected):
    assert bench.verdict(responses, 1, real) == expected


def test_what_is_worse(bench):
    assert bench.sign_of("fd-pixels") == (1, False)
    assert bench.sign_of("recall3") == (-1, False)
    assert bench.sign_of("vendi-pixels") == (-1, True)
    assert bench.sign_of("ms-ssim-2-scales") == (1, True)


def test_every_measure_asked_for_is_one(bench):
    from gansmith.metrics.measure import measures

    assert {*bench.ORDER, "cas"} <= set(measures())
