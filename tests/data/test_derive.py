"""Derived pictures: by closed forms, of any channels, and where lines must and must not be."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gansmith.data import derive
from gansmith.data.derive import KINDS, Derived


def square(channels: int = 3, colour: int = 0, ground: int = 255) -> np.ndarray:
    picture = np.full((channels, 24, 32), ground, np.uint8)
    picture[:, 6:18, 8:24] = colour
    return picture


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_takes_any_channels(kind, channels):
    random = np.random.default_rng(0)
    made = KINDS[kind](random.integers(0, 256, (channels, 9, 13), dtype=np.uint8))
    assert made.dtype == np.uint8
    assert made.shape == (channels if kind == "blur" else 1, 9, 13)


def test_grey_is_the_lightness_and_what_is_transparent_is_white():
    picture = np.array([255, 0, 0, 128], np.uint8).reshape(4, 1, 1)
    assert derive.grey(picture[:3]).item() == round(0.299 * 255)
    alpha = 128 / 255
    assert derive.grey(picture).item() == round(0.299 * 255 * alpha + 255 * (1 - alpha))
    assert derive.grey(picture[:1]).item() == 255


def test_edges_run_along_the_border_of_a_square_and_nowhere_else():
    lines = derive.edges(square())[0] == 0
    assert set(np.unique(derive.edges(square()))) == {0, 255}
    inside, outside = np.s_[9:15, 11:21], [np.s_[:4], np.s_[20:], np.s_[:, :6], np.s_[:, 26:]]
    assert not lines[inside].any()
    assert not any(lines[each].any() for each in outside)
    assert lines[5:7, 12:20].any(0).all()  # each column crosses the upper border once, by one pixel
    assert (lines[4:8, 12:20].sum(0) == 1).all()
    assert not (derive.edges(np.full((3, 24, 32), 90, np.uint8)) == 0).any()


def test_colours_of_one_lightness_have_edges_too():
    picture = square(3, 0, 0)
    picture[0, 6:18, 8:24] = 150  # red on a green that is as light
    picture[1] = np.where(picture[0] > 0, 0, round(150 * 0.299 / 0.587))
    assert np.ptp(derive.grey(picture)) <= 1
    assert (derive.edges(picture) == 0).sum() > 30


def test_faint_lines_need_a_strong_one_to_go_on_from():
    ramp = np.full((1, 24, 32), 255, np.uint8)
    ramp[:, :, 16:] = 192  # steep enough to go on, not to begin
    assert not (derive.edges(ramp) == 0).any()
    ramp[0, :, 16:] = 100 + 4 * np.arange(24)[:, None]
    lines = derive.edges(ramp)[0] == 0
    assert lines[2].any()
    assert lines[20].any()


def test_blur_keeps_the_mean_and_softens():
    picture = square(3, 40)
    soft = derive.blur(picture)
    assert abs(soft.mean() - picture.mean()) < 1
    assert np.abs(np.diff(soft.astype(int), axis=2)).max() < 60
    assert np.array_equal(derive.blur(np.full((1, 8, 8), 77, np.uint8)), np.full((1, 8, 8), 77))


def test_a_mask_is_what_stands_before_the_ground():
    wanted = np.where(square(1) == 0, 255, 0)
    assert np.array_equal(derive.mask(square(3, 90)), wanted)
    alpha = np.concatenate([np.zeros((3, 24, 32), np.uint8), 255 - square(1)])
    assert np.array_equal(derive.mask(alpha), wanted)
    assert not derive.mask(np.full((3, 8, 8), 5, np.uint8)).any()


def test_a_reader_travels_to_another_process():
    read = pickle.loads(pickle.dumps(Derived(square_at, "grey")))
    assert np.array_equal(read(3), derive.grey(square_at(3)))


def square_at(i: int) -> np.ndarray:
    return square(3, i)
