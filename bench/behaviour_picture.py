"""Draw what bench/behaviour.py measured: docs/pictures/metrics-mnist.svg and metrics-cifar10.svg.

    python bench/behaviour_picture.py --data-root DIR [--data mnist|cifar10]

A row for each metric and a column for each degradation. In a cell, the response against the strength, weakest
strength first, on a logarithmic scale: up is worse, the middle line is no change, and its colour is the verdict.
Above each column, four fakes at the strength that a person sees, and four at the strongest.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from behaviour import DEGRADATIONS, SIZES, Degradation, Source, open_source
from common import HERE, RESULTS, flags
from PIL import Image
from svg import FAINT, INK, PAPER, text_at

CELL, ROW, LEFT, TOP, RIGHT = 54, 26, 134, 184, 8
THUMB = 46
FULL = 300.0
"""The response, in spreads, at which a curve meets its cell's edge."""

COLOURS = {
    "sees": ("#cfe3f5", "#0b62a8"),
    "late": ("#eaf3fb", "#5b9bd0"),
    "blind": ("#ececec", "#8a8a8a"),
    "too good": ("#fde6d0", "#c76a10"),
    "wrong": ("#f7c9c0", "#b3261e"),
}
"""Of a cell's ground, and of its curve."""
MEANINGS = {
    "sees": "sees it where a person does",
    "late": "sees it later",
    "blind": "does not see it",
    "too good": "leaves the reals' value for the better side",
    "wrong": "scores it as better",
}


def draw(name: str, rows: Sequence[Mapping[str, Any]], source: Source) -> str:
    """The picture of one data set, as SVG."""
    metrics = [row for row in rows if row["metric"] != "(strengths)"]
    columns = [one for one in DEGRADATIONS if one.name in rows[0]]
    gap = ROW // 2  # between the metrics of the two extractors
    width, height = LEFT + CELL * len(columns) + RIGHT, TOP + ROW * len(metrics) + gap + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="11" fill="{INK}" role="img">',
        f"<title>How each metric answers to each degradation of {escape(name)}</title>",
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        text_at(8, 18, {"mnist": "MNIST", "cifar10": "CIFAR-10"}.get(name, name), size=15, weight="bold"),
        text_at(8, 62 + THUMB / 2, "where a person sees it", colour=FAINT),
        text_at(8, 64 + THUMB * 1.5 + 4, "strongest", colour=FAINT),
        *_legend(LEFT + 8, 9),
    ]
    for i, one in enumerate(columns):
        out += _head(LEFT + CELL * i, one, source)
    top = TOP
    for before, row in zip([None, *metrics], metrics, strict=False):
        pixels = row["metric"].endswith("-pixels")
        if before is not None and pixels and not before["metric"].endswith("-pixels"):
            top += gap
        out.append(text_at(LEFT - 8, top + ROW / 2 + 4, row["metric"].replace("-2-scales", ""), anchor="end"))
        out += [_cell(LEFT + CELL * i, top, row[one.name], one) for i, one in enumerate(columns)]
        top += ROW
    note = (
        "Curves: weakest strength to strongest, up is worse, the middle line is what real images score; a dot marks "
        "the strength that a person sees. No suffix: in a classifier's features."
    )
    out.append(text_at(8, height - 12, note, colour=FAINT))
    return "\n".join([*out, "</svg>"]) + "\n"


def _legend(x: float, y: float) -> list[str]:
    out = []
    for verdict, meaning in MEANINGS.items():
        ground, ink = COLOURS[verdict]
        out.append(f'<rect x="{x}" y="{y}" width="12" height="11" fill="{ground}" stroke="{ink}"/>')
        out.append(text_at(x + 17, y + 10, meaning, size=10))
        x += 26 + 4.9 * len(meaning)
    return out


def _head(x: float, one: Degradation, source: Source) -> list[str]:
    """The column's name, and fakes at two strengths."""
    lines = one.name.replace("copies of ", "copies: ").split(" ", 1)
    out = [
        text_at(x + CELL / 2, (34 if len(lines) > 1 else 40) + 12 * k, t, anchor="middle") for k, t in enumerate(lines)
    ]
    for k, strength in enumerate((one.seen, one.strengths[-1])):
        place = f'x="{x + (CELL - THUMB) / 2:g}" y="{58 + k * (THUMB + 4)}" width="{THUMB}" height="{THUMB}"'
        out.append(f'<image {place} image-rendering="pixelated" href="{_four(one, source, strength)}"/>')
    marks = " ".join(f"{s:g}".lstrip("0") for s in one.strengths)
    out.append(text_at(x + CELL / 2, 64 + 2 * THUMB + 11, marks, size=8, colour=FAINT, anchor="middle"))
    unit = one.unit.replace("standard deviation of 255", "of 255").replace("share lost", "share")
    out.append(
        text_at(
            x + CELL / 2, 64 + 2 * THUMB + 21, unit.replace("of contrast", ""), size=8, colour=FAINT, anchor="middle"
        )
    )
    return out


def _four(one: Degradation, source: Source, strength: float) -> str:
    """Four fakes in a square, as a data URL; of wrong labels, fakes that should all be of class 0."""
    fakes, clean = one(source, 0, strength), source.clean(0)
    wanted = np.arange(len(fakes.labels))
    if one.name == "wrong labels":
        wanted = np.flatnonzero(fakes.labels == 0)
    elif one.name == "repeats":  # the first two, and where they come again
        wanted = np.add.outer(np.array([0, -(-source.n // int(strength))]), np.arange(2)).ravel()
    elif one.name in ("mirrored", "spliced", "outliers"):  # two that are changed, and two that are not, if any
        changed = (fakes.images != clean.images).any((1, 2, 3))
        wanted = np.concatenate(
            [np.flatnonzero(changed)[:2], np.flatnonzero(~changed)[:2], np.flatnonzero(changed)[2:]]
        )
    four = fakes.images[wanted[:4]]
    size = four.shape[2:]
    sheet = np.full((four.shape[1], 2 * size[0] + 2, 2 * size[1] + 2), 255, np.uint8)
    for k, image in enumerate(four):
        y, x = (k // 2) * (size[0] + 2), (k % 2) * (size[1] + 2)
        sheet[:, y : y + size[0], x : x + size[1]] = image
    held = io.BytesIO()
    picture = Image.fromarray(sheet[0] if len(sheet) == 1 else sheet.transpose(1, 2, 0))
    form = "PNG" if len(sheet) == 1 else "JPEG"  # a PNG of colours is thrice as large
    picture.save(held, form, optimize=True, quality=80)
    return f"data:image/{form.lower()};base64," + base64.b64encode(held.getvalue()).decode()


def _cell(x: float, y: float, text: str, one: Degradation) -> str:
    verdict, told = text.split(": ")
    responses = [0.0, *map(float, told.split())]
    ground, ink = COLOURS[verdict]
    half, step = (ROW - 6) / 2, (CELL - 14) / (len(responses) - 1)
    points = [(x + 7 + step * i, y + ROW / 2 - half * _height(r)) for i, r in enumerate(responses)]
    seen = points[1 + one.strengths.index(one.seen)]
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    middle = y + ROW / 2
    return (
        f'<rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{ROW - 2}" fill="{ground}"/>'
        f'<path d="M{x + 7} {middle:g}H{x + CELL - 7}" stroke="{INK}" stroke-opacity=".25" stroke-width=".7"/>'
        f'<polyline points="{line}" fill="none" stroke="{ink}" stroke-width="1.6" stroke-linejoin="round"/>'
        f'<circle cx="{seen[0]:.1f}" cy="{seen[1]:.1f}" r="2" fill="{ink}"/>'
    )


def _height(response: float) -> float:
    """Place of a response between −1 and 1: the logarithm, linear about zero."""
    share = math.asinh(response) / math.asinh(FULL)
    return max(-1.0, min(1.0, share))


def main() -> None:
    """Write the pictures."""
    parser = flags(__doc__)
    parser.add_argument("--data", choices=tuple(SIZES), action="append", help="both by default")
    args = parser.parse_args()
    folder = Path(HERE).parent / "docs" / "pictures"
    for name in args.data or SIZES:
        file = RESULTS / f"behaviour-{name}.json"
        if not file.is_file():
            raise SystemExit(f"{file}: no results; run bench/behaviour.py --data {name} first")
        rows = json.loads(file.read_text(encoding="utf-8"))[-1]["rows"]
        source, _, _ = open_source(name, args.data_root)
        out = folder / f"metrics-{name}.svg"
        out.write_text(draw(name, rows, source), encoding="utf-8")
        print(f"{out.relative_to(folder.parent.parent)}: {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
