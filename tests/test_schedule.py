"""Counts as people write them, and values that move on the clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansmith.schedule import Adaptive, Ramp, count, value_at


@pytest.mark.parametrize(
    ("text", "value"),
    [("2M", 2_000_000), ("60k", 60_000), ("1.5m", 1_500_000), ("20_000", 20_000), ("1e6", 1_000_000), (7, 7),
     ("3G", 3 * 10**9), ("2b", 2 * 10**9), ("1,000", 1000)],
)  # fmt: skip
def test_count(text: object, value: int):
    assert count(text) == value


@pytest.mark.parametrize(
    "text", ["", "many", "-5", "0", 0, None, True, "2MM", "1e99", float("nan"), float("inf"), "0.2"]
)
def test_count_refuses(text: object):
    with pytest.raises(ValueError, match="number of images"):
        count(text)


@given(st.integers(1, 10**15))
def test_count_of_whole_numbers(n: int):
    assert count(n) == count(str(n)) == count(f"{n:,}") == count(f"{n:_}") == n


@given(st.integers(1, 10**5), st.sampled_from(["", "k", "K", "M", "G"]))
def test_count_with_a_unit(n: int, unit: str):
    assert count(f"{n}{unit}") == n * {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}[unit]


@given(st.one_of(st.text(max_size=8), st.floats(), st.booleans(), st.none()))
def test_count_gives_a_number_or_says_what_it_wants(value: object):
    try:
        assert 1 <= count(value) <= 10**15
    except ValueError as error:
        assert "number of images" in str(error)


@pytest.mark.parametrize(
    ("ramp", "images", "value"),
    [
        (Ramp(start=1, end=0), 50, 0.5),
        (Ramp(start=1, end=0), 25, 0.5 + math.cos(math.pi / 4) / 2),
        (Ramp(start=2, end=4, shape="linear"), 25, 2.5),
        (Ramp(start=1, end=100, shape="exponential"), 50, 10),
        (Ramp(start=1, end=0, shape="linear", hold=0.5), 50, 1),
        (Ramp(start=1, end=0, shape="linear", hold=0.5), 75, 0.5),
        (Ramp(start=1, end=0, shape="linear", over=10), 5, 0.5),
        (Ramp(start=1, end=0, shape="linear", over=10), 99, 0),
    ],
)
def test_ramps(ramp: Ramp, images: int, value: float):
    assert ramp.at(images, 100) == pytest.approx(value)
    assert value_at(ramp, images, 100) == ramp.at(images, 100)


def test_a_probability_that_adapts_has_the_papers_pace():
    rule = Adaptive(target=0.6)
    assert (rule.start, rule.most, rule.over, rule.every) == (0.0, 1.0, 500_000, 4)
    with pytest.raises(ValueError, match=r"it starts at 0\.5, above the most that is allowed, 0\.2"):
        Adaptive(target=0.6, start=0.5, most=0.2)
