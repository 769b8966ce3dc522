"""Samples made visible: picture grids, scatter plots, films, and the files that hold them.

numpy and Pillow only, so that a trained model can be looked at wherever it can be run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused
from gansmith.run import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's mode for each number of channels."""

VISIBLE = 64
"""Pixels to which the side of a small image is enlarged, so that an 8x8 digit can be seen."""

COLOURS = ((53, 103, 201), (217, 112, 43), (46, 150, 112), (146, 91, 178), (196, 69, 105), (120, 126, 38))
"""Colours of a scatter plot's classes, in turn."""


def picture(image: NDArray[np.uint8]) -> Image:
    """One image as a Pillow picture.

    Args:
        image: uint8 [C, H, W] with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels.
    """
    from PIL import Image

    if image.ndim != 3 or image.dtype != np.uint8 or image.shape[0] not in MODES:
        raise ValueError(f"expected uint8 [C, H, W] with 1 to 4 channels, not {image.dtype} {list(image.shape)}")
    pixels = np.ascontiguousarray(image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0))
    return Image.fromarray(pixels)


def grid(
    images: NDArray[np.uint8],
    columns: int | None = None,
    padding: int | None = None,
    scale: int | None = None,
    background: int | None = None,
) -> Image:
    """Lay images out row by row.

    Samples whose labels take each of K classes in turn show one class per column with `columns=K`.

    Args:
        images: uint8 [N, C, H, W] with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels.
        columns: images in a row; None makes the grid about square.
        padding: pixels between and around images; None is one pixel of the enlarged images, at least 2.
        scale: whole factor of enlargement, nearest neighbour; None enlarges small images to about 64 pixels.
        background: grey level of the padding; None is that of `background_for`, so that white strokes on black
            do not run into it. Transparent where there is an alpha channel.

    Returns:
        A Pillow picture of mode L, LA, RGB or RGBA.

    Raises:
        ValueError: an array of another type or shape, or an empty one.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in MODES or not images.size:
        raise ValueError(f"expected uint8 [N, C, H, W] with 1 to 4 channels, not {images.dtype} {list(images.shape)}")
    n, channels, height, width = images.shape
    columns = min(columns or math.ceil(math.sqrt(n)), n)
    rows = -(-n // columns)
    scale = scale or max(1, VISIBLE // max(height, width))
    padding = max(2, scale) if padding is None else padding
    background = background_for(images) if background is None else background
    big = images.repeat(scale, axis=2).repeat(scale, axis=3)
    cell_h, cell_w = height * scale + padding, width * scale + padding
    canvas = np.full((channels, rows * cell_h + padding, columns * cell_w + padding), background, np.uint8)
    if channels in (2, 4):
        canvas[-1] = 0
    for i, image in enumerate(big):
        top, left = padding + i // columns * cell_h, padding + i % columns * cell_w
        canvas[:, top : top + height * scale, left : left + width * scale] = image
    return picture(canvas)


def side_by_side(made: Mapping[str, NDArray[np.uint8]]) -> Image:
    """One row an example, one column a name; sizes and channels may differ from column to column.

    Args:
        made: uint8 [N, C, H, W] each, by name, in order; smaller ones are enlarged, nearest neighbour.

    Returns:
        A Pillow picture.
    """
    from PIL import Image

    height, width = (max(images.shape[axis] for images in made.values()) for axis in (2, 3))
    channels = max(images.shape[1] for images in made.values())
    mode = "RGBA" if channels in (2, 4) else MODES[channels]
    cells = [
        [
            np.atleast_3d(np.asarray(picture(image).convert(mode).resize((width, height), Image.Resampling.NEAREST)))
            for image in images
        ]
        for images in made.values()
    ]
    rows = np.stack([cell for row in zip(*cells, strict=True) for cell in row]).transpose(0, 3, 1, 2)
    return grid(rows, len(made))


def background_for(images: NDArray[np.uint8]) -> int:
    """The grey level that sets images [N, C, H, W] apart best: black for dark-edged ones, else white."""
    return 0 if np.median(images[:, :, [0, -1], :]) < 32 else 255


def scatter(
    points: NDArray[Any],
    real: NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    *,
    size: int = 512,
    limits: tuple[float, float, float, float] | None = None,
) -> Image:
    """Draw 2-D points over the real ones.

    Args:
        points: [N, 2], drawn in colour.
        real: [M, 2], drawn in grey beneath.
        labels: [N], a class of each point, for its colour.
        size: pixels of the side.
        limits: (left, right, bottom, top) of the plot; None fits `real`, or `points` where there are none.

    Returns:
        A square RGB picture with the same scale on both axes.
    """
    from PIL import Image, ImageDraw

    factor = 2  # drawn at twice the size, so that reducing it smooths the dots
    left, right, bottom, top = limits or _limits(points if real is None else real)
    middle = np.array([(left + right) / 2, (bottom + top) / 2])
    half = max(right - left, top - bottom, 1e-9) / 2
    canvas = Image.new("RGB", (size * factor, size * factor), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)

    def dots(where: NDArray[Any], radius: float, colour_of: NDArray[Any] | None, colour: tuple[int, int, int]) -> None:
        at = ((where - middle) / half * (1, -1) + 1) / 2 * size * factor
        kept = np.isfinite(at).all(axis=1)
        for i in np.flatnonzero(kept):
            x, y = float(at[i, 0]), float(at[i, 1])
            fill = colour if colour_of is None else COLOURS[int(colour_of[i]) % len(COLOURS)]
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    if real is not None:
        dots(real, 1.5 * factor, None, (206, 208, 212))
    dots(points, 1.5 * factor, labels, COLOURS[0])
    return canvas.resize((size, size), Image.Resampling.BOX)


def _limits(points: NDArray[Any]) -> tuple[float, float, float, float]:
    finite = points[np.isfinite(points).all(axis=1)]
    if not len(finite):
        return (-1.0, 1.0, -1.0, 1.0)
    low, high = finite.min(axis=0), finite.max(axis=0)
    margin = 0.15 * max(float((high - low).max()), 1e-9)
    return (float(low[0]) - margin, float(high[0]) + margin, float(low[1]) - margin, float(high[1]) + margin)


# --- films -----------------------------------------------------------------------------------------


def slerp(a: NDArray[Any], b: NDArray[Any], share: float | NDArray[Any]) -> NDArray[Any]:
    """Spherical interpolation between latents, row by row: `a` at share 0, `b` at share 1.

    A straight line between two normal vectors passes through lengths that a generator never saw in
    training; the arc keeps to them. (White, 2016, "Sampling Generative Networks".)

    Args:
        a: [N, D].
        b: [N, D].
        share: in [0, 1]; or [N, 1], one for each row.

    Returns:
        [N, D], in the precision of `a`.
    """
    lengths = np.linalg.norm(a, axis=1, keepdims=True) * np.linalg.norm(b, axis=1, keepdims=True)
    cosine = (a * b).sum(axis=1, keepdims=True) / np.maximum(lengths, 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    flat = sine < 1e-4  # (nearly) parallel: the arc is the line
    safe = np.where(flat, 1, sine)
    from_a = np.where(flat, 1 - share, np.sin((1 - share) * angle) / safe)
    from_b = np.where(flat, share, np.sin(share * angle) / safe)
    return (from_a * a + from_b * b).astype(a.dtype)


def tour(stops: NDArray[np.float32], steps: int) -> Iterator[NDArray[np.float32]]:
    """Latents of a looping film: from stop to stop along arcs, and from the last one back to the first.

    Args:
        stops: [K, N, D], K latents for each of the N samples in a frame.
        steps: frames from one stop to the next.

    Yields:
        K * steps arrays [N, D]; the frame after the last would be the first again.
    """
    for i, here in enumerate(stops):
        there = stops[(i + 1) % len(stops)]
        for step in range(steps):
            # Ease in and out, so that the eye can rest at each stop.
            yield slerp(here, there, 0.5 - 0.5 * float(np.cos(np.pi * step / steps)))


def film(frames: Iterable[Image], path: str | Path, fps: float = 20) -> int:
    """Write a looping film: GIF by Pillow, MP4 by ffmpeg (the optional extra `video`).

    Args:
        frames: Pillow pictures of one size.
        path: ends in `.gif` or `.mp4`.
        fps: frames a second; GIF rounds the time of a frame to hundredths of a second.

    Returns:
        The number of frames.

    Raises:
        Refused: another ending, no frames, or an MP4 without the extra.
    """
    path = Path(path)
    writers = {".gif": _write_gif, ".mp4": _write_mp4}
    if path.suffix.lower() not in writers:
        raise Refused(f"{path}: a film ends in .gif or .mp4")
    check_film(path)
    pictures = [_opaque(frame) for frame in frames]
    if not pictures:
        raise Refused(f"{path}: no frames to write")
    write_atomically(path, lambda p: writers[path.suffix.lower()](p, pictures, fps))
    return len(pictures)


def check_film(path: str | Path) -> None:
    """Refuse an MP4 that cannot be written here, before any frame is made.

    Raises:
        Refused: imageio-ffmpeg is not installed.
    """
    if Path(path).suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg  # pyright: ignore[reportMissingImports]  # noqa: F401
        except ImportError:
            remedy = "`pip install 'gansmith[video]'` brings it; a .gif needs nothing more."
            raise Refused(f"{path}: MP4 needs imageio-ffmpeg, which is not installed", remedy) from None


def _opaque(frame: Image) -> Image:
    """Without transparency, which films do not have: over white."""
    from PIL import Image

    if frame.mode not in ("LA", "RGBA"):
        return frame
    colour = frame.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", frame.size, (255, 255, 255, 255)), colour).convert("RGB")


def _write_gif(path: Path, frames: Sequence[Image], fps: float) -> None:
    first, *others = [frame if frame.mode == "L" else frame.quantize(256) for frame in frames]
    duration = max(20, round(100 / fps) * 10)  # browsers slow down what asks for less than 20 ms
    first.save(path, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)


def _write_mp4(path: Path, frames: Sequence[Image], fps: float) -> None:
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]
    from PIL import Image

    width, height = (side + side % 2 for side in frames[0].size)  # yuv420p halves the colours' sides
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, quality=8, macro_block_size=2, output_params=["-f", "mp4"]
    )
    writer.send(None)
    try:
        for frame in frames:
            frame = frame.convert("RGB")
            even = Image.new("RGB", (width, height), frame.getpixel((0, 0)))  # pyright: ignore[reportArgumentType]
            even.paste(frame)
            writer.send(even.tobytes())
    finally:
        writer.close()


# --- files -----------------------------------------------------------------------------------------


def save_image(path: str | Path, image: Image) -> None:
    """Write a picture atomically, in the format that the path's ending names.

    Raises:
        Refused: an ending that is no picture format, or a disk that cannot be written.
    """
    from PIL import Image

    path = Path(path)
    known = Image.registered_extensions()
    format_ = known.get(path.suffix.lower())
    if format_ is None or format_ not in Image.SAVE:
        raise Refused(f"{path}: {path.suffix or 'no ending'} is no picture format", "Try .png, .jpg or .webp.")
    if format_ == "JPEG":
        image = _opaque(image)
    write_atomically(path, lambda p: image.save(p, format=format_))


def save_npz(path: str | Path, examples: NDArray[Any], labels: NDArray[Any] | None = None) -> None:
    """Write samples to an `.npz` atomically.

    Args:
        path: the file.
        examples: uint8 [N, C, H, W], stored as `images`; anything else is stored as `points`.
        labels: int64 [N], stored as `labels`, or float32 [N, V], stored as `conditions`; None stores none.
    """
    arrays = {"images" if examples.dtype == np.uint8 else "points": examples}
    if labels is not None:
        arrays["labels" if labels.ndim == 1 else "conditions"] = labels

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # an open file, since numpy puts .npz behind a name
            np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]

    write_atomically(Path(path), write)


def save_singles(
    folder: str | Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None = None,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write each image to a file of its own, `seed0-000012.png` or `seed0-000012-cat.png`.

    Args:
        folder: made where it does not exist.
        images: uint8 [N, C, H, W].
        labels: int64 [N]; None leaves them out of the names.
        classes: a name for each label; None writes the number.
        seed: of the samples, for the names.

    Returns:
        The files, in order.
    """
    written = []
    for i, image in enumerate(images):
        label = ""
        if labels is not None:
            name = str(classes[labels[i]] if classes else labels[i])
            label = "-" + (re.sub(r"[^\w.]+", "_", name).strip("._") or str(labels[i]))
        path = Path(folder) / f"seed{seed}-{i:06d}{label}.png"
        save_image(path, picture(image))
        written.append(path)
    return written
