"""Tables: columns by name, read from CSV and written to it.

A column is an array of int64, of float64 (NaN is missing), of bool, of datetime64 (NaT is missing), or of objects
that are text or None.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused, nearest

Columns = Mapping[str, NDArray[Any]]

MISSING = frozenset(("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>", "NaT"))
"""What stands for nothing in a CSV, as pandas reads it too."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

_WHOLE = re.compile(r"[-+]?(0|[1-9]\d{0,17})")  # with a leading zero it is a code, such as a postal one
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?(0|[1-9]\d*)(,\d+)?")
_CODE = re.compile(r"[-+]?0\d+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")
_LOOKED = 1 << 16
"""Characters by which the separator is chosen."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length, by name.

    Attributes:
        name: what to call it.
        columns: by name, in order.
        notes: what the reader decided on its own, one plain line each.
    """

    name: str
    columns: Columns
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of rows."""
        return rows_of(self.columns)


def rows_of(columns: Columns) -> int:
    """Number of rows."""
    return len(next(iter(columns.values()), ()))


def taken(columns: Columns, index: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Some rows of columns, by their numbers or by a mask."""
    return {name: values[index] for name, values in columns.items()}


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of a column are missing."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "O":
        return np.fromiter((value is None for value in values), np.bool_, len(values))
    return np.zeros(len(values), np.bool_)


def column(values: Any) -> NDArray[Any]:
    """Values as a column that a reader would give: text as objects, since some may be missing."""
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind == "U" else array


def listed(values: NDArray[Any]) -> list[Any]:
    """A column's values, None where one is missing."""
    return [None if lost else value for value, lost in zip(values.tolist(), missing(values), strict=True)]


def named(columns: Columns, wanted: Sequence[str], what: str) -> None:
    """Refuse names of columns that there are not.

    Raises:
        Refused: with the nearest name that there is.
    """
    for name in wanted:
        if name not in columns:
            near = nearest(str(name), [str(one) for one in columns])
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(map(str, columns))}"
            raise Refused(f"{what}: the table has no column {name!r}; {hint}")


# --- reading ---------------------------------------------------------------------------------------


def read_csv(path: str | Path, *, separator: str | None = None, encoding: str | None = None) -> Table:
    """Read a CSV whose first line names the columns.

    Args:
        path: the file.
        separator: one character; None looks at the first lines, and says so where it is no comma.
        encoding: of the text; None tries UTF-8 (and UTF-16 by its mark), then Windows-1252, and says so.

    Raises:
        Refused: no such file, no text, no rows, lines of differing length, or names that are empty or given twice.
    """
    path = Path(path)
    text, notes = _text(path, encoding)
    if separator is None:
        separator = _sniffed(text[:_LOOKED])
        if separator != ",":
            notes.append(f"fields are separated by {SEPARATORS[separator]}")
    elif len(separator) != 1:
        raise Refused(f"{path}: a separator is one character, not {separator!r}")
    names, cells = _cells(path, text, separator)
    columns: dict[str, NDArray[Any]] = {}
    spaced, commas = False, []
    for place, name in enumerate(names):
        raw = [row[place] for row in cells]
        stripped = [value.strip() for value in raw]
        spaced = spaced or stripped != raw
        columns[name], comma = _typed(stripped, separator)
        commas += [name] if comma else []
    if spaced:
        notes.append("spaces around values are left off")
    if commas:
        notes.append(f"decimal commas in {', '.join(commas)}")
    return Table(path.stem, columns, tuple(notes))


def _text(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None
    if not data.strip():
        raise Refused(f"{path}: is empty")
    sixteen = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    tried = [encoding] if encoding else ["utf-16"] if sixteen else ["utf-8-sig", "cp1252", "latin-1"]
    for name in tried:
        try:
            text = data.decode(name)
        except LookupError:
            raise Refused(f"{path}: there is no encoding {name!r}", "Such as utf-8, cp1252 or latin-1.") from None
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        plain = encoding is not None or name == "utf-8-sig"
        return text, [] if plain else [f"its text is not UTF-8, and was read as {name}"]
    remedy = "Give its encoding, such as --encoding utf-16." if encoding is None else None
    raise Refused(f"{path}: is no text{f' in {encoding}' if encoding else ''}", remedy)


def _sniffed(text: str) -> str:
    """The separator by which most lines fall into as many fields, and into most."""

    def worth(separator: str) -> tuple[float, int]:
        rows = _read(text, separator)[:100]
        # The last one may be cut short.
        widths = [len(row) for row in rows[:-1] or rows if row]
        usual = max(set(widths), key=widths.count) if widths else 1
        return (widths.count(usual) / len(widths), usual) if usual > 1 else (0.0, 0)

    return max(SEPARATORS, key=worth)


def _read(text: str, separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    except csv.Error:
        return []


def _cells(path: Path, text: str, separator: str) -> tuple[list[str], list[list[str]]]:
    quoted = f'{separator} "' in text  # only so is a quoted field after a space taken for one
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=quoted, strict=True)
    cells: list[list[str]] = []
    names: list[str] = []
    try:
        names = [name.strip() for name in next(reader, [])]
        for row in reader:
            if len(row) != len(names):
                if not row:  # an empty line, at the end for the most part
                    continue
                one = "1 field" if len(row) == 1 else f"{len(row)} fields"
                raise Refused(f"{path}: line {reader.line_num} has {one}, and the first has {len(names)}")
            cells.append(row)
    except csv.Error as error:
        raise Refused(f"{path}: line {reader.line_num} is no CSV ({error})") from None
    if "" in names:
        raise Refused(f"{path}: column {names.index('') + 1} has no name in the first line")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused(f"{path}: two columns are called {twice!r}")
    if not cells:
        raise Refused(f"{path}: has a first line, and no rows")
    return names, cells


def _typed(values: list[str], separator: str) -> tuple[NDArray[Any], bool]:
    """A column of the narrowest kind that all its values have, and whether its decimals are behind a comma."""
    gone = [value in MISSING for value in values]
    there = {value for value, lost in zip(values, gone, strict=True) if not lost}
    if not there:
        return np.full(len(values), np.nan), False
    comma = separator != "," and any("," in value for value in there) and all(map(_COMMA.fullmatch, there))
    if comma:
        values, there = [value.replace(",", ".") for value in values], {value.replace(",", ".") for value in there}
    if all(map(_WHOLE.fullmatch, there)) and not any(gone):
        return np.array([int(value) for value in values], np.int64), comma
    if all(map(_NUMBER.fullmatch, there)) and not any(map(_CODE.fullmatch, there)):
        pairs = zip(values, gone, strict=True)
        return np.array([np.nan if lost else float(value) for value, lost in pairs], np.float64), comma
    if all(map(_DATE.fullmatch, there)):
        try:
            moments = [None if lost else datetime.fromisoformat(v) for v, lost in zip(values, gone, strict=True)]
            return np.array(moments, "datetime64[us]"), False
        except ValueError:  # the 31st of February
            pass
    out = np.empty(len(values), object)
    out[:] = [None if lost else value for value, lost in zip(values, gone, strict=True)]
    return out, False


# --- writing ---------------------------------------------------------------------------------------


def csv_text(columns: Columns, separator: str = ",") -> str:
    """Columns as CSV, whole numbers without a point, dates as ISO 8601; read back, they are the same."""
    written = [_spelled(values) for values in columns.values()]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    # A single empty field must not look like an empty line.
    writer.writerows(zip(*written, strict=True) if len(written) > 1 else [[v or '""'] for v in written[0]])
    text = out.getvalue()
    return text if len(written) > 1 else text.replace('""""""', '""')


def _spelled(values: NDArray[Any]) -> list[str]:
    gone = missing(values)
    if values.dtype.kind == "f":
        texts = [repr(value) for value in values.tolist()]
        texts = [text.removesuffix(".0") for text in texts]
    elif values.dtype.kind == "M":
        days = not (values[~gone] != values[~gone].astype("datetime64[D]")).any()
        whole = "D" if days else "s" if not (values[~gone] != values[~gone].astype("datetime64[s]")).any() else "us"
        texts = [str(value) for value in np.datetime_as_string(values, unit=whole).tolist()]
    else:
        texts = [str(value) for value in values.tolist()]
    return ["" if lost else text for text, lost in zip(texts, gone, strict=True)]
