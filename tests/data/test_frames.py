from __future__ import annotations

import importlib

import numpy as np
import pytest

from gansmith.data.frames import columns_of, frame_of, is_frame
from gansmith.data.tables import missing
from gansmith.errors import Refused

pd = pytest.importorskip("pandas", reason="pandas is not installed")

FRAME = pd.DataFrame(
    {
        "whole": np.array([1, 2, 3], np.int8),
        "single": np.array([0.1, np.nan, 2.5], np.float32),
        "double": [0.1, 0.2, np.nan],
        "nullable": pd.array([1, None, 3], "Int64"),
        "truth": [True, False, True],
        "maybe": pd.array([True, None, False], "boolean"),
        "word": ["a", None, "c"],
        "text": pd.array(["a", None, "c"], "string"),
        "kind": pd.Categorical(["x", "y", None], ["y", "x", "z"], ordered=True),
        "rank": pd.Categorical([3, 1, 3], [1, 2, 3]),
        "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
        "zoned": pd.to_datetime(["2024-01-01", None, "2024-01-03"]).tz_localize("Europe/Rome"),
    }
)


def test_a_frame_comes_back_as_it_was():
    columns, types = columns_of(FRAME)
    back = frame_of(columns, types)
    pd.testing.assert_frame_equal(back, FRAME)


def test_columns_are_plain_arrays():
    columns, types = columns_of(FRAME)
    kinds = {name: values.dtype.kind for name, values in columns.items()}
    assert kinds == {
        "whole": "i", "single": "f", "double": "f", "nullable": "f", "truth": "b", "maybe": "O", "word": "O",
        "text": "O", "kind": "O", "rank": "i", "day": "M", "zoned": "M",
    }  # fmt: skip
    assert columns["single"][0] == 0.1  # not 0.100000001
    assert columns["maybe"].tolist() == [True, None, False]
    assert missing(columns["kind"]).tolist() == [False, False, True]
    assert types["kind"] == {"dtype": "category", "categories": ["y", "x", "z"], "ordered": True, "kinds": "str"} or (
        types["kind"]["kinds"] == "object"
    )


def test_refusals():
    with pytest.raises(Refused, match="a column is called 3, no text"):
        columns_of(pd.DataFrame({3: [1]}))
    with pytest.raises(Refused, match="two columns are called 'a'"):
        columns_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(Refused, match="has the type timedelta64"):
        columns_of(pd.DataFrame({"a": pd.to_timedelta([1, 2])}))


def test_frames_are_known_without_pandas(monkeypatch):
    assert is_frame(FRAME)
    assert not is_frame({"a": [1]})
    monkeypatch.setattr(importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(Refused, match="pandas is not installed"):
        frame_of({"a": np.zeros(1)}, {})
