"""pandas frames as columns, and back with the same types in the same order. pandas itself is optional."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.tables import Columns, missing
from gansmith.errors import Refused

Type = dict[str, Any]
"""What a frame's column was, as plain JSON: `dtype`, and `categories` and `ordered` of a categorical one."""


def pandas() -> Any:
    """The package, where it is installed.

    Raises:
        Refused: where it is not.
    """
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise Refused("pandas is not installed", "pip install 'gansmith[tables]'") from None


def is_frame(data: object) -> bool:
    """Whether something is a pandas DataFrame; loads nothing."""
    return type(data).__name__ == "DataFrame" and type(data).__module__.partition(".")[0] == "pandas"


def columns_of(frame: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Type]]:
    """A frame's columns, and what each was.

    Raises:
        Refused: names that are not text or given twice, or a type that is not read.
    """
    columns: dict[str, NDArray[Any]] = {}
    types: dict[str, Type] = {}
    for place, name in enumerate(frame.columns):
        if not isinstance(name, str) or name in columns:
            what = f"two columns are called {name!r}" if name in columns else f"a column is called {name!r}, no text"
            raise Refused(what, "df.columns = […] gives them names.")
        series = frame.iloc[:, place]
        types[name] = _type(series.dtype)
        columns[name] = _values(name, series)
    return columns, types


def frame_of(columns: Columns, types: Mapping[str, Type]) -> Any:
    """Columns as a frame, each of the type that it was of; those of none, as they are."""
    pd = pandas()
    return pd.DataFrame({name: _series(pd, values, types.get(name)) for name, values in columns.items()})


def _type(dtype: Any) -> Type:
    out: Type = {"dtype": str(dtype)}
    if str(dtype) == "category":
        kinds = dtype.categories
        out |= {"categories": kinds.tolist(), "ordered": bool(dtype.ordered), "kinds": str(kinds.dtype)}
    return out


def _values(name: str, series: Any) -> NDArray[Any]:
    dtype, lost = series.dtype, series.isna().to_numpy()
    if str(dtype) == "category":
        inner = getattr(dtype.categories.dtype, "kind", "O")
        if inner not in "iuf":
            return _objects(series.astype(object).tolist(), lost)
        return series.astype(np.float64 if inner == "f" or lost.any() else np.int64).to_numpy()
    kind = getattr(dtype, "kind", "O")
    if kind == "M":
        plain = series.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(dtype, "tz", None) is not None else series
        return plain.to_numpy().astype("datetime64[us]")
    if kind == "b":
        return _objects([None if gone else bool(v) for v, gone in zip(series.tolist(), lost, strict=True)], lost) if (
            lost.any()
        ) else series.to_numpy(dtype=np.bool_)  # fmt: skip
    if kind in "iu" and not lost.any():
        return series.to_numpy(dtype=np.int64)
    if kind in "iuf":
        plain = series.to_numpy(dtype=np.float64, na_value=np.nan)
        # 0.1 in single precision is 0.100000001 in double; the number that is meant has one digit.
        return plain.astype(np.float32).astype(str).astype(np.float64) if str(dtype).lower() == "float32" else plain
    if kind == "O" or str(dtype).startswith("str"):
        return _objects(series.tolist(), lost)
    raise Refused(f"column {name}: has the type {dtype}", "Read are numbers, text, truth values, dates and categories.")


def _objects(values: Sequence[Any], lost: NDArray[np.bool_]) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = [None if gone else v for v, gone in zip(values, lost, strict=True)]
    return out


def _series(pd: Any, values: NDArray[Any], kind: Type | None) -> Any:
    if kind is None:
        return pd.Series(values)
    name, lost = kind["dtype"], missing(values)
    if name == "category":
        kinds = pd.Index(kind["categories"]).astype(kind["kinds"])
        return pd.Series(pd.Categorical(values, kinds, ordered=kind["ordered"]))
    if name.startswith("datetime64") and "," in name:
        return pd.Series(values).dt.tz_localize("UTC").astype(name)
    if name.startswith(("Int", "UInt")):
        whole = pd.array(np.where(lost, 0, values).round().astype(np.int64), dtype=name)
        whole[lost] = pd.NA
        return pd.Series(whole)
    if name.startswith(("int", "uint")):
        low, high = np.iinfo(name).min, np.iinfo(name).max
        return pd.Series(np.clip(values, low, high).astype(name))
    return pd.Series(values).astype(name)
