"""Scores, their cards, and what a run keeps of them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansmith.errors import Refused
from gansmith.run import Run
from gansmith.scores import Evaluation, Score, differences, evaluations, floor_of, keep

CARD = {"metric": "fd-toy", "samples": 100, "extractor_checksum": "ab" * 32, "k": None, "floor": 2.0, "reason": "so"}


def score(value=1.5, name="fd-toy", seed=0, **card):
    return Score(name, value, "lower", {**CARD, **card}, 0.1, "standard error", {"sample_seed": seed, "seconds": 1.0})


def evaluation(*scores, images=100):
    return Evaluation("runs/x", images, scores, ["a note"], {"date": "today"})


def test_what_is_kept_comes_back(tmp_path):
    run = Run(tmp_path)
    assert evaluations(run) == []
    keep(run, evaluation(score(), score(math.nan, "kd-toy")))
    (found,) = evaluations(run)
    assert found["fd-toy"] == score()
    assert found["fd-toy"].floor == 2.0
    assert math.isnan(found["kd-toy"].value)
    assert (found.what, found.images, found.notes) == ("runs/x", 100, ["a note"])
    with pytest.raises(KeyError, match="prdc was not measured, but fd-toy, kd-toy"):
        found["prdc"]
    assert "NaN" not in run.scores_file.read_text()


def test_a_score_replaces_that_of_its_card_clock_and_seed(tmp_path):
    run = Run(tmp_path)
    keep(run, evaluation(score(1.0), score(2.0, "kd-toy")))
    keep(run, evaluation(score(3.0)))
    keep(run, evaluation(score(4.0), images=200))
    keep(run, evaluation(score(5.0, samples=50)))
    keep(run, evaluation(score(6.0, seed=1)))
    kept = [(e.images, s.name, s.value) for e in evaluations(run) for s in e.scores]
    assert kept == [
        (100, "kd-toy", 2.0), (100, "fd-toy", 3.0), (200, "fd-toy", 4.0), (100, "fd-toy", 5.0), (100, "fd-toy", 6.0),
    ]  # fmt: skip


def test_cards_differ_in_what_decides_and_not_in_what_is_told():
    assert differences(CARD, {**CARD, "reason": "otherwise", "floor": 3.0}) == []
    found = differences(CARD, {**CARD, "samples": 50, "k": 5, "extractor_checksum": "cd" * 32, "new_thing": "x"})
    assert found == [
        "samples: 100 and 50",
        "extractor checksum: abababababab… and cdcdcdcdcdcd…",
        "k: none and 5",
        "new thing: none and x",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": 1, "evaluations": [{"what": "x"}]}',
     '{"schema_version": 1, "evaluations": [{"what": "x", "images": 1, "notes": [], "made": {}, "scores": [{}]}]}'],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, text):
    run = Run(tmp_path)
    run.scores_file.write_text(text)
    with pytest.raises(Refused, match=r"scores\.json: damaged"):
        evaluations(run)


def test_a_newer_schema_is_refused(tmp_path):
    run = Run(tmp_path)
    run.scores_file.write_text(json.dumps({"schema_version": 2, "evaluations": []}))
    with pytest.raises(Refused, match="schema version 2"):
        evaluations(run)


@given(st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.integers(), st.text(max_size=4)), max_size=4))
def test_a_card_never_differs_from_itself(card):
    assert differences(card, dict(card)) == []


@pytest.mark.parametrize("floor", [None, "x", True, math.nan, math.inf])
def test_no_floor(floor):
    assert floor_of({"floor": floor}) is None
    assert floor_of(None) is None
