"""What must hold in each row of a table, and conditions on rows: written as text, checked on columns.

"age >= 18"   "0 <= share <= 1"   "start <= end"   "city with country"
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.tables import Columns, listed, missing, named, rows_of
from gansmith.errors import Refused

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
_SIGN = re.compile(r"\s*(<=|>=|<|>)\s*")
_FORMS = 'Write "0 <= age <= 99", "start <= end", or "city with country".'


@dataclass(frozen=True)
class Comparison:
    """One side against the other: columns by their names, or numbers, or dates as text.

    Attributes:
        left, right: names or values.
        sign: `<=`, `<`, `>=` or `>`.
    """

    left: str
    sign: str
    right: str

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.left} {self.sign} {self.right}"

    def holds(self, columns: Columns) -> NDArray[np.bool_]:
        """In which rows it holds; where a side is missing, it does."""
        left, right = _side(columns, self.left, self.right), _side(columns, self.right, self.left)
        gone = np.zeros(rows_of(columns), np.bool_)
        for side in (left, right):
            if np.ndim(side):
                gone |= missing(side)
        with np.errstate(invalid="ignore"):
            return gone | _COMPARED[self.sign](left, right)


@dataclass(frozen=True)
class Together:
    """Columns whose values stand together as they do in the data, and in no other way.

    Attributes:
        names: of the columns.
    """

    names: tuple[str, ...]

    def __str__(self) -> str:
        """As it is written."""
        return " with ".join(self.names)


def parse(texts: Sequence[str | Sequence[str]], columns: Columns) -> tuple[list[Comparison], list[Together]]:
    """Constraints of their texts; a sequence of names is of columns that stand together.

    Raises:
        Refused: what is no constraint, or names no column of the table.
    """
    compared: list[Comparison] = []
    together: list[Together] = []
    for text in texts:
        if not isinstance(text, str) or (" with " in text and not _SIGN.search(text)):
            names = tuple(part.strip() for part in text.split(" with ")) if isinstance(text, str) else tuple(text)
            named(columns, names, f"constraint {' with '.join(names)}")
            if len(set(names)) < 2:
                raise Refused(f"constraint {text!r}: names one column", _FORMS)
            for name in names:
                if columns[name].dtype.kind == "M":
                    raise Refused(f"constraint {text!r}: {name} is a date, which stands with nothing")
            together.append(Together(names))
            continue
        pieces = _SIGN.split(text.strip())
        if len(pieces) not in (3, 5) or not all(pieces):
            raise Refused(f"constraint {text!r}: is none", _FORMS)
        for at in range(0, len(pieces) - 2, 2):
            one = Comparison(pieces[at], pieces[at + 1], pieces[at + 2])
            if one.left not in columns and one.right not in columns:
                named(columns, [one.left if _number(one.left) is None else one.right], f"constraint {text!r}")
            one.holds({name: values[:1] for name, values in columns.items()})
            compared.append(one)
    twice = [name for group in together for name in group.names]
    for name in twice:
        if twice.count(name) > 1:
            raise Refused(f"constraints: {name} stands in two of them", "Name all its columns in one.")
    return compared, together


def held(compared: Sequence[Comparison], columns: Columns) -> NDArray[np.bool_]:
    """In which rows all hold."""
    good = np.ones(rows_of(columns), np.bool_)
    for one in compared:
        good &= one.holds(columns)
    return good


def check(compared: Sequence[Comparison], columns: Columns) -> None:
    """Refuse data in which a constraint does not hold.

    Raises:
        Refused: with the number of such rows.
    """
    for one in compared:
        wrong = int((~one.holds(columns)).sum())
        if wrong:
            raise Refused(f"constraint {one}: does not hold in {wrong:,} of {rows_of(columns):,} rows of the data")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _side(columns: Columns, text: str, other: str) -> Any:
    if text in columns:
        if columns[text].dtype.kind not in "iufM":
            raise Refused(f"constraint: {text} is no column of numbers or dates", _FORMS)
        return columns[text]
    if other in columns and columns[other].dtype.kind == "M":
        try:
            return np.datetime64(text)
        except ValueError:
            raise Refused(f"constraint: {text!r} is no date, such as 2024-03-01", _FORMS) from None
    value = _number(text)
    if value is None:
        named(columns, [text], "constraint")
    return value


# --- columns that stand together -------------------------------------------------------------------


def joined(columns: Columns, groups: Sequence[Together]) -> dict[str, NDArray[Any]]:
    """Columns in which each group is one column of text, in the place of its first, by the name `a with b`."""
    out: dict[str, NDArray[Any]] = {}
    whole = {name: group for group in groups for name in group.names}
    for name, values in columns.items():
        group = whole.get(name)
        if group is None:
            out[name] = values
        elif str(group) not in out:
            plain = [listed(columns[one]) for one in group.names]
            texts = np.empty(rows_of(columns), object)
            texts[:] = [json.dumps(row, ensure_ascii=False) for row in zip(*plain, strict=True)]
            out[str(group)] = texts
    return out


def parted(columns: Columns, groups: Sequence[Together], dtypes: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """What `joined` gave as it was, in the order of `dtypes`, numpy's of each column."""
    out = dict(columns)
    for group in groups:
        kinds: dict[str, list[Any]] = {}
        texts = out.pop(str(group)).tolist()
        rows = [kinds.setdefault(text, json.loads(text)) for text in texts]
        for place, name in enumerate(group.names):
            found = [row[place] for row in rows]
            if np.dtype(dtypes[name]).kind == "f":
                found = [np.nan if value is None else value for value in found]
            values = np.empty(len(found), dtypes[name])
            values[:] = found
            out[name] = values
    return {name: out[name] for name in dtypes}


# --- conditions on the rows to make ----------------------------------------------------------------


def matches(where: Mapping[str, Any], columns: Columns) -> NDArray[np.bool_]:
    """In which rows each named column has the value that is asked for.

    Args:
        where: a value by the column's name; or a list of values, any of which will do; or of numbers a pair
            (low, high), both included; None is missing.
        columns: of the rows.
    """
    good = np.ones(rows_of(columns), np.bool_)
    for name, wanted in where.items():
        values = columns[name]
        if isinstance(wanted, tuple):
            with np.errstate(invalid="ignore"):
                good &= (values >= wanted[0]) & (values <= wanted[1])
            continue
        lost, one = missing(values), np.zeros(len(values), np.bool_)
        for each in wanted if isinstance(wanted, list) else [wanted]:
            one |= lost if each is None else ~lost & np.array(values == each, np.bool_)
        good &= one
    return good


def check_where(where: Mapping[str, Any], columns: Columns) -> None:
    """Refuse conditions that no row can meet.

    Raises:
        Refused: no such column, a range of what has no order, or a value that the column has nowhere in the data.
    """
    named(columns, list(where), "where")
    for name, wanted in where.items():
        values = columns[name]
        if isinstance(wanted, tuple):
            if len(wanted) != 2 or values.dtype.kind not in "iufM":
                raise Refused(f"where: {name} is asked for {wanted!r}", "A pair (low, high) is of numbers or dates.")
            continue
        for each in wanted if isinstance(wanted, list) else [wanted]:
            if not matches({name: each}, {name: values}).any():
                kinds = list(dict.fromkeys(str(v) for v in values[:2000].tolist()))
                shown = f"; there are {', '.join(kinds[:8])}{' …' if len(kinds) > 8 else ''}"
                raise Refused(f"where: {name} is nowhere {each!r}{shown}")
