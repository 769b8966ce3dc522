"""Files that the tests of data read, made here and nowhere else."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SHAPES = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}


def pixels(mode: str = "RGB", height: int = 8, width: int = 8, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, *SHAPES[mode]), dtype=np.uint8)


def encoded(array: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def picture(path: Path, mode: str = "RGB", height: int = 8, width: int = 8, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels(mode, height, width, seed)))
    return path


def outcome(call: Callable[[], Any], error: type[Exception]) -> Any:
    """What a call gives, or the error of this kind that it raises; any other error is the test's failure."""
    try:
        return call()
    except error as raised:
        return raised


def idx(array: np.ndarray, code: int = 8) -> bytes:
    sides = b"".join(int(side).to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, code, array.ndim]) + sides + array.astype(np.uint8).tobytes()


def idx_set(folder: Path, split: str = "train", count: int = 6, *, zipped: bool = True, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    stem = {"train": "train", "test": "t10k"}[split]
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 10
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        data = idx(array)
        if zipped:
            (folder / f"{stem}-{name}-ubyte.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / f"{stem}-{name}-ubyte").write_bytes(data)


def cifar_records(count: int, seed: int = 0) -> np.ndarray:
    records = np.random.default_rng(seed).integers(0, 256, (count, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    return records
