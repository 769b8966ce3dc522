from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansmith.data import encoding
from gansmith.data.encoding import Category, Constant, Encoding, Free, Number, fit
from gansmith.data.tables import listed, missing
from gansmith.errors import Refused


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


RNG = np.random.default_rng(0)
N = 400
MIXED = {
    "age": RNG.integers(17, 90, N),
    "pay": np.where(RNG.random(N) < 0.3, np.nan, RNG.normal([5, 90], [1, 3], (N // 2, 2)).reshape(-1).round(2)),
    "gain": np.where(RNG.random(N) < 0.8, 0, RNG.integers(1000, 99999, N)),
    "town": objects([["Rome", "Paris", None][i] for i in RNG.integers(0, 3, N)]),
    "on": RNG.random(N) < 0.3,
    "day": np.datetime64("2020-01-01T00:00", "us") + RNG.integers(0, 900, N) * np.timedelta64(86_400_000_000, "us"),
    "same": np.full(N, 7),
    "lost": np.full(N, np.nan),
}  # fmt: skip


@pytest.fixture(scope="module")
def mixed():
    return fit(MIXED, spike=0.05)


def test_rows_come_back_as_they_were(mixed):
    rows = mixed.encode(MIXED)
    assert rows.dtype == np.float32
    assert rows.shape == (N, mixed.width)
    back = mixed.decode(rows)
    for name, values in MIXED.items():
        assert back[name].dtype == values.dtype, name
        assert np.array_equal(missing(back[name]), missing(values)), name
        there = ~missing(values)
        if values.dtype.kind == "O" or values.dtype.kind in "bM":
            assert listed(back[name]) == listed(values)
        elif there.any():
            # Values at the very ends of a narrow mode are cut to four deviations.
            assert np.mean(np.isclose(back[name][there], values[there], rtol=1e-5)) > 0.98, name


def test_each_block_holds_one_number_and_one_kind(mixed):
    rows, at = mixed.encode(MIXED), 0
    for numbers, categories, bare in mixed.blocks:
        assert (np.abs(rows[:, at : at + numbers]) <= 1).all()
        kinds = rows[:, at + numbers : at + numbers + categories]
        assert np.array_equal(kinds.sum(1), np.ones(N))
        assert set(np.unique(kinds)) <= {0.0, 1.0}
        if numbers:
            assert (rows[kinds[:, :bare].any(1), at] == 0).all()  # a spike, or missing
        at += numbers + categories
    assert at == mixed.width


def test_codes_are_chosen_by_column(mixed):
    kinds = {column.name: type(column) for column in mixed.columns}
    assert kinds == {
        "age": Number, "pay": Number, "gain": Number, "town": Category, "on": Category, "day": Number,
        "same": Constant, "lost": Constant,
    }  # fmt: skip
    pay, gain, day, town = (mixed.column(name) for name in ("pay", "gain", "day", "town"))
    assert (pay.gone, pay.decimals, gain.gone, gain.spikes) == (True, 2, False, (0.0,))
    assert day.unit == "D"
    assert (town.gone, set(town.levels)) == (True, {"Rome", "Paris"})
    assert mixed.notes == ("same: always 7", "lost: all missing")


def test_a_value_is_its_modes_mean_and_a_share_of_four_deviations():
    column = Number("x", (0.0, 100.0), (1.0, 2.0), (0.5, 0.5), (), False, -50.0, 150.0, None, "<f8")
    rows = column.encode(np.array([2.0, 92.0, 104.0]), 0)
    assert np.allclose(rows, [[0.5, 1, 0], [-1.0, 0, 1], [0.5, 0, 1]])
    assert np.allclose(column.decode(rows), [2.0, 92.0, 104.0])
    assert column.decode(np.float32([[1, 0.4, 0.6]])).tolist() == [108.0]


def test_a_mode_is_drawn_by_how_probable_it_is():
    column = Number("x", (-1.0, 1.0), (1.0, 1.0), (0.8, 0.2), (), False, -9.0, 9.0, None, "<f8")
    rows = column.encode(np.zeros(20_000), 3)
    assert abs(rows[:, 1].mean() - 0.8) < 0.01  # at 0 both lie equally far, so the weights decide
    assert not np.array_equal(rows, column.encode(np.zeros(20_000), 4))
    assert np.array_equal(rows, column.encode(np.zeros(20_000), 3))


def test_the_mixture_finds_peaks():
    rng = np.random.default_rng(1)
    column = fit({"x": np.concatenate([rng.normal(-100, 1, 500), rng.normal(50, 5, 1500)])}, modes=10).columns[0]
    assert min(abs(mean + 100) for mean in column.means) < 1
    assert min(abs(mean - 50) for mean in column.means) < 5
    assert sum(column.weights) == pytest.approx(1)


def test_it_is_plain_json(mixed):
    again = Encoding.of_plain(json.loads(json.dumps(mixed.plain())))
    assert again == mixed
    assert np.array_equal(again.encode(MIXED), mixed.encode(MIXED))


def test_free_columns_are_made_up_anew():
    columns = {"id": np.arange(30), "name": objects([f"n{i}" for i in range(30)]), "x": np.arange(30) % 3}
    found = fit(columns, free=["id", "name"])
    assert [type(column) for column in found.columns] == [Free, Free, Number]
    back = found.decode(found.encode(columns))
    assert back["id"].tolist() == list(range(30, 60))
    assert len(set(back["name"])) == 30
    assert not set(back["name"]) & set(columns["name"])


CELLS = st.none() | st.sampled_from(["a", "b", "c"])


@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(CELLS, min_size=30, max_size=30),
    numbers=st.lists(st.none() | st.integers(-5, 5), min_size=30, max_size=30),
    spike=st.none() | st.floats(0.01, 0.5),
)
def test_any_small_table_comes_back(words, numbers, spike):
    columns = {
        "word": objects(words), "number": np.array([np.nan if v is None else v for v in numbers], np.float64),
        "on": np.arange(30) % 2 == 0,
    }  # fmt: skip
    if all(missing(values).all() for values in columns.values()):
        return
    found = fit(columns, spike=spike, modes=3)
    back = found.decode(found.encode(columns))
    assert listed(back["word"]) == words
    assert np.array_equal(missing(back["number"]), missing(columns["number"]))
    assert back["on"].tolist() == columns["on"].tolist()
    there = ~missing(columns["number"])
    # Whole numbers are rounded to; only one beyond four deviations of its mode moves.
    assert (back["number"][there] == columns["number"][there]).mean() >= 0.8 if there.any() else True


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "no columns"),
        ({"a": np.zeros(0)}, "no rows"),
        ({"a": np.full(3, np.nan), "b": objects([None] * 3)}, "all values of the table are missing"),
        ({"a": objects(["x", 1, None])}, "column a: mixes int, str"),
        ({"a": objects([1, 2])}, "column a: holds int"),
        ({"a": np.array([1.0, np.inf])}, "infinite"),
        ({"a": np.array([1j])}, "has the type complex128"),
        ({"a": objects([str(i) for i in range(300)])}, "300 different values, nearly all different"),
        ({"a": objects([str(i % 250) for i in range(3000)])}, "250 different values, too many"),
        ({"a": np.arange(100)}, "they number the rows"),
        ({"a": np.full(9, 2)}, "nothing to learn"),
        ({"a": np.zeros((3, 2))}, "has the shape"),
    ],
)
def test_what_cannot_be_learnt_is_refused(columns, says):
    with pytest.raises(Refused, match=says):
        fit(columns)


def test_refusals_of_values_and_names(mixed):
    with pytest.raises(Refused, match="'Berlin' is none of the values"):
        mixed.column("town").encode(objects(["Berlin"]), 0)
    with pytest.raises(Refused, match="has missing values, which it had not"):
        mixed.column("gain").encode(np.array([np.nan]), 0)
    with pytest.raises(Refused, match="no column 'pay'"):
        mixed.encode({"age": np.zeros(3)})
    with pytest.raises(Refused, match="no column 'ag'; did you mean 'age'"):
        fit({"age": np.arange(3) % 2}, free=["ag"])
    with pytest.raises(Refused, match="dates cannot be categories"):
        fit({"day": MIXED["day"]}, categories=["day"])
    with pytest.raises(Refused, match="only numbers and text"):
        fit({"on": np.arange(5) > 2, "x": np.arange(5) % 2}, free=["on"])


def test_levels_have_a_limit_that_can_be_raised():
    columns = {"a": objects([str(i % 250) for i in range(3000)])}
    assert fit(columns, levels=250).width == 250
    assert encoding.LEVELS == 200
