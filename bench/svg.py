"""What the pictures of the benchmarks share."""

from __future__ import annotations

from html import escape

INK, FAINT, PAPER = "#1b1f24", "#6e7781", "#ffffff"


def text_at(
    x: float, y: float, words: str, *, size: int = 11, colour: str = INK, anchor: str = "start", weight: str = "normal"
) -> str:
    """Words at a place of an SVG."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )
