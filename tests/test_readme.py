"""The README's commands work as pasted, and so do those of the page on extending."""

import re

import numpy as np
import pytest
from pages import ROOT, SHORT, cut, run_page
from PIL import Image


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """An empty folder but for some pictures, a cache of its own, and no torchrun around."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    draw = np.random.default_rng(0)
    for kind in ("cats", "dogs"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for i in range(30):
            noise = draw.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "pictures" / kind / f"{i}.png")
    for name in ("people", "more-people"):
        age, town = draw.integers(18, 90, 200), draw.choice(["Rome", "Oslo"], 200)
        rich = np.where(draw.random(200) < age / 100, "yes", "no")
        rows = [f"{a},{t},{r}" for a, t, r in zip(age, town, rich, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["age,town,rich", *rows]), encoding="utf-8")
    for name in ("normal", "new"):
        rows = [",".join(f"{x:.4f}" for x in row) for row in draw.normal(size=(200, 3))]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c", *rows]), encoding="utf-8")


def test_the_readme(reader, monkeypatch, capsys):
    assert run_page("README.md", monkeypatch) == 14


def test_the_page_on_extending(reader, monkeypatch, capsys):
    assert run_page("docs/extending.md", monkeypatch) == 14


def test_the_page_on_using(reader, monkeypatch, capsys):
    assert run_page("docs/using.md", monkeypatch) == 1


def test_the_page_on_suites(reader, monkeypatch, capsys):
    assert run_page("docs/suites.md", monkeypatch) == 3


PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_a_training_is_cut_short_and_nothing_else_is():
    assert cut(["train", "--minutes", "5", "--out", "x"]) == ["train", "--out", "x", *SHORT]
    assert cut(["sample", "x", "-n", "4"]) == ["sample", "x", "-n", "4"]
