"""The command that translates: what it says and how it ends; the work is tested where it is done."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gansmith import run as runs
from gansmith.applications import translation
from gansmith.applications.translation import Done
from gansmith.data.dataset import Problem
from gansmith.recipe import Recipe

MODEL = SimpleNamespace(images=4000, recipe=SimpleNamespace(name="pix2pix"))


@pytest.fixture
def run_folder(tmp_path):
    runs.create(tmp_path / "run", Recipe(), {"status": "done", "images": 4000})
    return tmp_path / "run"


@pytest.fixture
def asked(monkeypatch):
    """What the command asked for; and what becomes of it."""
    told = {"done": Done((Path("translated/a.png"),), (), 0)}
    monkeypatch.setattr(
        translation,
        "Translator",
        lambda run, **options: told.update(run=run, **options) or SimpleNamespace(model=MODEL),
    )

    def translate(what, out, translator, **options):
        told.update(what=what, out=str(out), **options)
        return told["done"]

    monkeypatch.setattr(translation, "translate", translate)
    monkeypatch.setattr(translation, "write_page", lambda model, file: file)
    return told


def test_a_picture(cli, run_folder, asked):
    code, out, err = cli("translate", "a.png", "--run", run_folder, "--reverse", "--fit", "--device", "cpu")
    assert (code, err) == (0, "")
    assert out == f"translated/a.png: 1 translated by {run_folder} after 4,000 images\n"
    assert (asked["reverse"], asked["fit"], asked["convert"], asked["out"]) == (True, True, False, "translated")


def test_what_is_passed_over_is_named_and_counted(cli, run_folder, asked):
    bad = tuple(Problem(f"{i}.png", "is empty") for i in range(12))
    asked["done"] = Done((Path("a"), Path("b")), bad, 1)
    code, out, err = cli("translate", "folder", "--run", run_folder)
    assert code == 1
    assert "1 in overlapping tiles" in out
    assert "translated: 2 translated" in out
    assert err.count("is empty") == 10
    assert "12 of 14 passed over" in err


def test_a_page(cli, run_folder, asked):
    code, out, _ = cli("translate", "--run", run_folder, "--test", "page.html")
    assert (code, out) == (0, "page.html: pix2pix after 4,000 images\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--run", "RUN"], "give a picture or a folder"),
        (["a.png", "--run", "RUN", "--test", "page.html"], "give a picture or a folder"),
        (["--run", "RUN", "--test", "page.txt"], "written as .html"),
        (["a.png"], "--run"),
        (["a.png", "--run", "nowhere"], "nowhere"),
        (["a.png", "--run", "RUN", "--out", "full"], "the folder is not empty"),
        (["a.png", "--run", "RUN", "--revers"], "did you mean --reverse"),
    ],
)
def test_what_it_refuses(cli, run_folder, asked, argv, said):
    Path("full").mkdir()
    Path("full/x").touch()
    code, _, err = cli("translate", *[str(run_folder) if each == "RUN" else each for each in argv])
    assert code == 2
    assert said in err
    assert len(err.splitlines()) <= 2
