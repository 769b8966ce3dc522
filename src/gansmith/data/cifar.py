"""CIFAR-10 (Krizhevsky, 2009) in both of its published layouts: `-bin` records, and `-py` pickles."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS
_PUBLISHED = {"train": 50_000, "test": 10_000}
_LARGEST = 1 << 30
_STEMS = {"train": "data_batch", "test": "test_batch"}


class Images(NamedTuple):
    """Images of one split.

    Attributes:
        array: uint8 [N, 3, 32, 32].
        labels: int64 [N].
        notes: what is not as published.
    """

    array: NDArray[np.uint8]
    labels: NDArray[np.int64]
    notes: tuple[str, ...]


def files(folder: Path, split: str) -> list[Path]:
    """The files of a split in a folder, in the published order: `-bin` where it has both layouts."""
    stem = _STEMS[split]
    binary = sorted(folder.glob(f"{stem}*.bin"))
    return binary or sorted(f for f in folder.glob(f"{stem}*") if f.is_file() and not f.suffix)


def read_cifar(folder: Path, split: str) -> Images:
    """The images of a split, of as many of the published files as there are.

    Raises:
        Refused: no file of the split, or one that is damaged; it is named.
    """
    found = files(folder, split)
    if not found:
        raise Refused(f"{folder}: holds no {_STEMS[split]} files of CIFAR-10")
    parts = [_records(f) if f.suffix == ".bin" else _pickled(f) for f in found]
    array, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    notes: tuple[str, ...] = ()
    if len(array) != _PUBLISHED[split]:
        notes = (f"{len(array):,} of the {_PUBLISHED[split]:,} published {split} images are there",)
    return Images(array.reshape(-1, 3, 32, 32), labels, notes)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise Refused(f"{path}: far too large for a CIFAR-10 file")
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None


def _records(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = _read(path)
    if not data or len(data) % _RECORD:
        raise Refused(f"{path}: {len(data):,} bytes are not a whole number of {_RECORD}-byte records; it is truncated")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, _RECORD)
    return records[:, 1:], _checked(path, records[:, 0].astype(np.int64))


def _pickled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    # The file names are latin-1 bytes of Python 2; "bytes" reads every such string as it is.
    try:
        fields = _ArraysOnly(io.BytesIO(_read(path)), encoding="bytes").load()
    except Refused:
        raise
    except _Forbidden as error:
        raise Refused(
            f"{path}: refused, since it holds more than arrays ({error})", "The published files hold none of that."
        ) from None
    except Exception:  # what a damaged pickle raises knows no bounds
        raise Refused(f"{path}: truncated or damaged (its pickle cannot be read)") from None
    fields = {_text(key): value for key, value in fields.items()} if isinstance(fields, dict) else {}
    array, labels = fields.get("data"), fields.get("labels")
    array = array.values if isinstance(array, _Array) else None
    good = array is not None and array.ndim == 2 and array.shape[1] == _PIXELS and len(array) > 0
    if array is None or not good or not isinstance(labels, list) or len(labels) != len(array):
        raise Refused(f"{path}: not a CIFAR-10 batch (data uint8 [N, {_PIXELS}] and as many labels)")
    if not all(type(label) is int for label in labels):
        raise Refused(f"{path}: its labels are not whole numbers")
    return array, _checked(path, np.array([min(max(label, -1), 10) for label in labels], dtype=np.int64))


def _checked(path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    wrong = (labels < 0) | (labels >= len(CLASSES))
    if wrong.any():
        raise Refused(f"{path}: record {int(wrong.argmax())} has a label outside of 0 to 9; not a CIFAR-10 file")
    return labels


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


class _Forbidden(pickle.UnpicklingError):
    pass


class _ArraysOnly(pickle._Unpickler):
    """An unpickler that can build arrays of bytes and nothing else.

    It is the one in Python: the one in C takes a memo index of four billion at its word, and allocates.

    numpy's names are answered by the stand-ins below, which take plain values, call nothing, and refuse
    to be altered; so not even numpy's own unpickling sees what the file says.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        raise _Forbidden(f"{module}.{name}")

    def persistent_load(self, pid: object) -> Any:
        raise _Forbidden("a persistent id")


class _Dtype:
    __slots__ = ("code",)

    def __init__(self, code: object) -> None:
        self.code = _text(code)

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment, which mean nothing for single bytes."""


class _Array:
    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[np.uint8] | None = None

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise _Forbidden("an array in an unknown form")
        _, shape, dtype, fortran, raw = state
        if not (isinstance(dtype, _Dtype) and dtype.code in ("u1", "uint8") and isinstance(raw, bytes)) or fortran:
            raise _Forbidden("an array of something else than bytes")
        self.values = np.frombuffer(raw, dtype=np.uint8).reshape(shape)


class _Call:
    """A function that a pickle may call, and may not set attributes of."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _Forbidden("a change to a function")


def _encode(text: object, codec: object) -> bytes:
    # How Python 3 pickles bytes in the old protocols.
    if not isinstance(text, str) or _text(codec) not in ("latin1", "latin-1"):
        raise _Forbidden("a codec")
    return text.encode("latin-1")


_STAND_INS: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _Call(lambda kind, shape, code: _Array()),
    ("numpy._core.multiarray", "_reconstruct"): _Call(lambda kind, shape, code: _Array()),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Call(lambda code, *rest: _Dtype(code)),
    ("_codecs", "encode"): _Call(_encode),
}
