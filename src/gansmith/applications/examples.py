"""Examples for a detector or a classifier: a CSV, or pictures, with a name or a class for each."""

from __future__ import annotations

import re
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
from gansmith.data.tables import listed, missing, named, read_csv
from gansmith.errors import Refused
from gansmith.fields import Data

TABLES = (".csv", ".tsv", ".txt")

LEAST_SIDE = 8
"""Pixels of an image's side."""


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


@dataclass(frozen=True)
class Labelled:
    """Examples with classes.

    Attributes:
        where: the path or name that they came from.
        data: uint8 images [n, C, H, W], or columns by name.
        labels: the class of each by name, or as the column has it, [n].
        classes: names, sorted.
        notes: what the reader decided on its own.
        skipped: files that were passed over.
    """

    where: str
    data: Any
    labels: NDArray[Any]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    skipped: int = 0

    @property
    def words(self) -> str:
        """What its examples are called."""
        return "rows" if isinstance(self.data, dict) else "pictures"


def read_labelled(spec: Data, *, target: str | None = None, ignored: Sequence[str] = ()) -> Labelled:
    """The examples that data options name, with their classes; a source that ends in .csv, .tsv or .txt is a table.

    Args:
        spec: the options.
        target: the column of a table that holds the class.
        ignored: columns of a table to leave out.

    Raises:
        Refused: no such source, no classes, or nothing that can be used.
    """
    source = spec.source or ""
    if Path(source).suffix.lower() in TABLES:
        if target is None:
            raise Refused(f"{source}: which column holds the class?", "Name it by --target.")
        table = read_csv(source)
        named(table.columns, (target, *ignored), source)
        columns = {name: v for name, v in table.columns.items() if name != target and name not in ignored}
        labels, lost = table.columns[target], missing(table.columns[target])
        if lost.any():
            raise Refused(
                f"{source}: column {target!r} is empty in line {int(lost.argmax()) + 2}", "Leave such rows out."
            )
        classes = tuple(sorted({str(v) for v in labels.tolist()}))
        return Labelled(source, columns, labels, classes, table.notes)
    if target is not None or ignored:
        raise Refused(f"{source}: pictures have no columns")
    dataset = open_dataset(spec)
    if dataset.modality != "image":
        raise Refused(f"{source}: holds {dataset.modality}", "It takes pictures, or a CSV.")
    if dataset.labels is None:
        raise Refused(f"{source}: its pictures have no classes", "A folder for each class gives them.")
    names = dataset.classes or tuple(str(i) for i in range(int(dataset.labels.max()) + 1))
    named_labels = np.array(names)[dataset.labels]
    there = tuple(sorted(set(named_labels.tolist())))
    return Labelled(source, _all(dataset), named_labels, there, dataset.notes, len(dataset.problems))


def _all(dataset: Dataset) -> NDArray[Any]:
    if dataset.array is not None:
        return dataset.array
    assert dataset.read is not None
    return np.stack([dataset.read(i) for i in range(dataset.count)])


def _table(path: Path, ignored: Sequence[str], label: str | None) -> Examples:
    table = read_csv(path)
    named(table.columns, (*ignored, *([] if label is None else [label])), str(path))
    if not table.count:
        raise Refused(f"{path}: holds no rows below its first line")
    kept = tuple(name for name in table.columns if name not in ignored and name != label)
    if not kept:
        raise Refused(f"{path}: no column is left")
    data = np.stack([_numbers(path, name, table.columns[name]) for name in kept], 1)
    labels = None if label is None else _numbers(path, label, table.columns[label])
    return Examples(str(path), data, tuple(str(i + 1) for i in range(len(data))), kept, labels, table.notes)


def _numbers(path: Path, column: str, values: NDArray[Any]) -> NDArray[np.float64]:
    remedy = f"Leave the column out with --ignore {column}, or make numbers of it."
    if missing(values).all():
        raise Refused(f"{path}: column {column!r} is empty", f"Leave it out with --ignore {column}.")
    if values.dtype.kind not in "ifb":
        line, odd = next((i + 2, v) for i, v in enumerate(listed(values)) if v is not None and not _is_number(v))
        raise Refused(f"{path}: column {column!r} holds {str(odd)!r} (line {line}), which is no number", remedy)
    return values.astype(np.float64)


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return not re.match(r"[-+]?0\d", str(value))  # a code, such as a postal one


def images_of(X: Any) -> NDArray[np.uint8]:
    """Images as uint8 [n, C, H, W].

    Raises:
        ValueError: another type, or sides that are too small.
    """
    images = np.asarray(X)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, from 0 to 255, not {images.dtype}")
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[1] > 4 >= images.shape[3]:
        images = images.transpose(0, 3, 1, 2)
    if images.shape[1] > 4 or min(images.shape[2:]) < LEAST_SIDE:
        raise ValueError(f"images must be [n, C, H, W] with sides of {LEAST_SIDE} or more, not {list(images.shape)}")
    return np.ascontiguousarray(images)
