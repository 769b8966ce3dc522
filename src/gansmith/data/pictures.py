"""One picture: bytes in, a uint8 array of the wanted size and channels out."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused

if TYPE_CHECKING:
    from PIL.Image import Image

    from gansmith.recipe import Data

CHANNELS = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGB with alpha"}
"""What each number of channels is called."""

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Formats that Pillow decodes itself. EPS and its like would start another program on the user's file.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI")
_SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".qoi"),
)
_MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"qoif")


class Unreadable(Exception):
    """A picture that cannot be used; the text says why."""


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        array: uint8 [C, H, W], fitted.
        size: (height, width) of the source, upright.
        channels: of the source, 1 to 4.
        frames: 1, or more where the file is an animation (the first frame is used).
    """

    array: NDArray[np.uint8]
    size: tuple[int, int]
    channels: int
    frames: int


def named_as_picture(name: str) -> bool:
    """Whether a file's name ends as a picture's does."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def starts_as_picture(head: bytes) -> bool:
    """Whether the first 16 bytes of a file are those of a picture."""
    return head.startswith(_MAGICS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] == b"ftypavif"


@contextmanager
def quietly() -> Iterator[None]:
    """Silence Pillow's warnings about odd but readable files, and make an error of its bomb warning.

    Entered once around a whole pass, by the thread that starts it: the filters belong to the process.
    """
    from PIL import Image

    # Pillow also logs what it finds wrong; without a handler of its own, that would go to the terminal.
    log, silence = logging.getLogger("PIL"), logging.NullHandler()
    log.addHandler(silence)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        log.removeHandler(silence)


@dataclass(frozen=True)
class Decoder:
    """Makes an example of a picture: turned upright, converted, fitted.

    Resizing is Pillow's LANCZOS, which widens its filter when it shrinks (antialiased), and weights
    colour by alpha. 16-bit grey becomes 8-bit as round(v / 257), so that 65535 is 255. (Pillow itself
    reads 16-bit colour by its high byte.)

    Attributes:
        size: (height, width) wanted, or None for the source's.
        fit: `crop`, `pad` or `stretch`, as in a recipe.
        channels: 1 to 4, or None for the source's.
        background: RGB put under alpha where the channels have none, and into padding (which is
            transparent where they have).
    """

    size: tuple[int, int] | None = None
    fit: str = "crop"
    channels: int | None = None
    background: tuple[int, int, int] = (255, 255, 255)

    def __call__(self, data: bytes) -> Picture:
        """Decode a whole file.

        Raises:
            Unreadable: it is empty, truncated, no picture, or too large to be an honest one.
        """
        if not data:
            raise Unreadable("is empty")
        try:
            return self._decode(data)
        except Unreadable:
            raise
        except Exception as error:
            # Any error at all: a damaged file reaches the deepest corners of a decoder, and what comes
            # out of there is struct.error, SyntaxError, IndexError, zlib.error and more.
            raise Unreadable(why(error)) from None

    def _decode(self, data: bytes) -> Picture:
        from PIL import Image, ImageOps

        Image.init()
        formats = [name for name in _FORMATS if name in Image.OPEN]
        with Image.open(io.BytesIO(data), formats=formats) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise Unreadable(f"is {image.width}x{image.height}, more than the {limit:,} pixels taken as safe")
            frames = getattr(image, "n_frames", 1)
            image.load()
            upright = to_eight_bit(ImageOps.exif_transpose(image), image.format)
        channels = channels_of(upright)
        size = (upright.height, upright.width)
        return Picture(to_array(self.fitted(upright, self.channels or channels)), size, channels, frames)

    def fitted(self, image: Image, channels: int) -> Image:
        """The image with this many channels, at the decoder's size."""
        return _resized(_converted(image, channels, self.background), self)

    def refit(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fit pictures that are already decoded, uint8 [N, C, H, W]; the array itself where nothing changes."""
        from PIL import Image

        n, c, h, w = array.shape
        channels, (height, width) = self.channels or c, self.size or (h, w)
        if (channels, height, width) == (c, h, w):
            return array
        out = np.empty((n, channels, height, width), dtype=np.uint8)
        for i, one in enumerate(array):
            image = Image.fromarray(np.ascontiguousarray(one[0] if c == 1 else one.transpose(1, 2, 0)))
            out[i] = to_array(self.fitted(image, channels))
        return out


def decoder(spec: Data) -> Decoder:
    """The decoder that a recipe's data options ask for.

    Raises:
        Refused: no such colour, or a size out of range.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(spec.background)[:3]
    except ValueError:
        raise Refused(
            f"data.background: {spec.background!r} is no colour", "A name such as white, or #rrggbb."
        ) from None
    size = (spec.resolution, spec.resolution) if isinstance(spec.resolution, int) else spec.resolution
    if size is not None and not all(1 <= side <= 4096 for side in size):
        raise Refused(f"data.resolution: {size[0]}x{size[1]} is out of range", "Each side is 1 to 4096 pixels.")
    return Decoder(size, spec.fit, spec.channels, (red, green, blue))


def channels_of(image: Image) -> int:
    """How many channels an 8-bit image carries, transparency by palette or key colour included."""
    alpha = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La")
    return (1 if grey else 3) + alpha


def to_eight_bit(image: Image, kind: str | None) -> Image:
    """The image, which came out of a file of this kind, with 8 bits a channel.

    Raises:
        Unreadable: its values have no agreed range (32-bit integers, floats).
    """
    from PIL import Image

    if image.mode in ("LAB", "HSV"):
        raise Unreadable(f"is in {image.mode} colour, which is not read")
    deep = image.mode.startswith("I;16") or (image.mode == "I" and kind in ("PNG", "PPM"))
    if deep:
        return Image.fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise Unreadable("has 32-bit values, for which no black and white are agreed")
    return image


def to_array(image: Image) -> NDArray[np.uint8]:
    """An 8-bit image as uint8 [C, H, W]."""
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _converted(image: Image, channels: int, background: tuple[int, int, int]) -> Image:
    from PIL import Image

    if channels in (1, 3) and channels_of(image) in (2, 4):
        under = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(under, image.convert("RGBA")).convert("RGB")
    if image.mode == _MODES[channels]:
        return image
    if channels == 2 and image.mode != "L" and channels_of(image) != 2:
        # Pillow has no one step from a palette to grey with alpha.
        image = image.convert("RGBA")
    return image.convert(_MODES[channels])


def _resized(image: Image, to: Decoder) -> Image:
    from PIL import Image

    if to.size is None or to.size == (image.height, image.width):
        return image
    height, width = to.size
    across, down = width / image.width, height / image.height
    if to.fit == "crop":
        # The cut is taken on the source, in fractions of its pixels, so one filter does both.
        scale = max(across, down)
        left, top = (image.width - width / scale) / 2, (image.height - height / scale) / 2
        box = (
            max(left, 0.0),
            max(top, 0.0),
            min(image.width - left, image.width),
            min(image.height - top, image.height),
        )
        return image.resize((width, height), Image.Resampling.LANCZOS, box=box)
    if to.fit == "stretch":
        return image.resize((width, height), Image.Resampling.LANCZOS)
    scale = min(across, down)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    ground = Image.new("RGBA", (width, height), (*to.background, 0 if image.mode in ("LA", "RGBA") else 255))
    ground = ground.convert(image.mode)
    ground.paste(image.resize(inner, Image.Resampling.LANCZOS), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return ground


def why(error: Exception) -> str:
    """What a decoder's error says about the file, in words that follow its name."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "is not a picture, or is damaged at its start"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"has more than the {Image.MAX_IMAGE_PIXELS:,} pixels taken as safe"
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or "not enough" in text or isinstance(error, EOFError):
        return "is truncated"
    return "is damaged"
