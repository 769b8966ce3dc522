"""`gansmith.augment` from end to end on small things; what is written; what is refused before any work."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import gansmith
from gansmith.applications.augment import Augmented
from gansmith.applications.screening import Screen
from gansmith.errors import Refused

QUICK = {"precision": "fp32", "compile": "off"}


def bars(n=24, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = random.integers(0, 60, (n, 8, 8))
    for image, label in zip(images, labels, strict=True):
        place = random.integers(1, 7)
        image[(slice(None), place) if label else (place, slice(None))] += 150
    return images.astype(np.uint8), labels


class Lenient(Screen):
    def __call__(self, data, labels):
        found = super().__call__(data, labels)
        return replace(found, reason=np.zeros(len(labels), np.int64))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("gansmith.applications.augmenting_images.STEPS", 20)
    # What an untrained generator makes is of no class and far from all: here it is kept.
    monkeypatch.setattr("gansmith.applications.augmenting.Screen", Lenient)
    monkeypatch.setattr("gansmith.applications.augmenting_tables.TREES", 10)


def frame(n=60, seed=0):
    random = np.random.default_rng(seed)
    kind = np.array(["rare" if i % 6 == 0 else "usual" for i in range(n)])
    data = pd.DataFrame({
        "size": random.normal(np.where(kind == "rare", 3, 0), 1), "count": random.integers(0, 9, n),
        "colour": pd.Categorical(random.choice(["red", "blue"], n)),
    })  # fmt: skip
    return data, pd.Series(kind, name="kind")


def test_pictures(tmp_path):
    X, y = bars()
    said = []
    found = gansmith.augment(
        X, y, 4, folds=2, images=256, overrides=QUICK, device="cpu", names=("lying", "up/right"), say=said.append
    )
    assert isinstance(found, Augmented)
    assert found.X.shape[1:] == (8, 8)
    assert found.X.dtype == np.uint8
    assert set(found.y.tolist()) <= {0, 1}
    assert [row.way for row in found.trial.rows][:2] == ["as it is", "flips"]
    assert "fold 2 of 2: classifiers" in said
    assert found.verdict in str(found)
    out = found.save(tmp_path / "more")
    lines = list(csv.DictReader((out / "provenance.csv").read_text().splitlines()))
    assert len(lines) == len(found.X)
    for line, image in zip(lines, found.X, strict=True):
        assert np.array_equal(np.asarray(Image.open(out / line["file"])), image)
        assert line["class"] in ("lying", "up/right")
        assert line["file"].startswith("lying/" if line["class"] == "lying" else "up_right/")
    held = json.loads((out / "augment.json").read_text())
    assert held["synthetic"] is True
    assert held["verdict"] == found.verdict
    # Each can be made again by the run that lies beside.
    model = gansmith.load(out / "generator", device="cpu")
    line = lines[0]
    again = model.sample(int(line["place"]) + 1, seed=int(line["seed"]), label=line["class"])[int(line["place"])]
    assert np.abs(again[0].astype(int) - found.X[0]).max() <= 1
    assert not (tmp_path / "more.part").exists()
    with pytest.raises(Refused, match="not empty"):
        found.save(out)


def test_a_frame_of_which_one_class_is_asked_for(tmp_path):
    X, y = frame()
    found = gansmith.augment(X, y, {"rare": 9}, folds=2, epochs=2, overrides=QUICK, device="cpu")
    assert found.trial.measure == "average precision"
    assert found.X.dtypes.equals(X.dtypes)
    assert found.X.columns.equals(X.columns)
    assert set(found.y.tolist()) == {"rare"}
    out = found.save(tmp_path / "more")
    read = pd.read_csv(out / "synthetic.csv")
    assert list(read.columns) == ["size", "count", "colour", "kind"]
    assert len(read) == len(found.X) == len(pd.read_csv(out / "provenance.csv"))


def test_numbers_with_a_test_set():
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 20])
    X = random.normal(3.0 * y[:, None], 1, (60, 3)).astype(np.float32)
    found = gansmith.augment(X, y, 5, test=(X[::2], y[::2]), folds=2, epochs=1, overrides=QUICK, device="cpu")
    assert found.X.dtype == np.float32
    assert found.X.shape[1] == 3
    assert found.trial.how == "on 30 rows, over 2 seeds"
    with_only = gansmith.augment(X, y, 5, measure=False, epochs=1, overrides=QUICK, device="cpu")
    assert with_only.trial is None
    assert "not measured" in with_only.verdict


def test_nothing_that_could_be_kept_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(
        "gansmith.applications.augmenting.Screen.__call__",
        lambda self, data, labels: replace(Screen.__call__(self, data, labels), reason=np.full(len(labels), 3)),
    )
    with pytest.raises(Refused, match=r"could be kept .0 another class, 0 a copy, [1-9].* far from all"):
        gansmith.augment(*bars(), 2, images=64, overrides=QUICK, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_equal_seeds_make_equal_examples():
    X, y = bars()
    one, two = (gansmith.augment(X, y, 3, measure=False, images=128, overrides=QUICK, device="cpu").X for _ in range(2))
    assert np.array_equal(one, two)


X, Y = bars()
TABLE = np.zeros((24, 2))


@pytest.mark.parametrize(
    ("given", "how", "said"),
    [
        ((X, None), {}, "y is missing"),
        ((X, Y[:5]), {}, "X has 24 examples, and y 5"),
        ((X, np.zeros(24)), {}, "y: one class only, 0.0"),
        ((X, Y[:, None]), {}, "y: a class for each example"),
        ((X, np.array([None, *"a" * 23], dtype=object)), {}, "y: the class of example 0 is missing"),
        ((X, np.array([1, *"a" * 23], dtype=object)), {}, "y: mixes int and str"),
        ((TABLE, np.linspace(0, 1, 24)), {}, "y: 24 values, which are no classes"),
        ((X.astype(float), Y), {}, "X: images must be uint8"),
        ((np.array(["a"] * 24), Y), {}, "X: <U1 of shape"),
        ((np.zeros((0, 2)), Y), {}, "X holds no examples"),
        (({}, Y), {}, "X has no columns"),
        (({"target": TABLE[:, 0]}, Y), {}, "X has a column 'target', as y is called"),
        ((X, Y), {"n": {7: 3}}, "n: no class 7; there are 0, 1"),
        ((X, Y), {"n": 0}, "n: a whole number above zero"),
        ((X, Y), {"folds": 1}, "folds: two at least"),
        ((X, Y), {"score": "f1"}, "score: none is called 'f1'; did you mean 'F1'?"),
        ((X, np.r_[np.ones(23, int), 0]), {}, "class 0: has one example"),
        ((X, Y), {"test": (TABLE, Y)}, "test: examples of the same kind"),
        ((X, Y), {"test": (X[:, :, :], Y + 1)}, "test: class 2 is none of y's"),
        ((X, Y), {"test": (np.zeros((24, 9, 9), np.uint8), Y)}, "test: images of"),
        ((TABLE, Y), {"test": (np.zeros((24, 3)), Y)}, "test: its columns are not those of X"),
        ((X, Y), {"recipe": "dcgn"}, "did you mean 'dcgan'"),
    ],
)
def test_what_is_refused_before_any_work(given, how, said, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(Refused, match=said):
        gansmith.augment(*given, **{"n": 5, **how})
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    found = gansmith.augment(*bars(), 2, measure=False, images=64, overrides=QUICK, device="cpu")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gansmith.applications.augment.save_image", full)
    with pytest.raises(Refused, match="No space left"):
        found.save(tmp_path / "more")
    assert list(tmp_path.iterdir()) == []
