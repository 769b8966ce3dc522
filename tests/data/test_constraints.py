from __future__ import annotations

import numpy as np
import pytest

from gansmith.data.constraints import (
    Comparison,
    Together,
    check,
    check_where,
    held,
    joined,
    matches,
    parse,
    parted,
)
from gansmith.data.tables import listed
from gansmith.errors import Refused


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


DAYS = np.array(["2024-01-01", "2024-03-01", "NaT"], "datetime64[us]")
COLUMNS = {
    "start": np.array([1.0, 5.0, np.nan]), "end": np.array([2, 4, 6]), "day": DAYS,
    "city": objects(["Rome", "Paris", None]), "country": objects(["Italy", "France", None]), "n": np.array([1, 2, 2]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("start <= end", [True, False, True]),  # where a side is missing, it holds
        ("end > start", [True, False, True]),
        ("2 < end <= 4", [False, True, False]),
        ("end >= 4", [False, True, True]),
        ("day < 2024-02-01", [True, False, True]),
        ("2024-02-01 <= day", [False, True, True]),
    ],
)
def test_comparisons(text, rows):
    compared, together = parse([text], COLUMNS)
    assert together == []
    assert held(compared, COLUMNS).tolist() == rows


def test_what_stands_together_is_one_column_and_comes_apart():
    _, together = parse(["city with country", ("start", "n")], COLUMNS)
    assert together == [Together(("city", "country")), Together(("start", "n"))]
    whole = joined(COLUMNS, together)
    assert list(whole) == ["start with n", "end", "day", "city with country"]
    assert whole["city with country"].tolist() == ['["Rome", "Italy"]', '["Paris", "France"]', "[null, null]"]
    back = parted(whole, together, {name: values.dtype.str for name, values in COLUMNS.items()})
    assert list(back) == list(COLUMNS)
    for name, values in COLUMNS.items():
        assert back[name].dtype == values.dtype
        assert str(listed(back[name])) == str(listed(values))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("start", "is none"),
        ("start <=", "is none"),
        ("strat <= end", "no column 'strat'; did you mean 'start'"),
        ("0 <= 1", "no column"),
        ("city <= 3", "city is no column of numbers or dates"),
        ("day <= soon", "'soon' is no date"),
        ("city with contry", "did you mean 'country'"),
        ("city with city", "names one column"),
        ("city with day", "day is a date"),
    ],
)
def test_what_is_no_constraint_is_refused(text, says):
    with pytest.raises(Refused, match=says):
        parse([text], COLUMNS)


def test_a_column_stands_in_one_group():
    with pytest.raises(Refused, match="city stands in two"):
        parse(["city with country", "city with n"], COLUMNS)


def test_data_that_break_a_constraint_are_refused():
    check([Comparison("end", ">=", "2")], COLUMNS)
    with pytest.raises(Refused, match="start <= end: does not hold in 1 of 3 rows"):
        check([Comparison("start", "<=", "end")], COLUMNS)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"city": "Rome"}, [True, False, False]),
        ({"city": None}, [False, False, True]),
        ({"city": ["Rome", None]}, [True, False, True]),
        ({"end": (2, 4)}, [True, True, False]),
        ({"end": 6, "n": 2}, [False, False, True]),
        ({"start": (0, 9)}, [True, True, False]),
        ({}, [True, True, True]),
    ],
)
def test_conditions_on_rows(where, rows):
    check_where(where, COLUMNS)
    assert matches(where, COLUMNS).tolist() == rows


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"town": 1}, "no column 'town'"),
        ({"city": "Berlin"}, "city is nowhere 'Berlin'; there are Rome, Paris"),
        ({"city": (1, 2)}, "A pair"),
        ({"end": (1, 2, 3)}, "A pair"),
    ],
)
def test_conditions_that_no_row_can_meet_are_refused(where, says):
    with pytest.raises(Refused, match=says):
        check_where(where, COLUMNS)
