import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

import gansmith
from gansmith import media
from gansmith.cli.main import main
from gansmith.errors import Refused
from gansmith.playground import explore
from gansmith.playground.explore import Explore
from gansmith.playground.room import House, Post
from playground.trained import runs
from playground.written import write


@pytest.fixture(scope="module")
def room():
    return Explore(runs())


def ask(room, do, /, **fields):
    told = room.answer({"do": do, **fields})
    json.dumps(told, allow_nan=False)
    return told


def pictures(told):
    """The images of a sheet, uint8 [N, C, H, W]."""
    raw = base64.b64decode(told["picture"].removeprefix("data:image/png;base64,"))
    sheet = np.atleast_3d(np.asarray(Image.open(io.BytesIO(raw)))).transpose(2, 0, 1)
    h, w, columns = told["height"], told["width"], told["columns"]
    cut = [sheet[:, i // columns * h :, i % columns * w :][:, :h, :w] for i in range(told["n"])]
    return np.stack(cut)


def test_the_models_that_can_be_explored_are_listed(room):
    told = ask(room, "models")["models"]
    assert [(each["run"], each["data"], each["images"]) for each in told] == [
        ("classed", "digits", 64), ("plain", "digits", 64), ("styled", "digits", 64),
    ]  # fmt: skip


def test_a_model_is_opened(room):
    told = ask(room, "open", run="classed")
    assert (told["shape"], told["noise"], told["classes"]) == ([1, 8, 8], 6, list("0123456789"))
    assert (told["images"], told["checkpoints"], told["recipe"]) == (64, [32, 64], "classed")
    assert ask(room, "open", run="plain")["classes"] is None
    with pytest.raises(Refused, match="makes points"):
        ask(room, "open", run="points")
    with pytest.raises(Refused, match="in the runs folder"):
        ask(room, "open", run="../plain")


@pytest.mark.parametrize("name", ["classed", "plain", "styled"])
def test_a_grid_is_what_the_model_samples(room, name):
    model = gansmith.load(runs() / name)
    told = ask(room, "grid", run=name, n=20, seed=7, truncation=0.6)
    assert np.array_equal(pictures(told), model.sample(20, seed=7, truncation=0.6))
    if model.classes:
        told = ask(room, "grid", run=name, n=5, seed=7, label=3)
        assert np.array_equal(pictures(told), model.sample(5, seed=7, label=3))


def test_kept_samples_are_those_of_the_grid(room):
    whole = pictures(ask(room, "grid", run="classed", n=12, seed=1))
    kept = [{"seed": 1, "index": 11}, {"seed": 1, "index": 2}, {"seed": 2, "index": 0, "label": 4}]
    told = pictures(ask(room, "one", run="classed", samples=kept))
    assert np.array_equal(told[:2], whole[[11, 2]])
    assert np.array_equal(told[2:], pictures(ask(room, "grid", run="classed", n=1, seed=2, label=4)))


def test_a_grid_of_large_images_has_fewer(room, monkeypatch):
    monkeypatch.setattr(explore, "PIXELS", 64 * 5)
    assert ask(room, "grid", run="plain", n=20)["n"] == 5


@pytest.mark.parametrize("by", ["outputs", "weights"])
@pytest.mark.parametrize("name", ["classed", "styled"])
def test_a_slider_moves_samples_along_its_direction(room, name, by):
    told = ask(room, "directions", run=name, by=by)
    assert told["space"] == ("styles" if name == "styled" else "noise")
    assert told["number"] == (5 if name == "styled" else 6)
    assert sorted(told["shares"], reverse=True) == told["shares"]
    still = pictures(ask(room, "grid", run=name, n=10))
    moved = pictures(ask(room, "grid", run=name, n=10, by=by, amounts=[0, 6.0]))
    back = pictures(ask(room, "grid", run=name, n=10, by=by, amounts=[0, 0.0]))
    assert np.array_equal(still, back)
    assert not np.array_equal(still, moved)
    if name == "classed":
        model = gansmith.load(runs() / name)
        found = room.models.get(name).directions(by)
        z = model.latents(10, 0) + np.float32(6) * found.vectors[1]
        assert np.abs(pictures({**ask(room, "grid", run=name, n=10, by=by, amounts=[0, 6.0])}).astype(int)
                      - model.decode(z, model.labels_for(10)).astype(int)).max() <= 1  # fmt: skip
    with pytest.raises(Refused, match="amounts"):
        ask(room, "grid", run=name, by=by, amounts=[1.0] * 20)


def test_a_walk_goes_from_sample_to_sample_and_back(room):
    stops = [{"seed": 0, "index": 1, "label": 2}, {"seed": 0, "index": 5, "label": 7}, {"seed": 4, "index": 0}]
    told = ask(room, "walk", run="classed", samples=stops, steps=4)
    frames = pictures(told)
    assert (told["n"], told["steps"]) == (12, 4)
    assert np.array_equal(frames[::4], pictures(ask(room, "one", run="classed", samples=stops)))
    model = gansmith.load(runs() / "classed")
    a, b = model.latents(6, 0)[[1]], model.latents(6, 0)[[5]]
    for at, label in ((1, 2), (2, 7), (3, 7)):  # the class changes half way
        z = media.slerp(a, b, 0.5 - 0.5 * np.cos(np.pi * at / 4))
        assert np.array_equal(frames[[at]], model.decode(z, np.array([label])))
    with pytest.raises(Refused, match="two samples or more"):
        ask(room, "walk", run="classed", samples=stops[:1])


def test_the_nearest_training_images_are_told(room):
    told = ask(room, "nearest", run="classed", samples=[{"seed": 0, "index": 3}], k=4)
    assert pictures(told).shape == (4, 1, 8, 8)
    assert told["distances"] == sorted(told["distances"])
    assert (told["searched"], told["count"], len(told["labels"])) == (1500, 1500, 4)


def test_a_saved_png_says_where_it_came_from(room, tmp_path):
    samples, index = [{"seed": 9, "index": 4, "label": 6}], 4
    told = ask(room, "save", run="classed", samples=samples, truncation=0.7)
    saved = Image.open(io.BytesIO(base64.b64decode(told["png"])))
    assert told["file"] == "classed-seed9-000004.png"
    told_of = {"run": "classed", "recipe": "classed", "checkpoint": "64", "seed": "9", "index": "4", "label": "6"}
    assert {key: saved.text[key] for key in told_of} == told_of
    assert saved.text["truncation"] == "0.7"
    assert saved.text == told["told"]
    assert str(runs()) not in json.dumps(told)
    # The command makes this very picture.
    words = saved.text["command"].partition("  #")[0].split()
    words[words.index("RUNS/classed")] = str(runs() / "classed")
    words[words.index("--out") + 1] = f"{tmp_path}/made/"
    assert main(words[1:]) == 0
    made = np.asarray(Image.open(sorted((tmp_path / "made").iterdir())[index]))
    assert np.array_equal(made, np.asarray(saved))
    moved = ask(room, "save", run="plain", samples=[{"seed": 0, "index": 0}], amounts=[1.5])["told"]
    assert json.loads(moved["directions"]) == {"by": "outputs", "amounts": [1.5]}
    assert "command" not in moved
    assert "label" not in moved


@pytest.mark.parametrize(
    ("do", "fields", "told"),
    [
        ("dance", {}, "do: expected one of"),
        ("grid", {"run": 3}, "run: expected a text"),
        ("grid", {"n": 0}, "n: expected a whole number from 1"),
        ("grid", {"n": 10**9}, "n: expected a whole number from 1"),
        ("grid", {"seed": -1}, "seed: expected"),
        ("grid", {"label": 10}, "label: expected a whole number from 0 to 9"),
        ("grid", {"run": "plain", "label": 1}, "trained without labels"),
        ("grid", {"truncation": 0}, "truncation: expected a number from 0.01 to 1"),
        ("grid", {"amounts": [99]}, "amounts: expected a number from -8 to 8"),
        ("grid", {"by": "magic"}, "by: expected one of outputs, weights"),
        ("grid", {"checkpoint": 5}, "classed: no checkpoint '5'"),
        ("grid", {"checkpoint": "../x"}, "checkpoint: expected a whole number"),
        ("one", {"samples": []}, "samples: expected one or more"),
        ("one", {"samples": [{"index": 144}]}, "index: expected a whole number from 0 to 143"),
        ("nearest", {"samples": [{}], "near": "smell"}, "near: expected one of pixels, features"),
    ],
)
def test_what_cannot_be_shown_is_refused(room, do, fields, told):
    with pytest.raises(Refused, match=told):
        ask(room, do, **{"run": "classed", **fields})


def test_a_damaged_run_hides_no_other(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    write(tmp_path / "new")
    assert ask(Explore(tmp_path), "models") == {"models": []}


def test_all_pages_share_one_process():
    house = House(runs())
    one, two = (explore.Handler(house, Post("explore", print)) for _ in range(2))
    try:
        assert one.worker is two.worker
        assert one.hear({"room": "explore", "id": 1, "do": "models"})["models"]
        with pytest.raises(Refused, match="do: expected"):
            two.hear({"do": "nonsense"})
    finally:
        one.worker.close()
