from __future__ import annotations

import csv
import io
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansmith.data.tables import MISSING, Table, column, csv_text, listed, missing, named, read_csv, taken
from gansmith.errors import Refused

from .making import outcome

WORDS = (
    st.text(string.ascii_letters + ' ,;"\n|éß', min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda w: w not in MISSING)
)
WORDS = WORDS.filter(lambda w: not set("0123456789") & set(w) and "inf" not in w.lower())
WHOLE = st.lists(st.integers(-(10**12), 10**12), min_size=3, max_size=3).map(lambda v: np.array(v, np.int64))
FLOAT = st.lists(st.none() | st.floats(-1e9, 1e9), min_size=3, max_size=3).map(
    lambda v: np.array([np.nan if x is None else x for x in v], np.float64)
)
DAYS = st.lists(st.none() | st.datetimes(), min_size=3, max_size=3).map(lambda v: np.array(v, "datetime64[us]"))


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


TEXT = st.lists(st.none() | WORDS, min_size=3, max_size=3).map(objects)


def written(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "rows.csv"
    file.write_bytes(text.encode(encoding))
    return file


def same(one, other):
    return listed(one) == listed(other)


@settings(max_examples=60, deadline=None)
@given(
    columns=st.lists(st.one_of(WHOLE, FLOAT, DAYS, TEXT), min_size=2, max_size=4), separator=st.sampled_from(",;\t|")
)
def test_what_is_written_is_read(tmp_path_factory, columns, separator):
    table = {f"column {i}": values for i, values in enumerate(columns)}
    file = written(tmp_path_factory.mktemp("csv"), csv_text(table, separator))
    read = read_csv(file, separator=separator).columns
    assert list(read) == list(table)
    for name, values in table.items():
        assert np.array_equal(missing(read[name]), missing(values))
        if missing(values).all():
            assert np.isnan(read[name]).all()
        elif values.dtype.kind == "f":
            assert np.array_equal(read[name].astype(float), values, equal_nan=True)
        else:
            assert same(read[name], values)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.lists(WORDS.filter(lambda w: "\n" not in w), min_size=3, max_size=3), min_size=2, max_size=6),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_encodings_and_separators_are_found(tmp_path_factory, rows, separator, encoding):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([["one", "two", "three"], *rows])
    read = read_csv(written(tmp_path_factory.mktemp("csv"), text.getvalue(), encoding))
    assert [listed(read.columns[name]) for name in ("one", "two", "three")] == [
        list(c) for c in zip(*rows, strict=True)
    ]
    assert any("separated by" in note for note in read.notes) == (separator != ",")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("csv") / "rows.csv"
    file.write_bytes(data)
    assert isinstance(outcome(lambda: read_csv(file), Refused), Table | Refused)


def test_kinds_of_columns(tmp_path):
    text = (
        "whole,part,code,day,second,word,gone,hole,comma\n"
        "1,1.50,007,2024-02-01,2024-02-01 10:00:01,x,,3,\n-2,NaN,010,2024-02-29,2024-02-01T00:00:00,NA,,,\n"
    )
    columns = read_csv(written(tmp_path, text)).columns
    kinds = {name: values.dtype.kind for name, values in columns.items()}
    assert kinds == {
        "whole": "i", "part": "f", "code": "O", "day": "M", "second": "M", "word": "O", "gone": "f", "hole": "f",
        "comma": "f",
    }  # fmt: skip
    assert listed(columns["word"]) == ["x", None]
    assert columns["code"].tolist() == ["007", "010"]
    assert str(columns["second"][0]) == "2024-02-01T10:00:01.000000"


def test_decimal_commas_and_spaces_are_said(tmp_path):
    table = read_csv(written(tmp_path, "a;b\n1,5; x\n2,25; y\n"))
    assert table.columns["a"].tolist() == [1.5, 2.25]
    assert table.columns["b"].tolist() == ["x", "y"]
    assert table.notes == (
        "fields are separated by semicolons", "spaces around values are left off", "decimal commas in a",
    )  # fmt: skip


def test_other_encodings_are_said(tmp_path):
    table = read_csv(written(tmp_path, "name,x\nJosé,1\nZoë,2\n", "cp1252"))
    assert table.columns["name"].tolist() == ["José", "Zoë"]
    assert table.notes == ("its text is not UTF-8, and was read as cp1252",)
    assert read_csv(written(tmp_path, "name,x\nJosé,1\n", "latin-1"), encoding="latin-1").notes == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2,3\n", "line 2 has 3 fields, and the first has 2"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,\n1,2\n", "column 2 has no name"),
        ('a,b\n1,"2\n', "is no CSV"),
        ("a,b\n1,\0\n", "is no text"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, says):
    with pytest.raises(Refused, match=says):
        read_csv(written(tmp_path, text))


def test_refusals_of_arguments(tmp_path):
    with pytest.raises(Refused, match="cannot be read"):
        read_csv(tmp_path / "nowhere.csv")
    file = written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(Refused, match="no encoding 'klingon'"):
        read_csv(file, encoding="klingon")
    with pytest.raises(Refused, match="one character"):
        read_csv(file, separator="ab")
    with pytest.raises(Refused, match="no column 'incme'; did you mean 'income'"):
        named({"income": np.zeros(1)}, ["incme"], "target")


def test_rows_are_taken():
    columns = {"a": np.arange(4), "b": objects(["w", None, "y", "z"])}
    assert listed(taken(columns, np.array([2, 1]))["b"]) == ["y", None]


def test_text_is_held_as_objects_however_it_comes():
    for text in (np.array(["a", "bc"]), ["a", "bc"], np.array(["a", "bc"], dtype=object)):
        found = column(text)
        assert (found.dtype.kind, found.tolist()) == ("O", ["a", "bc"])
    assert column([1, 2]).dtype.kind == "i"
    assert column(np.array([0.5], np.float32)).dtype == np.float32
