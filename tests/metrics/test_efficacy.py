from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from gansmith.errors import Refused
from gansmith.metrics.efficacy import CLASSIFIERS, Features, efficacy, f1


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


def table(n, seed):
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=n), rng.integers(0, 3, n)
    label = x + kind > 1
    return {
        "x": np.where(rng.random(n) < 0.1, np.nan, x), "kind": objects([["a", "b", None][k] for k in kind]),
        "y": objects(["yes" if v else "no" for v in label]),
    }  # fmt: skip


TRAIN, TEST = table(300, 0), table(200, 1)


def test_features_are_learnt_from_the_rows_to_train_on():
    features = Features(TRAIN, "y")
    rows = features(TRAIN)
    there = ~np.isnan(TRAIN["x"])
    assert rows.shape == (300, 2 + 3)
    assert rows[there, 0].mean() == pytest.approx(0, abs=1e-12)
    assert rows[there, 0].std() == pytest.approx(1)
    assert np.array_equal(rows[:, 1], ~there)
    assert np.array_equal(rows[:, 2:].sum(1), np.ones(300))
    strange = features({**TEST, "kind": objects(["never"] * 200)})
    assert (strange[:, 2:] == 0).all()


def test_f1_is_scikit_learns():
    rng = np.random.default_rng(2)
    truth, found = rng.random(100) < 0.3, rng.random(100) < 0.4
    assert f1(truth, found) == pytest.approx(f1_score(truth, found))
    assert f1(truth, np.zeros(100, bool)) == 0


def test_classifiers_learn_the_rule():
    found = efficacy(TRAIN, TEST, "y", "yes", classifiers=CLASSIFIERS[:3])
    assert list(found) == ["AdaBoost", "decision tree", "logistic regression"]
    assert min(found.values()) > 0.8
    shuffled = {**TRAIN, "y": np.random.default_rng(0).permutation(TRAIN["y"])}
    assert efficacy(shuffled, TEST, "y", "yes", classifiers=("decision tree",))["decision tree"] < 0.7


def test_one_class_only_finds_nothing():
    same = {**TRAIN, "y": objects(["no"] * 300)}
    assert set(efficacy(same, TEST, "y", "yes").values()) == {0.0}


def test_refusals():
    with pytest.raises(Refused, match="no column 'z'"):
        efficacy(TRAIN, TEST, "z", "yes")
    with pytest.raises(Refused, match="no row to test with has y = 'maybe'"):
        efficacy(TRAIN, TEST, "y", "maybe")
