"""Local parquet files with a column of encoded pictures, as the Hugging Face Hub keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gansmith.data import scan
from gansmith.data.arrays import labels_of
from gansmith.data.collection import Collection, split_of
from gansmith.data.stores import Encoded
from gansmith.errors import Refused
from gansmith.fields import Data

_IMAGE_NAMES = ("image", "img", "images", "picture", "png", "jpg")
_LABEL_NAMES = ("label", "labels", "class", "target", "fine_label")
_SPLIT_WORD = re.compile(r"(?:^|[/_.-])(train|training|test|testing|validation|valid|val)(?=[/_.-]|$)", re.IGNORECASE)


def load(path: Path, files: Sequence[Path], name: str, spec: Data) -> Collection:
    """Gather the pictures of one split out of parquet files; the encoded bytes are kept in memory.

    The pictures are a column of bytes, or of {bytes, path} (paths are not followed); labels are a column
    of whole numbers or text. Columns are found by the Hub's own schema, else by name. Files whose names
    say train, test or validation are splits.

    Args:
        path: what the user named.
        files: the parquet files, in order.
        name: what to call the dataset.
        spec: the data options.

    Raises:
        Refused: pyarrow is not installed, or the files are damaged, have no such column or are too large.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise Refused(f"{path}: reading parquet needs pyarrow", "pip install 'gansmith[hub]'") from None
    used, split = _of_split(path, files, spec.split)
    blobs: list[bytes | None] = []
    names: list[str] = []
    raw: list[Any] = []
    label_names: tuple[str, ...] | None = None
    for file in used:
        try:
            label_names = _gather(file, blobs, names, raw) or label_names
        except Refused:
            raise
        except Exception as error:  # pyarrow's own errors, and those of a damaged file
            raise Refused(f"{file}: cannot be read ({str(error).splitlines()[0][:100] or 'damaged'})") from None
        if sum(len(blob) for blob in blobs if blob) > 4 * scan.IN_MEMORY:
            size = f"{4 * scan.IN_MEMORY / 2**30:.3g} GiB"
            raise Refused(
                f"{path}: more than {size} of encoded pictures", "Parquet is read whole; unpack it into a folder."
            )
    if not blobs:
        raise Refused(f"{path}: holds no rows")
    labels, classes = None, None
    if len(raw) == len(blobs):
        labels, classes = labels_of(path, np.array(raw), len(blobs))
        classes = _named(classes, label_names)
    return Collection(
        name, str(path), Encoded(tuple(names), blobs), np.arange(len(blobs), dtype=np.int64), labels, classes, split
    )


def _of_split(path: Path, files: Sequence[Path], wanted: str) -> tuple[list[Path], str]:
    words = []
    for file in files:
        # The last word counts: data/train/part-0.parquet, or train-00000-of-00001.parquet.
        found = _SPLIT_WORD.findall(file.relative_to(path).as_posix() if path.is_dir() else file.name)
        words.append(found[-1] if found else None)
    known = split_of([word for word in words if word]) if None not in words else None
    if known is None:
        if wanted == "test":
            raise Refused(f"{path}: has no test split", "Name the files train-*.parquet and test-*.parquet.")
        return list(files), "all"
    if wanted == "all":
        return list(files), "all"
    return [file for file, word in zip(files, words, strict=True) if word and known.get(word) == wanted], wanted


def _gather(file: Path, blobs: list[bytes | None], names: list[str], raw: list[Any]) -> tuple[str, ...] | None:
    """Append a file's pictures and labels; returns the names of its labels where its schema has them."""
    from pyarrow import parquet

    with parquet.ParquetFile(file) as opened:
        schema = opened.schema_arrow
        features = _features(schema.metadata)
        image, label = _image_column(file, schema, features), _label_column(schema, features)
        columns = [image] if label is None else [image, label]
        row = 0
        for part in opened.iter_batches(batch_size=1024, columns=columns):
            for cell in part.column(image).to_pylist():
                blobs.append(cell.get("bytes") if isinstance(cell, dict) else cell)
                names.append(f"{file.name}, row {row}")
                row += 1
            if label is not None:
                raw.extend(part.column(label).to_pylist())
    return _label_names(features.get(label)) if label is not None else None


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    # What the `datasets` library writes beside the schema: which column is a picture, and the classes.
    try:
        found = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _kind(feature: object) -> object:
    return feature.get("_type") if isinstance(feature, dict) else None


def _image_column(file: Path, schema: Any, features: dict[str, Any]) -> str:
    fitting = [field.name for field in schema if _holds_bytes(field.type)]
    declared = [name for name in fitting if _kind(features.get(name)) == "Image"]
    named = [name for name in fitting if name.lower() in _IMAGE_NAMES]
    for found in (declared, named, fitting):
        if len(found) == 1 or (found and found is not fitting):
            return found[0]
    listed = ", ".join(schema.names[:8])
    raise Refused(f"{file}: no column of pictures was found (it has {listed})", "Call a column of bytes `image`.")


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(inner.name == "bytes" and _holds_bytes(inner.type) for inner in kind)
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)


def _label_column(schema: Any, features: dict[str, Any]) -> str | None:
    from pyarrow import types

    fitting = [f.name for f in schema if types.is_integer(f.type) or types.is_string(f.type)]
    declared = [name for name in fitting if _kind(features.get(name)) == "ClassLabel"]
    named = [name for name in _LABEL_NAMES if name in fitting]
    return (declared + named)[0] if declared or named else None


def _label_names(feature: object) -> tuple[str, ...] | None:
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, list) else None


def _named(classes: tuple[str, ...], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names in place of numbers, where the schema has one for each."""
    if names is None or not all(c.isdigit() and int(c) < len(names) for c in classes):
        return classes
    return tuple(names[int(c)] for c in classes)
