"""`gansmith augment` from end to end, on a folder and a CSV; what a user can get wrong."""

import csv

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("gansmith.applications.augmenting_images.STEPS", 20)
    monkeypatch.setattr("gansmith.applications.augmenting_tables.TREES", 10)


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    for kind in ("dark", "light"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for i in range(8):
            level = random.integers(0, 90, (8, 8)) + (150 if kind == "light" else 0)
            Image.fromarray(level.astype(np.uint8)).save(tmp_path / "set" / kind / f"{i}.png")
    return tmp_path


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    rows = [[f"{random.normal(3 * (i % 4 == 0)):.4f}", f"{random.normal():.4f}", "01"[i % 4 == 0]] for i in range(60)]
    (tmp_path / "set.csv").write_text("\n".join(["a;b;fault", *(";".join(row) for row in rows)]) + "\n")
    return tmp_path


def test_a_folder(cli, pictures):
    code, out, err = cli(
        "augment", "--data", "set", "--per-class", "3", "--images", "640", "--folds", "2", "--out", "more"
    )
    assert code in (0, 1)  # 1 where fewer could be kept
    assert "set: 16 pictures, 2 classes" in out
    assert "measured by 2 folds of 16 pictures:" in out
    assert out.strip().splitlines()[-1].startswith("Made examples ")
    assert "trained" in err
    lines = list(csv.DictReader((pictures / "more" / "provenance.csv").read_text().splitlines()))
    assert {line["class"] for line in lines} <= {"dark", "light"}
    assert all((pictures / "more" / line["file"]).exists() for line in lines)
    code, _, err = cli("augment", "--data", "set", "--out", "more")
    assert (code, "not empty" in err) == (2, True)


def test_a_name_is_measured_by_its_test_split(cli, tmp_path):
    short = ("--per-class", "2", "--images", "128", "--folds", "2", "--limit", "40")
    code, out, _ = cli("augment", "--data", "digits", "--test", "digits", *short, "--out", "more")
    assert code in (0, 1, 2)  # 2 where nothing could be kept of so short a training
    assert "digits: 40 pictures, 10 classes" in out
    if code != 2:
        assert "measured on 297 pictures, over 2 seeds" in out


def test_a_csv_of_which_one_class_is_rare(cli, table):
    code, out, _ = cli(
        "augment", "--data", "set.csv", "--target", "fault", "--class", "1", "--per-class", "4", "--epochs", "2",
        "--folds", "2", "--out", "more",
    )  # fmt: skip
    assert code in (0, 1)
    assert "fields are separated by semicolons" in out
    assert "average precision" in out
    rows = list(csv.DictReader((table / "more" / "synthetic.csv").read_text().splitlines()))
    assert {row["fault"] for row in rows} == {"1"}
    assert list(rows[0]) == ["a", "b", "fault"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--out", "x"), "--data is missing"),
        (("--data", "set.csv", "--target", "fault"), "--out is missing"),
        (("--data", "set.csv", "--out", "x"), "which column holds the class?"),
        (("--data", "set.csv", "--target", "fult", "--out", "x"), "did you mean 'fault'?"),
        (("--data", "set.csv", "--target", "a", "--out", "x"), "values, which are no classes"),
        (("--data", "set.csv", "--target", "fault", "--class", "2", "--out", "x"), "n: no class '2'"),
        (("--data", "set.csv", "--target", "fault", "--test", "./set.csv", "--out", "x"), "is what it is trained on"),
        (("--data", "none.csv", "--target", "fault", "--out", "x"), "none.csv"),
        (("--data", "digits", "--target", "fault", "--out", "x"), "pictures have no columns"),
    ],
)
def test_what_is_refused(cli, table, argv, said):
    code, out, err = cli("augment", *argv)
    assert (code, said in err) == (2, True), err
    assert "Traceback" not in out + err
    assert not (table / "x").exists()
