"""Trained translations in use: any size, tiles, folders with bad files, channels, and the page."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import gansmith
from gansmith.applications import translation
from gansmith.applications.translation import Translator, translate, write_page
from gansmith.errors import Refused

SMALL = {
    "images": 4, "snapshots": 1, "precision": "fp32", "compile": "off", "data.derive": "grey",
    "data.resolution": [8, 12], "data.reserve": 3, "eval_samples": 2,
}  # fmt: skip
NARROW = {f"{part}.width": 2 for part in ("generator", "discriminator")}
BOTH = {**NARROW, **{f"networks.{part}.width": 2 for part in ("back", "back_discriminator")}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Trainings of four pictures: pix2pix of grey into colour, and CycleGAN either way."""
    folder = tmp_path_factory.mktemp("translation")
    random = np.random.default_rng(0)
    (folder / "data").mkdir()
    for i in range(8):
        Image.fromarray(random.integers(0, 256, (8, 12, 3), dtype=np.uint8)).save(folder / "data" / f"{i}.png")
    made = {}
    for name, own in (
        ("pix2pix", NARROW),
        ("cyclegan", {**BOTH, "game.identity": 0, "generator.blocks": 1, "networks.back.blocks": 1}),
    ):
        run = gansmith.train(name, str(folder / "data"), folder / name, overrides={**SMALL, **own}, device="cpu")
        made[name] = run.path
    return made


def test_a_training_is_scored_on_what_is_held_out_and_shown(runs):
    for name, scores in (
        ("pix2pix", {"l1", "psnr"}),
        ("cyclegan", {"l1", "psnr", "back-l1", "back-psnr", "cycle", "back-cycle"}),
    ):
        run = gansmith.load(runs[name], device="cpu").run
        (score,) = [event["scores"] for event in run.events("score")]
        assert {name for name in score if not name.endswith("/spread")} == scores
        assert len(run.samples()) == 1
        assert run.info()["use"].startswith("translate")


def test_a_picture_of_any_size_is_what_the_network_makes_of_it(runs):
    translator = Translator(runs["pix2pix"], device="cpu")
    assert (translator.inputs, translator.outputs, translator.size) == (1, 3, (8, 12))
    game = translator.model.game
    for size in ((8, 12), (21, 9), (3, 5)):
        picture = np.random.default_rng(0).integers(0, 256, (1, *size), dtype=np.uint8)
        made = translator(picture)
        assert made.shape == (3, *size)
        wanted = game.generator(torch.from_numpy(picture)[None].float() / 127.5 - 1)[0].detach()
        assert np.abs(made - (wanted.numpy() * 127.5 + 127.5)).max() <= 0.51
    with pytest.raises(Refused, match=r"of 1 channel, \[1, H, W\], and not \[3, 8, 8\]"):
        translator(np.zeros((3, 8, 8), np.uint8))


def test_back_again_where_both_ways_were_learnt(runs):
    translator = Translator(runs["cyclegan"], reverse=True, device="cpu")
    assert (translator.inputs, translator.outputs) == (3, 1)
    assert translator(np.zeros((3, 8, 12), np.uint8)).shape == (1, 8, 12)
    with pytest.raises(Refused, match="one way only"):
        Translator(runs["pix2pix"], reverse=True, device="cpu")


def test_a_large_picture_is_blended_of_tiles(runs, monkeypatch):
    translator = Translator(runs["pix2pix"], device="cpu")
    seen = []

    def piece(picture):
        seen.append(picture.shape)
        return torch.from_numpy(picture).float().expand(3, -1, -1) * 0.5

    monkeypatch.setattr(translator, "_piece", piece)
    for name, value in (("WHOLE", 100), ("TILE", 16), ("OVERLAP", 4)):
        monkeypatch.setattr(translation, name, value)
    picture = np.random.default_rng(0).integers(0, 256, (1, 41, 30), dtype=np.uint8)
    made = translator(picture)
    assert translator.tiled(41, 30)
    assert set(seen) == {(1, 16, 16)}
    # What is made of each pixel alone comes out as in one piece, whatever tiles it lies in.
    assert np.abs(made.astype(int) - np.floor(picture * 0.5 + 0.5)).max() <= 1
    assert translator(picture[:, :10]).shape == (3, 10, 30)


def test_neighbours_weigh_one_together():
    for side in (769, 1000, 2000, 5000):
        total = np.zeros(side)
        for start in translation._starts(side):
            assert start + translation.TILE <= side
            ramp = translation._ramp(start, translation.TILE, side)
            assert (ramp > 0).all()
            total[start : start + translation.TILE] += ramp
        assert (total > 0).all()
    assert translation._starts(500) == [0]


def write(folder):
    random = np.random.default_rng(1)
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(random.integers(0, 256, (9, 7), dtype=np.uint8)).save(folder / "grey.png")
    Image.fromarray(random.integers(0, 256, (9, 7), dtype=np.uint8)).save(folder / "grey.jpg")
    Image.fromarray(random.integers(0, 65536, (5, 6), dtype=np.uint16)).save(folder / "sub" / "deep.png")
    Image.fromarray(random.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(folder / "colour.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def test_a_folder_keeps_its_names_and_bad_files_are_passed_over(runs, tmp_path):
    told = []
    done = translate(
        write(tmp_path / "in"), tmp_path / "out", runs["pix2pix"], device="cpu", progress=lambda *at: told.append(at)
    )
    names = [file.relative_to(tmp_path / "out").as_posix() for file in done.written]
    assert names == ["grey.jpg.png", "grey.png.png", "sub/deep.png"]  # two of one name keep their whole names
    assert [problem.path for problem in done.problems] == ["bad.png", "colour.png"]
    assert "is RGB, and the model translates grey pictures" in done.problems[1].reason
    assert told[-1] == (5, 5)
    with Image.open(done.written[2]) as image:
        assert (image.size, image.mode) == ((6, 5), "RGB")


def test_colour_may_be_made_grey_and_pictures_fitted(runs, tmp_path):
    source = write(tmp_path / "in") / "colour.png"
    with pytest.raises(Refused, match=r"nothing could be translated: colour\.png is RGB"):
        translate(source, tmp_path / "out.png", runs["pix2pix"], device="cpu")
    assert not (tmp_path / "out.png").exists()
    translate(source, tmp_path / "out.png", runs["pix2pix"], convert=True, fit=True, device="cpu")
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (12, 8)


def test_what_it_cannot_be_is_said(runs, tmp_path):
    with pytest.raises(Refused, match="no such picture or folder"):
        translate(tmp_path / "nowhere", tmp_path / "out", runs["pix2pix"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="holds no pictures"):
        translate(tmp_path / "empty", tmp_path / "out", runs["pix2pix"])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refused, match="is a file; a folder of pictures needs a folder"):
        translate(write(tmp_path / "in"), tmp_path / "file", runs["pix2pix"])


def test_what_was_not_trained_to_translate_is_refused(tmp_path):
    overrides = {"generator.hidden": [4], "discriminator.hidden": [4], "images": 64, "snapshots": 1, "score": False}
    run = gansmith.train("gan", "ring", tmp_path / "run", overrides=overrides, device="cpu")
    with pytest.raises(Refused, match="was not trained to translate"):
        Translator(run.path, device="cpu")


def test_the_page_shows_what_was_held_out(runs, tmp_path):
    model = gansmith.load(runs["pix2pix"], device="cpu")
    file = write_page(model, tmp_path / "page.html")
    text = file.read_text(encoding="utf-8")
    assert "3 examples kept out of the training" in text
    assert text.count("<tr><td><img") == 3
    assert text.count("data:image/png") == 9
    assert all(f"<th>{name}</th>" in text for name in ("input", "output", "truth"))
    assert "psnr" in text
