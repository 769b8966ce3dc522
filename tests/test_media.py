import sys

import numpy as np
import pytest
from PIL import Image

from gansmith import media
from gansmith.errors import Refused


def images(n, channels=1, height=2, width=2):
    return np.arange(n * channels * height * width, dtype=np.uint8).reshape(n, channels, height, width)


def test_grid_is_pixel_exact():
    made = np.asarray(media.grid(images(3), columns=2, padding=1, scale=1, background=200))
    p = 200
    assert made.tolist() == [
        [p, p, p, p, p, p, p],
        [p, 0, 1, p, 4, 5, p],
        [p, 2, 3, p, 6, 7, p],
        [p, p, p, p, p, p, p],
        [p, 8, 9, p, p, p, p],
        [p, 10, 11, p, p, p, p],
        [p, p, p, p, p, p, p],
    ]


def test_grid_enlarges_by_nearest_neighbour():
    made = np.asarray(media.grid(images(1), padding=0, scale=2))
    assert made.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_grid_of_each_kind_of_image(channels, mode):
    made = media.grid(images(4, channels), padding=1, scale=1)
    assert made.mode == mode
    assert made.size == (7, 7)
    assert np.asarray(made)[1:3, 1:3].tolist() == np.asarray(media.picture(images(4, channels)[0])).tolist()
    if channels in (2, 4):
        assert made.getpixel((0, 0))[-1] == 0


def test_a_small_digit_can_be_seen_and_a_large_picture_is_left_alone():
    assert media.grid(images(1, 1, 8, 8), padding=0).size == (64, 64)
    assert media.grid(images(1, 1, 28, 28), padding=0).size == (56, 56)
    assert media.grid(np.zeros((1, 3, 100, 40), np.uint8), padding=0).size == (40, 100)


def test_columns_hold_one_class_each():
    labels = np.arange(20) % 5
    flat = np.repeat(labels.astype(np.uint8), 4).reshape(20, 1, 2, 2)
    made = np.asarray(media.grid(flat, columns=5, padding=0, scale=1))
    assert made.shape == (8, 10)
    assert (made == np.repeat(np.arange(5), 2)).all()


def test_the_gap_is_dark_around_dark_edges():
    assert media.background_for(np.zeros((2, 1, 4, 4), np.uint8)) == 0
    assert media.background_for(np.full((2, 3, 4, 4), 128, np.uint8)) == 255


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 5, 2, 2), np.uint8), np.zeros((1, 1, 2, 2)), np.zeros((0, 1, 2, 2), np.uint8)]
)
def test_grid_refuses_what_are_no_images(bad):
    with pytest.raises(ValueError, match="expected uint8"):
        media.grid(bad)


def test_scatter_draws_points_over_real_ones():
    real = np.array([[-1.0, -1.0], [1.0, 1.0]])
    made = media.scatter(np.array([[0.0, 0.0], [np.nan, 1.0]]), real, size=100)
    assert made.size == (100, 100)
    assert made.getpixel((50, 50)) == media.COLOURS[0]
    assert made.getpixel((5, 50)) == (255, 255, 255)
    assert made.tobytes() == media.scatter(np.array([[0.0, 0.0]]), real, size=100).tobytes()  # NaN is left out


def test_slerp_keeps_to_the_sphere_and_meets_its_ends():
    g = np.random.default_rng(0)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in g.standard_normal((2, 5, 32)).astype(np.float32))
    assert np.allclose(media.slerp(a, b, 0), a, atol=1e-6)
    assert np.allclose(media.slerp(a, b, 1), b, atol=1e-6)
    assert np.allclose(np.linalg.norm(media.slerp(a, b, 0.3), axis=1), 1, atol=1e-5)
    assert np.allclose(media.slerp(a, a, 0.5), a, atol=1e-5)


def test_a_tour_loops():
    stops = np.random.default_rng(0).standard_normal((3, 2, 8)).astype(np.float32)
    frames = list(media.tour(stops, 4))
    assert len(frames) == 12
    for i in range(3):
        assert np.allclose(frames[4 * i], stops[i], atol=1e-5)
    step = max(np.abs(b - a).max() for a, b in zip(frames, frames[1:] + frames[:1], strict=True))
    assert np.abs(frames[0] - frames[-1]).max() <= step


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_gif_reads_back(tmp_path, channels):
    g = np.random.default_rng(0)
    frames = [media.grid(g.integers(0, 255, (4, channels, 8, 8), dtype=np.uint8)) for _ in range(5)]
    assert media.film(frames, tmp_path / "film.gif", fps=10) == 5
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"], film.info["duration"]) == (5, frames[0].size, 0, 100)
        if channels == 1:
            film.seek(3)
            assert np.array_equal(np.asarray(film.convert("L")), np.asarray(frames[3]))


def test_films_that_cannot_be_made_are_refused(tmp_path, monkeypatch):
    frame = media.grid(images(1))
    with pytest.raises(Refused, match=r"\.gif or \.mp4"):
        media.film([frame], tmp_path / "film.avi")
    with pytest.raises(Refused, match="no frames"):
        media.film([], tmp_path / "film.gif")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(Refused, match=r"pip install 'gansmith\[video\]'"):
        media.film([frame], tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


def test_save_image_leaves_nothing_half_written(tmp_path):
    media.save_image(tmp_path / "a.png", media.grid(images(1)))
    media.save_image(tmp_path / "b.jpg", media.grid(images(1, 4)))  # JPEG knows no transparency
    with pytest.raises(Refused, match=r"\.xyz is no picture format"):
        media.save_image(tmp_path / "c.xyz", media.grid(images(1)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.jpg"]


def test_npz_holds_images_and_labels(tmp_path):
    media.save_npz(tmp_path / "a.npz", images(3), np.array([2, 0, 1]))
    with np.load(tmp_path / "a.npz") as file:
        assert set(file) == {"images", "labels"}
        assert np.array_equal(file["images"], images(3))
        assert file["labels"].tolist() == [2, 0, 1]
    media.save_npz(tmp_path / "b.npz", np.zeros((3, 2), np.float32))
    with np.load(tmp_path / "b.npz") as file:
        assert set(file) == {"points"}


def test_single_files_are_named_by_seed_index_and_label(tmp_path):
    written = media.save_singles(
        tmp_path / "out", images(3), np.array([0, 1, 2]), classes=["cat", "../up", "…"], seed=7
    )
    assert [p.name for p in written] == ["seed7-000000-cat.png", "seed7-000001-up.png", "seed7-000002-2.png"]
    assert np.asarray(Image.open(written[1])).tolist() == images(3)[1, 0].tolist()
    assert {p.parent for p in written} == {tmp_path / "out"}


def test_pictures_of_unlike_sizes_stand_side_by_side():
    small, large = np.zeros((3, 1, 4, 4), np.uint8), np.full((3, 3, 8, 6), 200, np.uint8)
    large[1, 0] = 10
    small[:, :, 0, 0] = 90
    made = np.asarray(media.side_by_side({"input": small, "output": large}))
    alone = np.asarray(media.grid(large, 1))
    assert made.shape[2] == 3
    assert made.shape[0] == alone.shape[0]
    assert {(10, 200, 200), (200, 200, 200), (90, 90, 90)} <= {tuple(pixel) for row in made for pixel in row}
