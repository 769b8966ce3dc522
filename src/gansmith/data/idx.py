"""The IDX format of MNIST (LeCun, Cortes and Burges, 1998), plain or gzipped.

A file is: two zero bytes, a type (8: unsigned bytes), the number of axes; each axis as a big-endian
32-bit number; then the values in C order.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused

_LARGEST = 4 << 30


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The unsigned bytes of an IDX file.

    Args:
        path: the file; it is gunzipped where its first bytes say so, whatever its name.
        axes: how many axes are expected: 3 for images, 1 for labels.

    Returns:
        uint8 with that many axes.

    Raises:
        Refused: unreadable, not IDX, of another type or number of axes, truncated, or too long.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not zipped:
                return _parse(path, file, axes)
            with gzip.GzipFile(fileobj=file) as inside:
                return _parse(path, inside, axes)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Refused(f"{path}: truncated or damaged (its gzip stream ends badly)") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None


def _parse(path: Path, file: IO[bytes] | gzip.GzipFile, axes: int) -> NDArray[np.uint8]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise Refused(f"{path}: not an IDX file (it does not start with its magic number)")
    if head[2] != 8:
        raise Refused(f"{path}: its values are not unsigned bytes (IDX type 0x{head[2]:02x}, not 0x08)")
    if head[3] != axes:
        kind = {1: "labels (1 axis)", 3: "grey images (3 axes)"}.get(axes, f"{axes} axes")
        raise Refused(f"{path}: has {head[3]} axes, where {kind} were expected")
    sides = file.read(4 * axes)
    if len(sides) < 4 * axes:
        raise Refused(f"{path}: truncated within its header")
    shape = tuple(int(side) for side in np.frombuffer(sides, dtype=">u4"))
    size = math.prod(shape)
    if not 0 < size <= _LARGEST:
        raise Refused(f"{path}: its header says {'x'.join(map(str, shape))}, which cannot be")
    # One byte more than is due tells a file that is too long; a header that lies costs no memory.
    values = file.read(size + 1)
    if len(values) != size:
        was = "more" if len(values) > size else f"only {len(values):,}"
        raise Refused(f"{path}: its header promises {size:,} values, but there are {was}")
    return np.frombuffer(bytearray(values), dtype=np.uint8).reshape(shape)
