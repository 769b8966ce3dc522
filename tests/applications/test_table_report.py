from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from gansmith.applications.table_report import measured, told_apart
from gansmith.errors import Refused

from .tabling import objects, people

TRAINED, HELD, FAKE = people(200, 0), people(100, 1), people(150, 2)


@pytest.fixture(scope="module")
def found():
    return measured(TRAINED, FAKE, HELD, name="people & others", target="rich")


def test_rows_of_the_same_law_cannot_be_told_apart(found):
    assert found.shape > 0.9
    assert found.trend > 0.85
    assert all(abs(test.accuracy - 0.5) < 0.12 for test in found.two_sample.values())
    assert found.records.nearer < 0.2
    assert np.mean(list(found.learnt.values())) > 0.9
    others = {**FAKE, "low": FAKE["low"] + 50}
    assert told_apart(HELD, others)["logistic regression"].accuracy > 0.95


def test_the_rarest_class_counts(found):
    counts = {kind: TRAINED["rich"].tolist().count(kind) for kind in ("yes", "no")}
    assert found.positive == min(counts, key=counts.get)


def test_lines_for_people(found):
    text = str(found)
    assert "150 made rows against 100 held-out rows of people & others" in text
    for word in ("column shapes", "pair trends", "told apart", "learnt", "closest record", "copies"):
        assert word in text
    assert found._repr_html_().startswith("<pre>150 made rows")


class Tags(HTMLParser):
    """Every tag that opens closes."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in ("meta", "link", "br", "img", "rect", "circle", "polyline", "polygon", "line", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "circle", "polyline", "polygon", "line"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_shows_each_column(found, tmp_path):
    page = found.save(tmp_path / "quality.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.seen.count("svg") >= len(TRAINED) + 2
    assert "people &amp; others" in page
    assert "people & others" not in page
    for name in TRAINED:
        assert f"{name} · " in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_without_held_out_rows_privacy_is_not_measured():
    found = measured(TRAINED, FAKE, None, name="people", target="rich")
    assert found.records is None
    assert found.learnt == {}
    assert "Not measured" in found.html()


def test_columns_of_all_kinds_are_drawn():
    def table(n, seed):
        rng = np.random.default_rng(seed)
        days = np.datetime64("2020-01-01", "us") + rng.integers(0, 900, n) * np.timedelta64(1, "D")
        return {
            "day": days, "same": np.full(n, 3), "lost": np.full(n, np.nan), "x": rng.normal(size=n),
            "kind": objects([f"a kind of thing number {k}" for k in rng.integers(0, 20, n)]),
        }  # fmt: skip

    page = measured(table(100, 0), table(100, 1), table(50, 2), name="t").html()
    assert "and 8 more" in page
    assert "year" in page


def test_refusals():
    with pytest.raises(Refused, match="20 rows or more"):
        measured(TRAINED, people(5), None, name="t")
    with pytest.raises(Refused, match="no column 'poor'"):
        measured(TRAINED, FAKE, HELD, name="t", target="poor")
    same = {**TRAINED, "rich": objects(["no"] * 200)}
    with pytest.raises(Refused, match="classes to tell apart"):
        measured(same, FAKE, HELD, name="t", target="rich")
