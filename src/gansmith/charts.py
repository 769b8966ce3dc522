"""Line charts as inline SVG: numbers in, markup out.

Colours come from the page's style sheet by class (`s0`, `s1`, …), so that a chart follows light and dark.
"""

from __future__ import annotations

import json
import math
import statistics
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 38
POINTS = 240
"""Points that a curve is reduced to: about one for two pixels."""

SERIES = 6
"""Colours that the style sheet has."""

Place = Callable[[float], float]
"""From a value to its place in the picture."""


@dataclass(frozen=True)
class Curve:
    """A curve reduced for drawing.

    Attributes:
        x: middle of each bin.
        y: mean in each bin.
        low, high: the extremes in each bin, or the given band.
    """

    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def forward(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that count where the clock went back (a training was rolled back and played again)."""
    kept: list[tuple[float, float]] = []
    for x, y in points:
        while kept and kept[-1][0] >= x:
            kept.pop()
        kept.append((x, y))
    return kept


def reduce(points: Sequence[tuple[float, float]], bins: int = POINTS) -> Curve:
    """Mean and extremes over consecutive points, so that at most `bins` are drawn."""
    curve = Curve([], [], [], [])
    size = max(1, math.ceil(len(points) / bins))
    for at in range(0, len(points), size):
        xs, ys = zip(*points[at : at + size], strict=True)
        curve.x.append(sum(xs) / len(xs))
        curve.y.append(sum(ys) / len(ys))
        curve.low.append(min(ys))
        curve.high.append(max(ys))
    return curve


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from `low` to `high`, about `about` of them."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [0.0 if i == 0 else i * step for i in range(first, last + 1)]


def short(value: float) -> str:
    """A number in a few characters: `1.5M`, `60k`, `0.25`, `2e-4`."""
    size = abs(value)
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= factor * 0.9995:
            return f"{value / factor:.3g}{letter}"
    if size and size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.3g}"


def extent(curves: Sequence[Curve]) -> tuple[float, float]:
    """The range of the vertical axis: all that is drawn, but for the odd spike.

    A loss often starts with a spike a hundred times its later height; drawn in full, it would flatten
    the rest. So the range covers the middle 98% of the values, and the spikes only where they are near.
    """
    values = sorted(y for curve in curves for y in curve.y)
    if not values:
        return (0.0, 1.0)
    trim = len(values) // 100 if len(values) >= 20 else 0
    low, high = values[trim], values[-1 - trim]
    span = high - low or abs(high) or 1.0
    low = values[0] if values[0] > low - 0.5 * span else low
    high = values[-1] if values[-1] < high + 0.5 * span else high
    if low > 0 and low < 0.4 * high:
        low = 0.0  # a baseline at zero where it costs little room
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return (low if low == 0.0 else low - margin, high + margin)


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x_label: str = "images",
    bands: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    marks: bool = False,
    from_zero: bool = False,
    level: float | None = None,
) -> str:
    """Draw curves over the clock.

    Args:
        series: (images, value) of each curve by its name; values must be finite. An empty one keeps its colour.
        title: what the chart shows, for readers of the screen.
        x_label: what the horizontal axis counts.
        bands: (low, high) of each point of a curve, by the curve's name; None shows the extremes where
            points were drawn together.
        marks: draw a dot at each point, for curves of few points.
        from_zero: begin the vertical axis at zero, for amounts.
        level: a value to compare with, drawn as a dashed line.

    Returns:
        An SVG element, or "" where there is nothing to draw.
    """
    curves = {name: _curve(forward(points), (bands or {}).get(name)) for name, points in series.items() if points}
    if not curves:
        return ""
    compared = [] if level is None else [Curve([0.0], [level], [], [])]
    low, high = extent([*curves.values(), *_band_ends(curves, bands), *compared])
    low = 0.0 if from_zero else low
    start = min(0.0, min(c.x[0] for c in curves.values()))
    stop = max(x for points in series.values() for x, _ in forward(points))
    stop = stop if stop > start else start + 1

    def px(x: float) -> float:
        return LEFT + (x - start) / (stop - start) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_axes(ticks(start, stop, 5), ticks(low, high), px, py, x_label)]
    clip = f"clip{zlib.crc32(repr((title, list(series))).encode())}"  # two charts of a page must not share it
    parts.append(
        f'<clipPath id="{clip}"><rect x="{LEFT}" y="{TOP - 2}" width="{WIDTH - LEFT - RIGHT + 4}" '
        f'height="{HEIGHT - TOP - BOTTOM + 4}"/></clipPath><g clip-path="url(#{clip})">'
    )
    if level is not None:
        at = f"{py(level):.1f}"
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
    for i, name in enumerate(series):
        curve = curves.get(name)
        if curve is None:
            continue
        parts.append(_draw(curve, i % SERIES, px, py, marks or len(curve.x) == 1, bool((bands or {}).get(name))))
    parts.append("</g>")
    points = {name: [[_tidy(x), _tidy(y)] for x, y in zip(c.x, c.y, strict=True)] for name, c in curves.items()}
    frame = [LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM, start, stop, low, high]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" class="chart" '
        f'data-points="{escape(json.dumps(points))}" data-frame="{escape(json.dumps(frame))}">'
        + "".join(parts)
        + "</svg>"
    )


def _curve(points: list[tuple[float, float]], band: Sequence[tuple[float, float]] | None) -> Curve:
    if band and len(band) == len(points):
        return Curve([x for x, _ in points], [y for _, y in points], [b[0] for b in band], [b[1] for b in band])
    return reduce(points)


def _band_ends(curves: Mapping[str, Curve], bands: Mapping[str, object] | None) -> list[Curve]:
    """Given bands belong in the range; the extremes within a bin do not."""
    return [Curve(c.x, c.low + c.high, [], []) for name, c in curves.items() if (bands or {}).get(name)]


def _axes(xs: list[float], ys: list[float], px: Place, py: Place, x_label: str) -> str:
    lines = []
    for y in ys:
        at = f"{py(y):.1f}"
        kind = "zero" if y == 0 else "rule"
        lines.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        lines.append(f'<text class="tick" x="{LEFT - 8}" y="{at}" dy=".32em" text-anchor="end">{short(y)}</text>')
    for x in xs:
        # The last number would stick out of the picture if it were centred.
        anchor = "end" if px(x) > WIDTH - RIGHT - 14 else "middle"
        lines.append(
            f'<text class="tick" x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="{anchor}">{short(x)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = f'<text class="axis" x="{middle}" y="{HEIGHT - 3}" text-anchor="middle">{escape(x_label)}</text>'
    return "".join(lines) + label


def _draw(curve: Curve, colour: int, px: Place, py: Place, marks: bool, given_band: bool) -> str:
    above = [f"{px(x):.1f},{py(y):.1f}" for x, y in zip(curve.x, curve.high, strict=True)]
    below = [f"{px(x):.1f},{py(y):.1f}" for x, y in zip(curve.x, curve.low, strict=True)]
    line = [f"{px(x):.1f},{py(y):.1f}" for x, y in zip(curve.x, curve.y, strict=True)]
    parts = []
    if given_band or any(h > m for h, m in zip(curve.high, curve.low, strict=True)):
        parts.append(f'<polygon class="band s{colour}" points="{" ".join(above + below[::-1])}"/>')
    parts.append(f'<polyline class="line s{colour}" points="{" ".join(line)}"/>')
    if marks:
        for point in line:
            x, y = point.split(",")
            parts.append(f'<circle class="dot s{colour}" cx="{x}" cy="{y}" r="3"/>')
    return "".join(parts)


def _tidy(value: float) -> float:
    return float(f"{value:.5g}")


def strips(rows: Mapping[str, Sequence[float]], *, title: str, level: float | None = None) -> str:
    """Draw one row a name: a dot for each value, and a bar at their median; on a log scale where they span much.

    Args:
        rows: finite values by name, in the order in which they are drawn.
        title: what the chart shows.
        level: a value to compare with, drawn as a dashed line.

    Returns:
        An SVG element, or "" where there is nothing to draw.
    """
    values = [v for row in rows.values() for v in row] + ([] if level is None else [level])
    if not any(rows.values()):
        return ""
    low, high = min(values), max(values)
    logs = low > 0 and high > 20 * low
    low = 0.0 if not logs and 0 < low < 0.5 * high else low
    scale: Place = math.log10 if logs else float
    start, stop = scale(low), scale(high)
    margin = 0.03 * (stop - start) or 0.5
    start, stop = (start if low == 0.0 else start - margin), stop + margin
    left, wide, tall = 12 + 7.2 * min(max(map(len, rows)), 44), 760, 20
    height = tall * len(rows) + TOP + BOTTOM

    def px(value: float) -> float:
        return left + (scale(value) - start) / (stop - start) * (wide - left - RIGHT)

    marks = [10.0**k for k in range(math.ceil(start), math.floor(stop) + 1)] if logs else ticks(start, stop, 6)
    parts = [
        _upright("rule", px(x), TOP, height - BOTTOM)
        + f'<text class="tick" x="{px(x):.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{short(x)}</text>'
        for x in marks
    ]
    if level is not None:
        parts.append(_upright("level", px(level), TOP, height - BOTTOM))
    for i, (name, row) in enumerate(rows.items()):
        y = TOP + tall * (i + 0.5)
        parts.append(
            f'<text class="tick" x="{left - 8:.0f}" y="{y:.1f}" dy=".32em" text-anchor="end">{escape(name)}</text>'
        )
        parts += [f'<circle class="dot s0" cx="{px(v):.1f}" cy="{y:.1f}" r="3"/>' for v in row]
        if row:
            parts.append(_upright("line s0", px(statistics.median(row)), y - 7, y + 7))
    label, middle = escape(f"{title}{' (log scale)' if logs else ''}"), (left + wide) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{height - 3}" text-anchor="middle">{label}</text>')
    frame = f'<svg viewBox="0 0 {wide} {height}" role="img" aria-label="{escape(title)}" class="chart">'
    return f"{frame}{''.join(parts)}</svg>"


def _upright(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
