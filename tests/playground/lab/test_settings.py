import shlex

import numpy as np
import pytest
import torch
import yaml

from gansmith import recipe as recipes
from gansmith.cli import train
from gansmith.data import open_dataset
from gansmith.engine import checkpoint
from gansmith.errors import Refused
from gansmith.fields import Data
from gansmith.playground.lab.play import Play
from gansmith.playground.lab.settings import DRAWN_COUNT, Settings, copies, from_drawn, opened, read, read_drawn

ODD = Settings(
    data="moons",
    loss="hinge",
    penalties={"gradient_penalty": 2.0, "r1": 0.5},
    optimizer="rmsprop",
    d_lr=3e-4,
    g_lr=1e-3,
    beta1=0.1,
    beta2=0.95,
    d_steps=2,
    g_steps=3,
    d_width=7,
    d_depth=3,
    g_width=9,
    g_depth=1,
    noise=5,
    batch=24,
    seed=9,
)


@pytest.mark.parametrize("settings", [Settings(), ODD])
def test_command_yaml_and_python_are_one_and_the_same_recipe(settings):
    texts = copies(settings, 4800)
    words = shlex.split(texts["command"].replace("\\\n", " "))
    assert words[:3] == ["gansmith", "train", "gan"]
    args, fields = train.parser().read_with_fields(words[2:])
    wanted = train.arguments(args, fields)
    by_command = recipes.load(wanted["recipe"], {**wanted["overrides"], "images": wanted["images"]})
    by_yaml = recipes.validate(yaml.safe_load(texts["yaml"]), "yaml")
    seen = {}

    class Asked:
        @staticmethod
        def train(recipe, data, out, *, images, overrides):
            seen.update(recipe=recipes.load(recipe, {**overrides, "images": images}), data=data, out=out)

    exec(texts["python"].replace("import gansmith\n", ""), {"gansmith": Asked})
    own = settings.recipe(4800)
    plays = {"name", "data", "family", "summary", "explanation", "paper", "deviations", "reproduce"}
    for recipe in (by_command, by_yaml, seen["recipe"]):
        assert recipe.model_dump(exclude=plays) == own.model_dump(exclude=plays)
    assert wanted["data"] == seen["data"] == by_yaml.data.source == settings.data
    assert wanted["out"] == seen["out"] == f"runs/lab-{settings.data}"


@pytest.mark.parametrize("settings", [Settings(batch=32), ODD])
def test_the_copied_command_comes_to_the_very_weights(settings, tmp_path, monkeypatch):
    play = Play(settings, opened(settings, None))
    for _ in range(20):
        play.play()
    assert play.straight()
    monkeypatch.chdir(tmp_path)
    words = shlex.split(copies(settings, play.player.images)["command"].replace("\\\n", " "))
    # Scores would only cost the test time.
    assert train.run([*words[2:], "--score", "false", "--snapshots", "1", "--on-trouble", "ignore"]) == 0
    from gansmith.run import Run

    saved = checkpoint.newest(Run(tmp_path / f"runs/lab-{settings.data}"))
    assert saved.rest["clock"]["images"] if "clock" in saved.rest else True
    mine = play.player.tensors()
    assert {name for name in mine if name.startswith("weights.")} <= set(saved.tensors)
    for name, tensor in saved.tensors.items():
        if name in mine:
            assert torch.equal(tensor, mine[name]), name


def test_what_is_drawn_is_data_and_so_is_its_file(tmp_path):
    drawn = read_drawn([0.5, 1.0, -1, 0.25])
    data = from_drawn(drawn)
    assert data.array.shape == (DRAWN_COUNT, 2)
    near = np.linalg.norm(data.array[:, None] - drawn, axis=2)
    assert near.min(1).max() < 0.2
    assert abs((near.argmin(1) == 0).mean() - 0.5) < 0.02
    assert np.array_equal(from_drawn(drawn).array, data.array)
    np.savez_compressed(tmp_path / "drawn.npz", points=data.array)
    read_back = open_dataset(Data(source=str(tmp_path / "drawn.npz")))
    assert read_back.modality == "points"
    assert np.array_equal(read_back.array, data.array)


@pytest.mark.parametrize("wrong", [None, [], [1], "x", [[1, 2, 3]], [float("nan"), 0], [11, 0], [[0, 0]] * 5000])
def test_drawings_are_checked(wrong):
    with pytest.raises(Refused, match="what is drawn"):
        read_drawn(wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"d_lr": -1}, "d_lr"),
        ({"batch": 1 << 20}, "batch"),
        ({"data": "/etc/passwd"}, "data"),
        ({"x": 1}, "x"),
        ([], "mapping"),
        ({"g_lr": float("nan")}, "g_lr"),
        ({"penalties": {"r1": "much"}}, r"penalties\.r1"),
    ],
)
def test_settings_are_checked(wrong, says):
    with pytest.raises(Refused, match=says):
        read(wrong)


def test_nothing_drawn_is_refused():
    with pytest.raises(Refused, match="nothing has been drawn"):
        opened(Settings(data="drawn"), None)
