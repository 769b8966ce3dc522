"""Pictures as people keep them: 16 bits, alpha, colour profile and EXIF are read, and written in the same format."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.pictures import Unreadable, named_as_picture, quietly, starts_as_picture, why
from gansmith.data.stores import LARGEST_FILE
from gansmith.errors import Refused
from gansmith.run import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8 | np.uint16]

QUALITY = 95
"""Of JPEG, WebP and AVIF files."""

_LOSSY = ("JPEG", "WEBP", "AVIF", "MPO")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_DESCRIBES = {270, 271, 272, 282, 283, 296, 305, 306, 315, 33432}
"""Tags of a description, the camera, the pixels of an inch, the program, the date, the artist and the copyright."""
_INNER = (34665, 34853)
"""Where the camera's settings and the place on Earth are."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Photo:
    """A picture as its file has it.

    Attributes:
        pixels: uint8 or uint16 [H, W, C] as they are stored, C of 1 to 4: an orientation that EXIF tells stays there.
        kind: Pillow's name of the format.
        icc, exif: as bytes, or None.
    """

    pixels: Pixels
    kind: str = "PNG"
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits a channel."""
        return self.pixels.dtype == np.uint16


def read(path: Path) -> Photo:
    """Read a picture.

    16 bits are kept of grey pictures, and of PNG in colour. Palettes become RGB, and CMYK too, without its profile.

    Raises:
        Unreadable: it is no picture, damaged, or too large to be an honest one.
    """
    from PIL import Image

    try:
        if not path.is_file():
            raise Unreadable("is no file")
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable(f"is larger than {LARGEST_FILE >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from None
    if not data:
        raise Unreadable("is empty")
    if not starts_as_picture(data[:16]) and not named_as_picture(path.name):
        raise Unreadable("is not a picture")
    try:
        with quietly(), Image.open(io.BytesIO(data)) as image:
            kind, info = image.format or "PNG", dict(image.info)
            pixels = _deep(data, image) if _is_deep(data, image) else _plain(image, kind)
            exif = _told_of(image, kind)
            cmyk = image.mode == "CMYK"
    except Unreadable:
        raise
    except Exception as error:  # as in data/pictures.py: a damaged file raises anything at all
        raise Unreadable(why(error)) from None
    return Photo(pixels, kind, None if cmyk else info.get("icc_profile"), exif)


def _told_of(image: Image, kind: str) -> bytes | None:
    """A picture's EXIF; of a TIFF file, where it lies among what says how the pixels are stored, without that."""
    exif = image.getexif()
    if kind == "TIFF":  # which Pillow has turned upright, besides
        from PIL.Image import Exif

        kept = Exif()
        for tag in _DESCRIBES & set(exif):
            kept[tag] = exif[tag]
        for place in _INNER:
            if inner := exif.get_ifd(place):
                kept[place] = inner
        exif = kept
    return exif.tobytes() if len(exif) else None


def _plain(image: Image, kind: str) -> Pixels:
    image.load()
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise Unreadable(f"has pixels of a kind that is not read ({image.mode})")
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[:, :, None]
    alpha = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La")
    mode = _MODES[(1 if grey else 3) + alpha]
    if image.mode != mode:
        # Pillow has no one step from grey with a clear colour to grey with alpha.
        image = image.convert("RGBA") if mode == "LA" and image.mode in ("1", "L") else image
        image = image.convert(mode)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _is_deep(data: bytes, image: Image) -> bool:
    """Whether it is a PNG of 16 bits with more than grey: which Pillow reads by the high bytes alone."""
    return image.format == "PNG" and data[24] == 16 and data[25] in (2, 4, 6) and "transparency" not in image.info


def _deep(data: bytes, image: Image) -> Pixels:
    """A PNG of 16 bits in colour or with alpha: decoded twice, for the high bytes and for the low ones.

    Where the low byte lies first in a file, Pillow takes each second byte for the high one: told that of a PNG, whose
    high byte lies first, it gives the low ones.
    """
    from PIL import Image

    kind = data[25]
    if kind == 4:  # grey with alpha: four bytes a pixel, which pass for 8-bit RGBA
        return _told(Image.open(io.BytesIO(data)), "RGBA", "RGBA").view(">u2").astype(np.uint16)
    mode = {2: "RGB", 6: "RGBA"}[kind]
    high, low = (_told(Image.open(io.BytesIO(data)), mode, f"{mode};16{end}") for end in "BL")
    return high.astype(np.uint16) * 256 + low


def _told(image: Any, mode: str, raw: str) -> NDArray[np.uint8]:
    with image:
        image._mode = mode
        image.tile = [tile._replace(args=raw) for tile in image.tile]
        image.load()
        return np.asarray(image, dtype=np.uint8)


def write(path: Path, photo: Photo, bands: Iterable[Pixels], size: tuple[int, int]) -> None:
    """Write a picture whole or not at all, in the format of `photo` with its profile and EXIF.

    Args:
        path: where to.
        photo: what it was made of.
        bands: its rows, from the top, some at a time: [rows, W, C]. A PNG is written as they come, so that it need
            not fit in memory; of any other format they are gathered.
        size: height and width of all of it.

    Raises:
        Refused: the disk cannot be written, or the format cannot hold it.
    """

    def fill(temporary: Path) -> None:
        if photo.kind == "PNG":
            with open(temporary, "wb") as file:
                _write_png(file, photo, bands, size)
            return
        from PIL import Image

        pixels = np.concatenate(list(bands))
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        more: dict[str, Any] = {"quality": QUALITY} if photo.kind in _LOSSY else {}
        if photo.icc is not None:
            more["icc_profile"] = photo.icc
        if photo.exif is not None and photo.kind in (*_LOSSY, "TIFF"):
            more["exif"] = photo.exif
        kind = "JPEG" if photo.kind == "MPO" else photo.kind
        try:
            image.save(temporary, format=kind, **more)
        except (KeyError, ValueError) as error:
            raise Refused(f"{path}: cannot be written as {kind} ({error})", "Give --out a name in .png.") from None

    write_atomically(path, fill)


def _write_png(file: IO[bytes], photo: Photo, bands: Iterable[Pixels], size: tuple[int, int]) -> None:
    """PNG (ISO/IEC 15948), band by band: each row as its difference from the one above."""

    def chunk(name: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))

    packer, above, begun = zlib.compressobj(6), None, False
    file.write(_PNG)
    for band in bands:
        if not begun:
            colour = {1: 0, 2: 4, 3: 2, 4: 6}[band.shape[2]]
            depth = 8 * band.dtype.itemsize
            chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, 0))
            if photo.icc is not None:
                chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc))
            if photo.exif is not None:
                chunk(b"eXIf", photo.exif.removeprefix(b"Exif\0\0"))
            begun = True
        rows = np.ascontiguousarray(band.astype(f">u{band.dtype.itemsize}")).view(np.uint8).reshape(len(band), -1)
        above = np.zeros_like(rows[:1]) if above is None else above
        apart = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:].copy()
        data = packer.compress(np.concatenate([np.full((len(rows), 1), 2, np.uint8), apart], 1).tobytes())
        if data:
            chunk(b"IDAT", data)
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")
