"""Pictures made of pictures, for pairs without data of one's own: edges, grey, blur and mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the lightness (ITU-R BT.601)."""

SMOOTH, LOW, HIGH = 1.0, 0.06, 0.14
"""Of `edges`: the deviation of the filter, in pixels; and slopes, in black to white a pixel, from which a line goes on
and from which it begins."""

BLUR = 2.0
"""Deviation of `blur`, in pixels."""

Picture = NDArray[np.uint8]
"""uint8 [C, H, W]."""


def grey(picture: Picture) -> Picture:
    """The lightness, [1, H, W]; what is transparent is white."""
    return np.rint(_light(picture)).astype(np.uint8)[None]


def blur(picture: Picture) -> Picture:
    """The picture through a Gaussian of deviation `BLUR`, mirrored at its edges; as many channels."""
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(picture.astype(np.float64), (0, BLUR, BLUR), mode="reflect")
    return np.rint(soft).clip(0, 255).astype(np.uint8)


def edges(picture: Picture) -> Picture:
    """Lines where a colour is steepest, black on white, [1, H, W].

    Canny, 1986 (IEEE TPAMI 8(6)), at each pixel on the channel that is steepest there: smooth, keep what is steepest
    along its own slope, and of that the lines that are steep somewhere.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.ndimage import label as parted

    soft = gaussian_filter(_over_white(picture) / 255, (0, SMOOTH, SMOOTH), mode="nearest")
    down, right = np.gradient(soft, axis=(1, 2))
    steepest = np.hypot(down, right).argmax(0)[None]
    down, right = (np.take_along_axis(each, steepest, 0)[0] for each in (down, right))
    slope = np.hypot(down, right)
    # The slope's direction, in eighths of a turn; opposite ones are alike.
    sector = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(int) % 4
    rim = np.pad(slope, 1)
    height, width = slope.shape
    crest = np.zeros_like(slope, dtype=bool)
    for number, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = rim[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = rim[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        crest |= (sector == number) & (slope > ahead) & (slope >= behind)
    found: Any = parted(crest & (slope >= LOW), structure=np.ones((3, 3)))
    lines, count = found
    begun = np.zeros(count + 1, dtype=bool)
    begun[np.unique(lines[crest & (slope >= HIGH)])] = True
    begun[0] = False
    return np.where(begun[lines], 0, 255).astype(np.uint8)[None]


def mask(picture: Picture) -> Picture:
    """What stands before the ground, white on black, [1, H, W].

    By transparency where the picture has it; else by Otsu's threshold of the distance from the colour of the rim.
    """
    if len(picture) in (2, 4):
        return np.where(picture[-1] >= 128, 255, 0).astype(np.uint8)[None]
    wide = picture.astype(np.float64)
    rim = np.concatenate([wide[:, 0], wide[:, -1], wide[:, :, 0], wide[:, :, -1]], axis=1)
    far = np.sqrt(((wide - np.median(rim, axis=1)[:, None, None]) ** 2).mean(0))
    return np.where(far > _otsu(far), 255, 0).astype(np.uint8)[None]


def _over_white(picture: Picture) -> NDArray[np.float64]:
    """The colours, [1 or 3, H, W]; what is transparent is white."""
    wide = picture.astype(np.float64)
    if len(wide) in (1, 3):
        return wide
    alpha = wide[-1] / 255
    return wide[:-1] * alpha + 255 * (1 - alpha)


def _light(picture: Picture) -> NDArray[np.float64]:
    colours = _over_white(picture)
    return np.tensordot(LUMA, colours, 1) if len(colours) == 3 else colours[0]


def _otsu(values: NDArray[np.float64]) -> float:
    """The threshold that parts values into two groups of the least spread (Otsu, 1979)."""
    counts, ends = np.histogram(values, 256)
    middles = (ends[:-1] + ends[1:]) / 2
    below = counts.cumsum()
    above = values.size - below
    total = (counts * middles).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(ends[1 + np.nanargmax(apart[:-1])]) if values.max() > values.min() else float(values.max())


KINDS: dict[str, Callable[[Picture], Picture]] = {"edges": edges, "grey": grey, "blur": blur, "mask": mask}
"""What can be made, by name."""


@dataclass(frozen=True)
class Derived:
    """Reads the i-th picture, and makes another of it; picklable.

    Attributes:
        read: i → uint8 [C, H, W].
        kind: of `KINDS`.
    """

    read: Callable[[int], Picture]
    kind: str

    def __call__(self, i: int) -> Picture:
        """The i-th derived picture."""
        return KINDS[self.kind](self.read(i))
