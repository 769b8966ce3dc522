"""The page of before and after: complete in itself, usable by keyboard, and nothing from outside unescaped."""

import re

import numpy as np
from PIL import Image

from gansmith.applications import slider
from gansmith.applications.slider import write_page


def made(folder, name, width=20, height=12, scale=4):
    before, after = folder / name, folder / f"large-{name}"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(before)
    Image.fromarray(rng.integers(0, 256, (scale * height, scale * width, 3), dtype=np.uint8)).save(after)
    return before, after


def test_a_page(tmp_path):
    pairs = [made(tmp_path, "a.png"), made(tmp_path, "b&c.png")]
    assert write_page(tmp_path / "page.html", pairs, 4, "x <4 times larger>") == 2
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "x &lt;4 times larger&gt;" in text
    assert "b&amp;c.png" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert text.count("data:image/webp;base64,") == 4
    # A range is a control that the keyboard moves, and it has a name.
    assert text.count('<input type="range"') == text.count("aria-label=") == 2
    assert 'alt="a.png, before"' in text
    assert "<noscript>" in text


def test_of_large_pictures_the_middle_and_of_many_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(slider, "LARGEST", 40)
    monkeypatch.setattr(slider, "MOST", 1)
    pairs = [made(tmp_path, "a.png"), made(tmp_path, "b.png")]
    assert write_page(tmp_path / "page.html", pairs, 4, "x") == 1
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'width="40" height="40"' in text
    assert "1 more are not shown" in text
