"""What the pages have in common: the frame around them, numbers in words, pictures and charts as markup.

A page asks nothing of the network: pictures are data URIs, charts inline SVG, style and script inline.
It is complete without the script.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith import charts

if TYPE_CHECKING:
    from PIL.Image import Image

EMBED = 300_000
"""Bytes up to which a picture is embedded as it is; a larger one is re-encoded and reduced."""


def whole(title: str, body: str) -> str:
    """A page as HTML text.

    Args:
        title: plain text.
        body: markup, in which all text from outside is escaped.
    """
    style = resources.files("gansmith").joinpath("report.css").read_text(encoding="utf-8")
    script = resources.files("gansmith").joinpath("report.js").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)} · gansmith</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def duration(seconds: float) -> str:
    """A length of time as people say it: `48 s`, `3 min 12 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def figure(value: float) -> str:
    """A measured value in four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def rough(value: float) -> str:
    """A spread in two digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def fact(value: object) -> str:
    """A value of a recipe, a card or `run.json` as people read it."""
    if isinstance(value, list | tuple):
        return ", ".join(fact(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    return str(value)


def data_uri(path: Path) -> str:
    """A picture file as a data URI, reduced where it is large.

    Raises:
        OSError: a file that cannot be read, or a large one that is no picture.
    """
    return _uri(path.read_bytes())


def picture_uri(picture: Image) -> str:
    """A picture as a data URI, reduced where it is large."""
    packed = BytesIO()
    picture.save(packed, format="PNG")
    return _uri(packed.getvalue())


def _uri(raw: bytes) -> str:
    kind = "png"
    if len(raw) > EMBED:
        from PIL import Image

        with Image.open(BytesIO(raw)) as picture:
            picture.load()
            picture.thumbnail((1440, 1440))
            packed = BytesIO()
            picture.save(packed, format="WEBP", quality=88)
        raw, kind = packed.getvalue(), "webp"
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def panel(title: str, series: Mapping[str, list[tuple[float, float]]], **options: Any) -> str:
    """A chart with its title and the last value of each curve; "" where there is nothing to draw.

    Args:
        title: plain text.
        series: (images, value) of each curve by its name.
        options: as of `charts.line_chart`.
    """
    drawn = charts.line_chart(series, title=title, **options)
    if not drawn:
        return ""
    single = len(series) == 1
    keys = "".join(
        f"<span>{'' if single else f'<i class={chr(34)}s{i % charts.SERIES}{chr(34)}></i>'}"
        f'{escape("last" if single else name)}<b data-name="{escape(name)}">{charts.short(points[-1][1])}</b></span>'
        for i, (name, points) in enumerate(series.items())
        if points
    )
    head = f'<h3>{escape(title)}</h3><div class="keys">{keys}<span class="when"></span></div>'
    return f'<div class="panel">{head}{drawn}</div>'
