"""Evaluating runs and pictures, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import gansmith
from gansmith import scores
from gansmith.data import open_dataset
from gansmith.errors import Refused
from gansmith.fields import Data
from gansmith.metrics import domain


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(domain, "LEAST_STEPS", 60)
    monkeypatch.setattr(domain, "EPOCHS", 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    overrides = {"score": False, "snapshots": 1, "batch": 32, "precision": "fp32", "conditional": False}
    path = tmp_path_factory.mktemp("runs") / "x"
    return gansmith.train("gan", "digits", path, images=640, overrides=overrides)


def test_a_run_keeps_its_scores_and_its_report_has_the_picture(run):
    told = []
    found = gansmith.evaluate(run.path, say=told.append, metrics=["fd", "prdc", "ppl"])
    assert found.images == 640
    assert [s.name for s in found.scores] == [
        "fd-digits", "precision-digits", "recall-digits", "density-digits", "coverage-digits", "ppl-digits",
    ]  # fmt: skip
    assert found["fd-digits"].value > 2 * found["fd-digits"].floor  # hardly trained
    assert found["fd-digits"].card["reference_split"] == "test"
    assert any("297 examples of digits's test split" in line for line in told)
    (kept,) = scores.evaluations(run)
    assert kept["fd-digits"].value == found["fd-digits"].value
    with Image.open(run.neighbours_file) as picture:
        assert picture.width > 50
    again = gansmith.evaluate(run.path, metrics=["fd"])
    assert again["fd-digits"].value == found["fd-digits"].value
    assert "fd-digits" in run.report_file.read_text()


def test_a_run_that_has_not_grown_up_is_evaluated_at_the_level_that_it_reached(tmp_path):
    narrow = {"network": "pggan", "width": 4}
    overrides = {"score": False, "snapshots": 1, "precision": "fp32", "generator": narrow, "discriminator": narrow,
                 "noise": 8, "phases": [{"name": "4", "until": 1}]}  # fmt: skip
    run = gansmith.train("pggan", "digits", tmp_path / "run", images=160, overrides=overrides)
    drawn = gansmith.load(run.path).sample(9)
    assert np.array_equal(drawn, drawn[:, :, ::2, ::2].repeat(2, 2).repeat(2, 3))
    score = gansmith.evaluate(run.path, metrics=["fd"])["fd-digits"]
    assert score.value > 2 * score.floor


def test_the_training_split_as_reference_is_another_card(run):
    one, other = (gansmith.evaluate(run.path, metrics=["fd"], reference=split) for split in ("test", "train"))
    assert other["fd-digits"].card["reference_is_training_data"]
    assert scores.differences(one["fd-digits"].card, other["fd-digits"].card)


def test_pictures_of_any_origin(tmp_path):
    digits = open_dataset(Data(source="digits"))
    np.savez(tmp_path / "copies.npz", images=digits.array[:400], labels=digits.labels[:400])
    for i, image in enumerate(digits.array[:40]):
        (tmp_path / "folder").mkdir(exist_ok=True)
        Image.fromarray(255 - image[0]).save(tmp_path / "folder" / f"{i}.png")
    copies = gansmith.evaluate(tmp_path / "copies.npz", "digits")
    assert copies.images is None
    assert copies["accuracy-digits"].value > 0.9  # its labels are the data's
    assert copies["fd-digits"].value < 3 * copies["fd-digits"].floor
    negatives = gansmith.evaluate(tmp_path / "folder", "digits", metrics=["fd-pixels", "prdc"])
    assert negatives["fd-pixels"].value > 10 * negatives["fd-pixels"].floor
    assert negatives["precision-digits"].card["samples"] == 40
    negative = replace(digits, array=255 - digits.array, fingerprint="")
    mine = gansmith.evaluate(negative, digits, metrics=["fd-pixels"], n=99)
    assert mine["fd-pixels"].card["samples"] == 99
    assert json.dumps(mine.record(), allow_nan=False)


def test_what_cannot_be_evaluated_is_said_in_a_line(tmp_path, run):
    digits = open_dataset(Data(source="digits"))
    np.savez(tmp_path / "wide.npz", images=np.zeros((30, 1, 8, 9), np.uint8))
    np.savez(tmp_path / "few.npz", images=digits.array[:3])
    for what, data, more, says in [
        (tmp_path / "nowhere", "digits", {}, "nowhere"),
        (tmp_path / "few.npz", None, {}, "need data to be scored against"),
        (tmp_path / "wide.npz", "digits", {}, r"images of 8x9 with 1 channel, but digits holds images of 8x8"),
        (tmp_path / "few.npz", "digits", {"n": 10}, "holds 3 examples, and -n asks for 10"),
        (tmp_path / "few.npz", "digits", {"metrics": ["prdc"]}, "needs 6 samples, and there are 3"),
        (tmp_path / "few.npz", "digits", {"metrics": ["ppl"]}, "needs a run"),
        (run.path, "ring", {}, "images of 8x8 with 1 channel, but ring holds vectors of 2"),
        (run.path, None, {"reference": "all"}, "test or train"),
        (run.path, None, {"options": {"split": "test"}}, "chosen by --reference"),
        (run.path, None, {"metrics": ["fid"]}, "Inception"),
        (run.path, None, {"checkpoint": 7}, "no checkpoint '7'"),
    ]:
        with pytest.raises(Refused, match=says):
            gansmith.evaluate(what, data, **more)
    flat = replace(digits, array=np.zeros_like(digits.array), fingerprint="")
    with pytest.raises(Refused, match="all alike"):
        gansmith.evaluate(tmp_path / "few.npz", flat, metrics=["fd-pixels"])
