"""Images in an `.npz`: `images`, and `labels` or `conditions` if there are any; or `points` in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset
from gansmith.errors import Refused

_FORM = "Save with numpy.savez(path, images=uint8 [N, C, H, W], labels=int [N])."


def read_npz(path: Path, name: str, split: str) -> Dataset:
    """A split of the images, or the points, in an `.npz`.

    The arrays are `images` (uint8 [N, C, H, W], [N, H, W, C] or [N, H, W]) and, optionally, `labels` ([N],
    whole numbers or text) and `conditions` ([N, V], any numbers); or the same with `train_` and `test_` before them,
    for a file that has splits.
    Or one array, `points` ([N, 2], any numbers). Pickled arrays are never read.

    Raises:
        Refused: not a file of numpy's, the arrays missing, or of a wrong type or shape.
    """
    try:
        # Opened here, since numpy forgets to close a file that turns out to be damaged.
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise Refused(f"{path}: not an .npz file", _FORM)
            with archive:
                known = set(archive.files)
                if "points" in known:
                    return _points(path, name, split, _array(path, "points", archive["points"]))
                parts = _parts(path, known, split)
                images = [_layout(path, key, archive[key]) for key, _ in parts]
                raw = [_array(path, label, archive[label]) for _, label in parts if label in known]
                told = [label.removesuffix("labels") + "conditions" for _, label in parts]
                vectors = [_array(path, key, archive[key]) for key in told if key in known]
    except Refused:
        raise
    except Exception as error:
        # A damaged archive raises BadZipFile, zlib.error, ValueError, EOFError, struct.error and more.
        pickled = isinstance(error, ValueError) and "pickle" in str(error).lower()
        why = "holds pickled objects, which are never read" if pickled else "cannot be read (not an .npz, or damaged)"
        raise Refused(f"{path}: {why}", _FORM) from None
    if len({part.shape[1:] for part, _ in images}) > 1:
        raise Refused(f"{path}: its splits hold images of different shapes")
    array = np.concatenate([part for part, _ in images]) if len(images) > 1 else images[0][0]
    labels, classes = (None, None) if len(raw) < len(parts) else labels_of(path, np.concatenate(raw), len(array))
    has_splits = "images" not in known
    conditions = conditions_of(path, vectors, len(array)) if len(vectors) == len(parts) else None
    notes = [note for _, note in images if note]
    if conditions is not None:
        spread = conditions.std(0)
        told_of = f"conditions: {conditions.shape[1]} numbers, of deviation {spread.min():.3g} to {spread.max():.3g}"
        notes.append(f"{told_of}, as they are (about 1 is best)")
    return Dataset(
        name,
        "image",
        array.shape[1:],
        len(array),
        array,
        labels=labels,
        classes=classes,
        conditions=conditions,
        split=split if has_splits else "all",
        notes=tuple(dict.fromkeys(notes)),
    )


def _points(path: Path, name: str, split: str, array: NDArray[np.generic]) -> Dataset:
    if split == "test":
        raise Refused(f"{path}: has no test split", "Points come in one array, `points`.")
    if array.ndim != 2 or array.shape[1] != 2 or not len(array) or array.dtype.kind not in "iuf":
        raise Refused(f"{path}: `points` is {array.dtype} {list(array.shape)}; points are numbers [N, 2]")
    points = array.astype(np.float32)
    if not np.isfinite(points).all():
        raise Refused(f"{path}: some points are not finite")
    return Dataset(name, "points", (2,), len(points), points, split="all")


def _parts(path: Path, known: set[str], split: str) -> list[tuple[str, str]]:
    if "images" in known:
        if split == "test":
            raise Refused(
                f"{path}: has no test split", "Name the arrays train_images and test_images, or use --data.split all."
            )
        return [("images", "labels")]
    wanted = ["train", "test"] if split == "all" else [split]
    parts = [(f"{each}_images", f"{each}_labels") for each in wanted if f"{each}_images" in known]
    if not parts:
        listed = ", ".join(sorted(known)[:8]) or "nothing"
        raise Refused(f"{path}: has no array `images` (it has {listed})", _FORM)
    return parts


def _array(path: Path, key: str, value: object) -> NDArray[np.generic]:
    # Where a member is no array, numpy hands out its bytes.
    if not isinstance(value, np.ndarray):
        raise Refused(f"{path}: `{key}` is no array", _FORM)
    return value


def _layout(path: Path, key: str, value: object) -> tuple[NDArray[np.uint8], str | None]:
    array = _array(path, key, value)
    if array.dtype != np.uint8:
        raise Refused(f"{path}: `{key}` is {array.dtype}; images are uint8, 0 black to 255 white", _FORM)
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise Refused(f"{path}: `{key}` has the shape {list(array.shape)}", _FORM)
    if array.ndim == 3:
        return np.ascontiguousarray(array[:, None], dtype=np.uint8), None
    first, last = array.shape[1] <= 4, array.shape[3] <= 4
    if not first and not last:
        raise Refused(f"{path}: `{key}` has the shape {list(array.shape)}, with no axis of 1 to 4 channels", _FORM)
    note = f"the axes of `{key}` {list(array.shape)} were taken as N, C, H, W" if first and last else None
    if not first:
        array = array.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(array, dtype=np.uint8), note


def labels_of(where: object, raw: NDArray[np.generic], count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels 0 .. k-1, and the name of each, of raw ones: whole numbers or text, one an example.

    Raises:
        Refused: of another type, or not as many as examples.
    """
    flat = raw.reshape(-1) if raw.ndim <= 2 and raw.size == count else raw
    if flat.ndim != 1 or len(flat) != count:
        raise Refused(f"{where}: {count:,} images, but labels of the shape {list(raw.shape)}")
    if flat.dtype.kind not in "iubUS":
        raise Refused(
            f"{where}: labels are {flat.dtype}; they should be whole numbers, or text",
            "Numbers that are measures rather than kinds are called `conditions`.",
        )
    values, labels = np.unique(flat, return_inverse=True)
    names = tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist())
    return labels.reshape(-1).astype(np.int64), names


def conditions_of(where: object, parts: Sequence[NDArray[np.generic]], count: int) -> NDArray[np.float32]:
    """Conditions float32 [count, V] of raw ones: numbers, one vector (or one number) an example.

    Raises:
        Refused: of another type, not finite, or not as many as examples.
    """
    if any(part.ndim not in (1, 2) or part.dtype.kind not in "iuf" for part in parts):
        raise Refused(f"{where}: conditions are numbers, [N, V] or [N]")
    rows = [part.reshape(len(part), -1) for part in parts]
    if len({part.shape[1] for part in rows}) > 1 or sum(map(len, rows)) != count or rows[0].shape[1] == 0:
        raise Refused(f"{where}: {count:,} images, but conditions of the shape {list(parts[0].shape)}")
    whole = np.concatenate(rows).astype(np.float32)
    if not np.isfinite(whole).all():
        raise Refused(f"{where}: some conditions are not finite")
    return whole
