import numpy as np
import pytest
import torch
from PIL import Image

from gansmith.applications import upscaling
from gansmith.applications.upscaling import Upscaler
from gansmith.networks import srresnet

from .fakes import make_run


@pytest.fixture(autouse=True)
def made(monkeypatch, tmp_path):
    """A run in whose place a small network stands, and what it was asked for."""
    make_run(tmp_path / "run")
    asked = []

    def of_run(run, **how):
        asked.append({"run": run, **how})
        torch.manual_seed(0)
        how = {k: v for k, v in how.items() if k in ("tile", "overlap", "ensemble")}
        return Upscaler(srresnet.Generator((3, 8, 8), 2, 4, 1), run, 2, 3, 6, **how)

    monkeypatch.setattr(upscaling, "of_run", of_run)
    monkeypatch.setattr(upscaling, "of_weights", lambda file, **how: of_run(file, **how))
    return asked


def picture(path, channels=3):
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_one_picture(cli, tmp_path, made):
    picture(tmp_path / "a.png")
    code, out, err = cli("upscale", "a.png", "--run", "run", "--scale", 2)
    assert (code, err) == (0, "")
    assert out.startswith("a-x2.png: 2 times larger, by run, 0.00 megapixels, ")
    with Image.open("a-x2.png") as image:
        assert image.size == (14, 18)
    assert made == [
        {"run": "run", "sharpness": None, "psnr_run": None, "checkpoint": "latest", "device": "auto", "tile": None,
         "overlap": None, "ensemble": False}
    ]  # fmt: skip


def test_a_folder_with_a_file_that_is_none(cli, tmp_path):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"nothing")
    code, out, err = cli("upscale", "in", "--run", "run", "--out", "large", "--compare", "page.html")
    assert code == 1
    assert "passed over: in/b.png: is not a picture" in err
    assert "2 of 2  b.png" in err
    assert "1 passed over" in out
    assert "page.html: before and after" in out
    assert (tmp_path / "large" / "a.png").exists()
    code, _, err = cli("upscale", "in", "--run", "run", "--compare", "page.html")
    assert (code, "exists already" in err) == (2, True)


def test_flags_are_handed_on(cli, tmp_path, made):
    picture(tmp_path / "a.png")
    flags = ("--sharpness", ".5", "--psnr-run", "first", "--ensemble", "--tile", 8, "--overlap", 0, "--device", "cpu")
    assert cli("upscale", "a.png", "--run", "run", *flags)[0] == 0
    wanted = {"sharpness": 0.5, "psnr_run": "first", "ensemble": True, "tile": 8, "overlap": 0, "device": "cpu"}
    assert wanted.items() <= made[-1].items()
    assert cli("upscale", "a.png", "--weights", "w.pth")[0] == 0
    assert made[-1]["run"] == "w.pth"


@pytest.mark.parametrize(("argv", "what"), [
    (("a.png",), "either a run or a file of weights"),
    (("a.png", "--run", "run", "--weights", "w.pth"), "either a run or a file of weights"),
    (("a.png", "--weights", "w.pth", "--sharpness", ".5"), "published weights are none"),
    (("none.png", "--run", "run"), "none.png: no such picture or folder"),
    (("a.png", "--run", "nowhere"), "nowhere"),
    (("a.png", "--run", "run", "--scale", "4"), "--scale 4: run makes pictures 2 times larger"),
    (("a.png", "--run", "run", "--sharpness", "2"), "expected a number from 0 to 1"),
    (("a.png", "--run", "run", "--psnr-run", "x"), "is used by --sharpness alone"),
    (("a.png", "--run", "run", "--compare", "page.txt"), "written as .html"),
    (("a.png", "--run", "run", "--overlap", "-1"), "whole number of pixels"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(cli, tmp_path, argv, what):
    picture(tmp_path / "a.png")
    code, out, err = cli("upscale", *argv)
    assert (code, out) == (2, "")
    assert what in err
    assert "Traceback" not in err
    assert not (tmp_path / "a-x2.png").exists()


def test_channels_that_the_run_was_not_trained_for(cli, tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    grey = Upscaler(srresnet.Generator((1, 8, 8), 2, 4, 1), "run", 2, 1, 6)
    monkeypatch.setattr(upscaling, "of_run", lambda run, **how: grey)
    code, _, err = cli("upscale", "a.png", "--run", "run")
    assert code == 2
    assert err == "gansmith: error: run was trained on pictures in grey, and this one is RGB\n"
