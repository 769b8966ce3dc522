import pytest

from gansmith.errors import Refused
from gansmith.playground import asked


def test_values_come_out_as_they_are():
    request = {"a": "text", "n": 3, "f": 4.0, "x": 0.5, "l": [1, 2]}
    assert asked.text(request, "a") == "text"
    assert asked.text(request, "b", "else") == "else"
    assert (asked.whole(request, "n"), asked.whole(request, "f"), asked.whole(request, "m", 7)) == (3, 4, 7)
    assert asked.real(request, "x", least=0, most=1) == 0.5
    assert asked.real(request, "n", least=0, most=3) == 3.0
    assert asked.one_of(request, "a", ("text", "other")) == "text"
    assert asked.several(request, "l", 2) == [1, 2]
    assert asked.several(request, "k", 2, []) == []
    assert asked.part(request, "all") is request


@pytest.mark.parametrize("value", [None, 3, "x" * 301, "two\nlines", "zero\0", ["a"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(Refused, match="a: expected a text"):
        asked.text({"a": value}, "a")


@pytest.mark.parametrize("value", [None, "3", True, -1, 11, 2.5, float("nan"), float("inf")])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(Refused, match="n: expected a whole number from 0 to 10"):
        asked.whole({"n": value}, "n", most=10)


@pytest.mark.parametrize("value", [None, "3", False, -0.1, 1.1, float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(Refused, match="x: expected a number"):
        asked.real({"x": value}, "x", least=0, most=1)


def test_unknown_words_long_lists_and_no_parts_are_refused():
    with pytest.raises(Refused, match="expected one of a, b"):
        asked.one_of({"do": "c"}, "do", ("a", "b"))
    for value in (None, "ab", [1, 2, 3]):
        with pytest.raises(Refused, match="a list of 2 at most"):
            asked.several({"l": value}, "l", 2)
    with pytest.raises(Refused, match="names and values"):
        asked.part([1], "runs")
