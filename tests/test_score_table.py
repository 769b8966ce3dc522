import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup import EVIL, Page

from gansmith import media, score_table
from gansmith.ranking import Row
from gansmith.run import Run
from gansmith.scores import Evaluation, Score, keep


def score(name="fd-toy", value=3.0, spread=0.25, better="lower", **card):
    return Score(name, value, better, {"samples": 10_000, "floor": 1.5, "k": None, **card}, spread, "an error")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_nothing_measured_nothing_shown(run):
    assert score_table.evaluation_section(run) == ""


def test_a_table_for_each_checkpoint_the_newest_first_and_older_ones_folded(run):
    for images, value in ((500, 3.0), (1500, 2.0), (1000, 4.0)):
        keep(run, Evaluation("x", images, [score(value=value)], [f"note {images}"], {"date": "a day", "device": "cpu"}))
    keep(run, Evaluation("x", 1500, [score("recall-toy", 0.5, None, "higher", floor=None)]))
    page = Page(score_table.evaluation_section(run))
    order = [page.text.index(f"After {clock} images") for clock in ("1,500", "1,000", "500")]
    assert order == sorted(order)
    assert page.text.index("recall-toy") < page.text.index("fd-toy") < order[1]  # the later evaluation first
    assert page.tags.count("details") == 2 + 4
    for expected in ("2 ± 0.25", "1.5", "↓ lower", "10,000", "an error", "evaluated a day, cpu; note 1000"):
        assert expected in page.text, expected


def test_of_one_name_the_newest_is_shown_and_the_others_folded_in(run):
    for samples, value in ((100, 3.0), (200, 2.0)):
        keep(run, Evaluation("x", 500, [score(value=value, samples=samples)]))
    before, folded = score_table.evaluation_section(run).split("Measured earlier", 1)
    assert "2 <small" in before
    assert "3 <small" not in before
    assert "3 <small" in folded


def test_every_field_of_a_card_is_there(run):
    card = {
        "extractor_checksum": "ab" * 32,
        "sizes": [1, 2],
        "seed": 0,
        "share": 0.98989898,
        "is": True,
        "nested": {"a": 1},
    }
    keep(run, Evaluation("x", 1, [Score("fd", math.nan, "lower", card, None, "", {"sample_seed": 4})]))
    text = Page(score_table.evaluation_section(run)).text
    shown = (
        "extractor checksum" + "ab" * 32,
        "sizes1, 2",
        "seed0",
        "share0.9899",
        "isyes",
        "nesteda 1",
        "sample seed4",
    )
    for expected in (*shown, "not finite"):
        assert expected in text, expected


def test_neighbours(run):
    keep(run, Evaluation("x", 1000, [score()]))
    assert "img" not in Page(score_table.evaluation_section(run)).tags
    media.save_image(run.neighbours_file, media.grid(np.zeros((4, 1, 8, 8), np.uint8)))
    page = Page(score_table.evaluation_section(run))
    assert page.tags.count("img") == 1
    assert "After 1,000 images. In each row a sample, and then the training examples" in page.text
    run.neighbours_file.write_bytes(b"x" * 400_000)
    assert "neighbours.png: damaged" in Page(score_table.evaluation_section(run)).text


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 9, "evaluations": []}', '{"evaluations": [1]}'])
def test_damaged_scores_are_said_in_a_line(run, text):
    run.scores_file.write_text(text)
    page = Page(score_table.evaluation_section(run))
    assert "scores.json: " in page.text
    assert "None" not in page.text
    assert page.tags == ["h2", "p"]


def test_several_runs():
    rows = [
        Row("fd-toy", [score(value=5.0), score(value=2.0)]),
        Row("vendi-toy", [None, score("vendi-toy", better="real")]),
        Row("recall-toy", [score(value=0.5, better="higher"), score(value=0.5, better="higher")]),
    ]
    text = score_table.side_by_side(["one", "two"], rows, {("fd-toy", 1): " at 3k"})
    page = Page(text)
    assert text.count('class="best"') == 1
    assert '<td class="best">2 <small title="an error">± 0.25</small><small> at 3k</small></td>' in text
    assert "fd-toy5 ± 0.252 ± 0.25 at 3k1.5↓ lowertwo" in page.text
    assert "vendi-toy–3 ± 0.25" in page.text
    assert "within the spread" in page.text
    assert page.tags.count("details") == 3


@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_no_text_from_outside_becomes_markup(tmp_path_factory, text):
    text += EVIL
    told = Score(text, 1.0, text, {text: text, "samples": text}, 0.5, text, {text: text})
    run = Run(tmp_path_factory.mktemp("run"))
    keep(run, Evaluation(text, 5, [told], [text], {"date": text, "device": text}))
    for shown in (
        score_table.evaluation_section(run),
        score_table.side_by_side([text, "b"], [Row(text, [told, told])], {(text, 1): text}),
    ):
        page = Page(shown)
        assert "script" not in page.tags
        assert text.replace("\r\n", "\n").replace("\r", "\n") in page.text.replace("\r\n", "\n").replace("\r", "\n")
