"""Rows: SMOTE's segments and majorities, the ways of a classifier, and a generator that knows the class."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gansmith.applications.augmenting_tables import Rows, smote
from gansmith.applications.benefit import PLAIN


def columns(n=60, seed=0):
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [n - n // 4, n // 4])
    return {
        "a": random.normal(3.0 * labels, 1), "b": random.integers(0, 9, n),
        "c": np.array([("x", "y")[v] for v in random.integers(0, 2, n)], dtype=object),
    }, labels  # fmt: skip


def test_smote_lies_between_neighbours_of_one_class():
    random = np.random.default_rng(0)
    data = {name: random.normal(size=30) for name in "ab"}
    labels = np.repeat([0, 1], 15)
    made = smote(data, labels, np.repeat([0, 1], [20, 10]), seed=3)
    x = np.stack([data["a"], data["b"]], 1)
    scaled = (x - x.mean(0)) / x.std(0)
    for i, label in enumerate(np.repeat([0, 1], [20, 10])):
        mine = np.flatnonzero(labels == label)
        point, found = np.array([made["a"][i], made["b"][i]]), False
        for p in mine:
            near = mine[np.argsort(np.linalg.norm(scaled[mine] - scaled[p], axis=1))][1:6]
            for q in near:
                d = x[q] - x[p]
                share = (point - x[p]) @ d / (d @ d)
                found |= -1e-9 <= share <= 1 + 1e-9 and np.allclose(x[p] + share * d, point)
        assert found


def test_smote_of_kinds_whole_numbers_and_what_is_missing():
    data, labels = columns()
    made = smote(data, labels, np.ones(40, int), seed=0)
    assert made["b"].dtype == data["b"].dtype
    assert made["b"].min() >= data["b"].min()
    assert set(made["c"].tolist()) <= {"x", "y"}
    few = {"k": np.array(list("aab"), dtype=object), "v": np.array([0.0, 0.1, 9.0])}
    assert set(smote(few, np.zeros(3, int), np.zeros(9, int), 0)["k"].tolist()) <= {"a", "b"}
    dates = {"d": np.array(["2020-01-01", "2020-01-03", "NaT"], "datetime64[us]"), "t": np.array([True, False, True])}
    found = smote(dates, np.zeros(3, int), np.zeros(30, int), 0)
    there = found["d"][~np.isnat(found["d"])]
    assert np.isnat(found["d"]).any()
    assert there.min() >= dates["d"][0]
    assert there.max() <= dates["d"][1]
    assert found["t"].dtype == bool


def test_smote_of_a_single_row_repeats_it():
    made = smote({"a": np.array([1.0, 5.0])}, np.array([0, 1]), np.array([1, 1]), 0)
    assert made["a"].tolist() == [5, 5]


def test_a_classifier_learns_each_way():
    data, labels = columns(200)
    test, truth = columns(200, seed=1)
    kind = Rows("kind", ["n", "y"])
    assert kind.ways == {PLAIN: None, "class weights": None, "SMOTE": None, "GAN": PLAIN}
    rows, made = kind.take(data, np.flatnonzero(labels == 1)), np.ones(50, int)
    for way, seen in ((PLAIN, 200), ("class weights", 200), ("SMOTE", 250), ("GAN", 250)):
        judge = kind.judge(data, labels, 0, way, rows, made)
        assert judge.count == seen
        found = judge.shares(test)
        assert found.sum(1) == pytest.approx(np.ones(200))
        assert roc_auc_score(truth, found[:, 1]) > 0.9
        assert judge.features(test).shape == (200, 6)
    sizes = [
        kind.judge(data, labels, 0, way, None, made).model for way, made in ((PLAIN, None), ("class weights", None))
    ]
    assert [each.class_weight for each in sizes] == [None, "balanced"]


def test_a_classifier_that_has_seen_one_class_only_gives_nought_to_the_other():
    data, _ = columns(20)
    judge = Rows("kind", ["n", "y"]).judge(data, np.zeros(20, int), 0)
    assert judge.shares(data).tolist() == [[1, 0]] * 20


def test_a_generator_makes_rows_of_a_class(tmp_path):
    data, labels = columns(80)
    kind = Rows("kind", ["n", "y"], epochs=2, device="cpu", overrides={"precision": "fp32", "compile": "off"})
    maker = kind.generator(data, labels, 0, tmp_path / "run")
    rows = maker(1, 12, 5)
    assert list(rows) == ["a", "b", "c"]
    assert len(rows["a"]) == 12
    again = maker(1, 4, 5)
    assert again["a"].tolist() == rows["a"][:4].tolist()
