"""Datasets of the Hugging Face Hub, by their id, through the `datasets` library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data.arrays import labels_of
from gansmith.data.collection import Collection, split_of
from gansmith.data.pictures import Unreadable
from gansmith.errors import Refused
from gansmith.fields import Data


@dataclass(frozen=True)
class Rows:
    """Encoded pictures in the rows of a dataset of the `datasets` library."""

    names: Sequence[str] = field(repr=False)
    rows: Any = field(repr=False)
    column: str

    def read(self, i: int) -> bytes:
        """The bytes of the i-th."""
        cell = self.rows[i][self.column]
        data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if isinstance(data, bytes):
            return data
        try:
            # The library has put the file there itself, in its own cache.
            return Path(path).read_bytes() if path else b""
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror or error})") from None


def load(spec: Data) -> Collection:
    """Get a dataset of the Hub by its id; the `datasets` library downloads and keeps it.

    Raises:
        Refused: the library is not installed, there is no such dataset or split, or it has no pictures.
    """
    name = spec.source or ""
    try:
        import datasets
    except ImportError:
        raise Refused(
            f"no such path: {name}; as the id of a Hugging Face dataset it needs the library `datasets`",
            "pip install 'gansmith[hub]'",
        ) from None
    try:
        splits = datasets.load_dataset(name)
    except Exception as error:  # no network, no such id, several configurations, a script: all kinds
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise Refused(
            f"{name}: no such path, and the Hugging Face Hub did not give it ({why[0][:200]})",
            "Check the id on huggingface.co and the network.",
        ) from None
    rows, split = _of_split(name, splits, spec.split, datasets)
    image = next((key for key, value in rows.features.items() if type(value).__name__ == "Image"), None)
    if image is None:
        raise Refused(f"{name}: has no column of images (it has {', '.join(list(rows.features)[:8])})")
    rows = rows.cast_column(image, datasets.Image(decode=False))
    count = len(rows)
    labels, classes = _labels(name, rows, count)
    store = Rows(tuple(f"{name}, row {i}" for i in range(count)), rows, image)
    return Collection(name.split("/")[-1], name, store, np.arange(count, dtype=np.int64), labels, classes, split)


def _of_split(name: str, splits: Any, wanted: str, library: Any) -> tuple[Any, str]:
    known = split_of(list(splits))
    if known is None:
        if wanted == "test":
            raise Refused(f"{name}: has no test split (it has {', '.join(splits)})")
        used, split = list(splits), "all"
    elif wanted == "all":
        used, split = list(splits), "all"
    else:
        used, split = [each for each in splits if known.get(each) == wanted], wanted
    return library.concatenate_datasets([splits[each] for each in used]), split


def _labels(name: str, rows: Any, count: int) -> tuple[Any, tuple[str, ...] | None]:
    for key, value in rows.features.items():
        names = getattr(value, "names", None)
        if type(value).__name__ == "ClassLabel" and names:
            labels = np.array(list(rows[key]), dtype=np.int64)
            if labels.min() < 0:  # the Hub's way to say that a split has none
                return None, None
            return labels, tuple(str(each) for each in names)
    if "label" in rows.features:
        return labels_of(name, np.array(list(rows["label"])), count)
    return None, None
