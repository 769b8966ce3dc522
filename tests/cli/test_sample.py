import numpy as np
import pytest
from PIL import Image

from gansmith import media

from .fakes import Model, make_model, make_run


@pytest.fixture(autouse=True)
def run(tmp_path):
    return make_run(tmp_path / "x")


def opened(path):
    with Image.open(path) as picture:
        picture.load()
        return picture


def test_a_grid_with_one_class_per_column(cli, engine):
    code, out, err = cli("sample", "x", "-n", "6", "--seed", "5", "--out", "grid.png")
    assert (code, err) == (0, "")
    assert out == "grid.png: 6 samples of x after 600 images, seed 5\n"
    expected = media.grid(engine.model.sample(6, seed=5), 3)
    assert opened("grid.png").tobytes() == expected.tobytes()
    assert engine.calls == [{"path": "x", "checkpoint": "latest", "device": "auto"}]
    assert cli("sample", "x", "--out", "grid.png")[0] == 0  # a named file is replaced


@pytest.mark.parametrize("label", ["b", "1"])
def test_one_class_by_name_or_number(cli, engine, label):
    assert cli("sample", "x", "-n", "4", "--label", label, "--truncation", ".5", "--out", "a.npz")[0] == 0
    with np.load("a.npz") as file:
        assert file["labels"].tolist() == [1, 1, 1, 1]
        assert np.array_equal(file["images"], engine.model.sample(4, label="b", truncation=0.5))
        assert (file["images"].dtype, file["images"].shape) == (np.uint8, (4, 1, 8, 8))


def test_an_unknown_label_is_refused(cli, engine):
    assert cli("sample", "x", "--label", "z")[2] == "gansmith: error: --label: no label 'z'; the model knows a, b, c\n"
    engine.model = make_model(None)
    code, _, err = cli("sample", "x", "--label", "3")
    assert code == 2
    assert "trained without labels" in err


def test_single_files(cli, engine, tmp_path):
    assert cli("sample", "x", "-n", "3", "--out", "singles/")[0] == 0
    names = sorted(p.name for p in (tmp_path / "singles").iterdir())
    assert names == ["seed0-000000-a.png", "seed0-000001-b.png", "seed0-000002-c.png"]
    code, _, err = cli("sample", "x", "-n", "3", "--out", "singles")
    assert (code, err.splitlines()[0]) == (2, "gansmith: error: singles: the folder is not empty")
    assert cli("sample", "x", "-n", "3", "--seed", "1", "--out", "singles", "--force")[0] == 0
    assert len(list((tmp_path / "singles").iterdir())) == 6


def test_a_film_loops_through_the_samples(cli, engine):
    code, out, _ = cli("sample", "x", "-n", "3", "--seconds", "2", "--fps", "5", "--out", "film.gif")
    assert code == 0
    assert out == "film.gif: a film of 3 samples, 10 frames, of x after 600 images, seed 0\n"
    with Image.open("film.gif") as film:
        assert film.info["duration"] == 200
        assert film.size == media.grid(engine.model.sample(3)).size


def test_a_vector_is_asked_for(cli, engine):
    rows = np.float32([[0, 0], [1, -1]])
    engine.model = Model(
        lambda z, v: (z[:, :1] / 8 + v[:, :1]).view(-1, 1, 1, 1).expand(-1, 1, 8, 8), shape=(1, 8, 8), modality="image",
        noise=4, conditions=rows,
    )  # fmt: skip
    assert cli("sample", "x", "-n", "3", "--condition", "0.5,1", "--out", "a.npz")[0] == 0
    with np.load("a.npz") as file:
        assert file["conditions"].tolist() == [[0.5, 1]] * 3
        assert np.array_equal(file["images"], engine.model.sample(3, label=(0.5, 1)))
    assert cli("sample", "x", "-n", "3", "--out", "singles/")[0] == 0  # of the training's, in turn
    assert cli("sample", "x", "-n", "2", "--condition=-1,0", "--walk", "1", "--out", "walk.png")[0] == 0
    assert "told vectors of 2 numbers, not (1.0,)" in cli("sample", "x", "--condition", "1")[2]
    assert "numbers with commas between, not 'a'" in cli("sample", "x", "--condition", "a")[2]
    assert "the one or the other" in cli("sample", "x", "--condition", "1,1", "--label", "a")[2]


def test_a_walk_along_one_number_of_the_latents(cli, engine):
    code, out, _ = cli("sample", "x", "-n", "2", "--label", "b", "--walk", "3", "--out", "walk.png")
    assert code == 0
    assert out == "walk.png: 2 samples, each in 10 steps of latent 3, of x after 600 images, seed 0\n"
    expected = engine.model.decode(engine.model.walk(3, 2), np.ones(20, np.int64))
    assert opened("walk.png").tobytes() == media.grid(expected, 10).tobytes()
    assert cli("sample", "x", "--walk", "3", "--columns", "4", "--truncation", ".5", "--out", "walk.png")[0] == 0
    assert opened("walk.png").size == media.grid(engine.model.sample(32), 4).size


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--walk", "4"), "--walk: latents have the dimensions 0 to 3, and not 4"),
        (("--walk", "-1"), "expected a whole number from 0, not '-1'"),
        (("--walk", "1", "--out", "walk.gif"), "a walk is a picture of images"),
    ],
)
def test_a_walk_that_cannot_be_made_is_refused(cli, engine, flags, said):
    code, _, err = cli("sample", "x", *flags)
    assert code == 2
    assert said in err


def test_films_and_folders_of_points_are_refused(cli, engine):
    engine.model = make_model(None, "points")
    assert cli("sample", "x", "--out", "plot.png")[0] == 0
    assert opened("plot.png").size == (512, 512)
    assert cli("sample", "x", "-n", "5", "--out", "p.npz")[0] == 0
    with np.load("p.npz") as file:
        assert file["points"].shape == (5, 2)
    assert "a film needs images" in cli("sample", "x", "--out", "film.gif")[2]
    assert "points are no pictures" in cli("sample", "x", "--out", "folder/")[2]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("grid.pgn", "cannot write .pgn; did you mean .png?"),
        ("film.mp4", "MP4 needs imageio-ffmpeg"),
        ("x", "not empty"),
    ],
)
def test_an_output_that_cannot_be_made_is_refused_before_the_model_is_loaded(cli, engine, monkeypatch, out, message):
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    code, _, err = cli("sample", "x", "--out", out)
    assert code == 2
    assert message in err
    assert not engine.calls
