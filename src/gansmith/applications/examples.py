"""What an anomaly detector is fitted on and scores: a CSV of numbers, or pictures, with a name for each example."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data import open_dataset
from gansmith.data.collection import Collection, assemble, examine
from gansmith.data.dataset import Dataset
from gansmith.data.open import resolve
from gansmith.errors import Refused, nearest
from gansmith.fields import Data

TABLES = (".csv", ".tsv", ".txt")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ENCODINGS = ("utf-8-sig", "cp1252")
MISSING = ("", "na", "nan", "null", "none", "n/a")


@dataclass(frozen=True)
class Examples:
    """Examples of one kind.

    Attributes:
        where: the path or name that they came from.
        data: float64 [n, D], or uint8 [n, C, H, W].
        names: of each example: its line in a CSV from 1 on, or a picture's file.
        columns: names of the D columns; none of pictures.
        labels: numbers of the column that says which are anomalous, or None.
        notes: what the reader decided on its own.
        skipped: files that were passed over.
    """

    where: str
    data: NDArray[Any]
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()
    labels: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    skipped: int = 0


def read_examples(spec: Data, *, ignored: Sequence[str] = (), label: str | None = None) -> Examples:
    """The examples that data options name; a source that ends in .csv, .tsv or .txt is a table.

    Args:
        spec: the options.
        ignored: columns of a table to leave out.
        label: a column that says which rows are anomalous, left out too.

    Raises:
        Refused: no such source, or nothing that can be used.
    """
    source = spec.source or ""
    if Path(source).suffix.lower() in TABLES:
        return _table(Path(source), ignored, label)
    if ignored or label is not None:
        raise Refused(f"{source}: pictures have no columns")
    found = resolve(spec)
    if isinstance(found, Collection):
        scan = examine(found, spec)
        dataset = assemble(found, scan, spec)
        names = tuple(str(found.store.names[int(i)]) for i in scan.good)
    else:
        dataset = open_dataset(spec)
        names = tuple(str(i) for i in range(dataset.count))
    if dataset.modality != "image":
        raise Refused(f"{source}: holds {dataset.modality}", "A detector takes pictures, or a CSV of numbers.")
    return Examples(source, _all(dataset), names, notes=dataset.notes, skipped=len(dataset.problems))


def _all(dataset: Dataset) -> NDArray[Any]:
    if dataset.array is not None:
        return dataset.array
    assert dataset.read is not None
    return np.stack([dataset.read(i) for i in range(dataset.count)])


def _table(path: Path, ignored: Sequence[str], label: str | None) -> Examples:
    text, notes = _text(path)
    first = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first.count)
    if separator != ",":
        notes.append(f"fields are separated by {SEPARATORS[separator]}")
    rows = [row for row in csv.reader(text.splitlines(), delimiter=separator) if row]
    if len(rows) < 2:
        raise Refused(f"{path}: holds no rows below its first line")
    columns = [name.strip() for name in rows[0]]
    for name in (*ignored, *([] if label is None else [label])):
        if name not in columns:
            near = nearest(name, columns)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(columns)}"
            raise Refused(f"{path}: has no column {name!r}; {hint}")
    for line, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise Refused(f"{path}: line {line} has {len(row)} fields, and the first has {len(columns)}")
    kept = [i for i, name in enumerate(columns) if name not in ignored and name != label]
    if not kept:
        raise Refused(f"{path}: no column is left")
    data = np.stack([_numbers(path, columns[i], [row[i] for row in rows[1:]]) for i in kept], 1)
    labels = None
    if label is not None:
        at = columns.index(label)
        labels = _numbers(path, label, [row[at] for row in rows[1:]])
    names = tuple(str(i + 1) for i in range(len(data)))
    return Examples(str(path), data, names, tuple(columns[i] for i in kept), labels, tuple(notes))


def _text(path: Path) -> tuple[str, list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None
    for encoding in ENCODINGS:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, [] if encoding == "utf-8-sig" else [f"its text is not UTF-8, and was read as {encoding}"]
    raise Refused(f"{path}: is no text")


def _numbers(path: Path, column: str, values: Sequence[str]) -> NDArray[np.float64]:
    out = np.empty(len(values))
    for i, value in enumerate(values):
        stripped = value.strip()
        try:
            out[i] = np.nan if stripped.lower() in MISSING else float(stripped)
        except ValueError:
            raise Refused(
                f"{path}: column {column!r} holds {stripped!r} (line {i + 2}), which is no number",
                f"Leave the column out with --ignore {column}, or make numbers of it.",
            ) from None
    if np.isnan(out).all():
        raise Refused(f"{path}: column {column!r} is empty", f"Leave it out with --ignore {column}.")
    return out
