import json

from markup import Page

from gansmith.suites.results import Result, Results
from gansmith.suites.suite import Suite


def results():
    suite = Suite.model_validate({
        "name": "trial <1>", "summary": "What it tells.", "data": {"d": "digits", "e": "ring"},
        "length": {"images": 2000}, "seeds": 3, "metrics": ["fd"], "rows": {"a": "gan", "b": "dcgan"},
    })  # fmt: skip
    floors = {"fd-x": 4.0}
    return Results(suite, {
        "d/a/0": Result(2000, 10.0, {"fd-x": 5.0, "recall-x": 0.5}, None, floors),
        "d/a/1": Result(2048, 12.0, {"fd-x": 9.0, "recall-x": 0.1}, "fd-x 9", floors),
        "d/a/2": Result(1900, 11.0, {"fd-x": 7.0, "recall-x": 0.3}, None, floors),
        "d/b/0": Result(None, 3.0, {}, "the weights became infinite"),
    })  # fmt: skip


def test_a_row_is_the_median_with_its_range():
    headers, rows = results().table("d")
    assert headers == ["row", "fd-x", "recall-x", "failed", "images", "CPU-s"]
    assert rows == [
        ["a", "7 (5 to 9)", "0.3 (0.1 to 0.5)", "1 of 3", "2,000", "11"],
        ["b", "-", "-", "1 of 1", "-", "3"],
        ["real data", "4", "-", "-", "-", "-"],
    ]
    assert results().table("e") == (["row", "failed", "images", "CPU-s"], [])


def test_markdown_holds_the_tables():
    text = results().markdown()
    assert "| a | 7 (5 to 9) | 0.3 (0.1 to 0.5) | 1 of 3 | 2,000 | 11 |" in text
    assert "## e" in text


def test_the_page_is_well_formed_and_shows_each_seed():
    page = Page(results().page())
    assert page.tags.count("circle") == 3
    assert page.tags.count("svg") == 1
    assert "trial <1>" in page.text
    assert "7 (5 to 9)" in page.text


def test_records_come_back():
    found = results()
    again = Results.of(found.suite, json.loads(json.dumps(found.record())))
    assert again.found == found.found
    assert found.found["d/a/1"].line() == "fd-x 9, recall-x 0.1; failed: fd-x 9 (12 s of the processor)"
    assert found.found["d/b/0"].line() == "failed: the weights became infinite (3 s of the processor)"


def test_the_chief_score_is_the_suites_or_the_first():
    found = results()
    assert found.chief("d") == "fd-x"
    assert found.chief("e") is None
    other = Results(found.suite.model_copy(update={"chief": "recall"}), found.found)
    assert other.chief("d") == "recall-x"
