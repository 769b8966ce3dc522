import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansmith import ranking
from gansmith.metrics.measure import measures, wanted
from gansmith.scores import Score

LEANING = {"vendi": "real", "recall": "higher"}


def score(name, value, spread=None, better=None, **card):
    better = better or LEANING.get(name, "lower")
    return Score(name, value, better, {"metric": name, "better": better, **card}, spread)


def test_a_card_says_what_is_better():
    assert ranking.better_of({"better": "real"}) == "real"
    assert ranking.better_of({"better": "odd"}) == ranking.better_of({}) == ranking.better_of(None) == "lower"


@pytest.mark.parametrize(
    ("card", "cost"),
    [
        (None, 3), ({"better": "lower"}, 3), ({"better": "higher"}, -3), ({"better": "real", "floor": 5}, 2),
        ({"better": "real", "leaning": "higher"}, -3), ({"better": "real", "leaning": "lower", "floor": None}, 3),
    ],
)  # fmt: skip
def test_costs(card, cost):
    assert ranking.cost(3, card) == cost


def test_every_score_can_be_asked_for():
    for name, measure in measures().items():
        for extractor in (measure.only or "domain", None):
            told = ranking.asked_as(score("x", 1, measure=name, extractor=extractor))
            assert wanted(told, {"domain": "domain"}).measure is measure
    assert wanted(ranking.asked_as(score("fid", 1, measure="fd", extractor="inception")), {"inception": "inception"})
    assert ranking.asked_as(score("sw2", 1, measure="sw2", extractor="points")) == "sw2"


def test_cards_of_a_run():
    cards = {"fd-toy": {"metric": "fd-toy", "floor": 2}, "odd": 1}
    assert ranking.cards_of({"cards": cards}) == {"fd-toy": cards["fd-toy"]}
    assert ranking.cards_of({}) == ranking.cards_of({"cards": 3}) == {}


@pytest.mark.parametrize(
    ("cells", "best"),
    [
        ([score("fd", 5, 0.5), score("fd", 3, 0.5)], (1, "")),
        ([score("fd", 5, 3), score("fd", 3, 0.5)], (None, "within the spread")),
        ([score("fd", 4, 3.0), score("fd", 0, 4.0)], (None, "within the spread")),  # 4 is not more than 5
        ([score("fd", 5.1, 3.0), score("fd", 0, 4.0)], (1, "")),
        ([score("fd", 5, 0.1), score("fd", 3, 0.1), score("fd", 3.1, 0.1)], (None, "within the spread")),
        ([score("recall", 0.5, 0.01), score("recall", 0.3, 0.01)], (0, "")),
        ([score("vendi", 9, 0.1, floor=5), None, score("vendi", 4, 0.1, floor=5)], (2, "")),
        ([score("vendi", 9, 0.1), score("vendi", 4, 0.1)], (None, "real data's not known")),
        ([score("fd", 5), score("fd", 3, 0.1)], (None, "spread not known")),
        ([score("fd", 5, 0.1), None], (None, "")),
        ([score("fd", 5, 0.1), score("fd", math.nan, 0.1)], (None, "")),
    ],
)
def test_the_best_is_ahead_by_more_than_both_spreads(cells, best):
    assert ranking.Row("x", cells).best() == best


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 9)), min_size=2, max_size=5), st.sampled_from(["lower", "higher"])
)
def test_the_best_stays_so_in_any_order(pairs, better):
    cells = [score("x", value, spread, better) for value, spread in pairs]
    first, _ = ranking.Row("x", cells).best()
    back, _ = ranking.Row("x", cells[::-1]).best()
    if first is not None:
        assert cells[first].value == (min if better == "lower" else max)(value for value, _ in pairs)
        assert cells[::-1][back] == cells[first]
