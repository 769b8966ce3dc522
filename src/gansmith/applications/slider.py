"""A page on which a handle uncovers what was made of each picture: complete in itself, and usable by keyboard."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from gansmith.run import write_atomically

LARGEST, MOST = 1600, 40
"""Pixels of a picture's side on the page, of whose middle more are cut; and pictures."""

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; padding: 0 1rem; max-width: 62rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
.pair { position: relative; width: fit-content; max-width: 100%; --at: 50%; line-height: 0; }
.pair img { width: var(--wide); max-width: 100%; height: auto; }
.pair .after { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)); }
.pair .line { position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; margin-left: -1px; background: #fff;
  box-shadow: 0 0 3px #000; pointer-events: none; }
.pair input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.pair:focus-within { outline: 3px solid #3b82f6; outline-offset: 2px; }
noscript p { border: 1px solid; padding: .5rem; }
"""

_SCRIPT = """
for (const handle of document.querySelectorAll(".pair input")) {
  const show = () => {
    handle.parentElement.style.setProperty("--at", handle.value + "%");
    handle.setAttribute("aria-valuetext", handle.value + " % before, the rest after");
  };
  handle.addEventListener("input", show);
  show();
}
"""


def write_page(path: Path, pairs: Sequence[tuple[Path, Path]], scale: int, title: str) -> int:
    """Write a page of pictures before and after; the middle of those that are very large.

    Args:
        path: of the page.
        pairs: files before and after.
        scale: how many times larger the second of each is.
        title: of the page.

    Returns:
        How many are on it.
    """
    shown = pairs[:MOST]
    parts = [_pair(before, after, scale) for before, after in shown]
    left = f"<p>{len(pairs) - MOST:,} more are not shown.</p>" if len(pairs) > MOST else ""
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f"<h1>{escape(title)}</h1>\n<p>Drag the line, or move it by the arrow keys: left of it the picture as it was, "
        f"stretched; right of it what was made of it.</p>\n<noscript><p>Without scripts the line stays in the middle."
        f"</p></noscript>\n{''.join(parts)}{left}\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )

    def fill(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    write_atomically(path, fill)
    return len(shown)


def _pair(before: Path, after: Path, scale: int) -> str:
    from PIL import Image

    with Image.open(after) as image:
        width, height = image.size
        wide, high = (min(side, LARGEST // scale * scale) for side in (width, height))
        left, top = ((width - wide) // (2 * scale) * scale, (height - high) // (2 * scale) * scale)
        large = image.crop((left, top, left + wide, top + high)).convert("RGB")
    with Image.open(before) as image:
        small = image.crop((left // scale, top // scale, (left + wide) // scale, (top + high) // scale)).convert("RGB")
    name = escape(before.name)
    return (
        f'<h2>{name}</h2>\n<div class="pair" style="--wide: {wide}px">\n'
        f'<img src="{_uri(small)}" width="{wide}" height="{high}" alt="{name}, before">\n'
        f'<img class="after" src="{_uri(large)}" width="{wide}" height="{high}" alt="{name}, after">\n'
        f'<span class="line"></span>\n<input type="range" min="0" max="100" value="50" '
        f'aria-label="{name}: how much is shown as it was">\n</div>\n'
    )


def _uri(image: object) -> str:
    from PIL import Image

    assert isinstance(image, Image.Image)
    held = io.BytesIO()
    image.save(held, "WEBP", quality=92)
    return f"data:image/webp;base64,{base64.b64encode(held.getvalue()).decode()}"
