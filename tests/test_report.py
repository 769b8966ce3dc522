import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markup import EVIL, Page

from gansmith import charts, media, report, scores
from gansmith import recipe as recipes
from gansmith import run as runs
from gansmith.errors import Refused


def write_events(run, events):
    run.events_file.write_text("".join(json.dumps(event) + "\n" for event in events))


def make(folder, *, name="tiny", data="toy", classes=("a", "b"), events=(), grids=(), status="running"):
    recipe = recipes.validate({"name": name, "images": 1000, "optimizer": {"lr": 1e-3}}, "test")
    info = {"status": status, "data": {"name": data, "classes": list(classes)}, "versions": {"torch": "2.13.0"}}
    run = runs.create(folder, recipe, info)
    write_events(run, events)
    for images in grids:
        media.save_image(run.sample_file(images), media.grid(np.full((4, 1, 8, 8), images % 256, np.uint8)))
    return run


def progress(images, **more):
    return {
        "event": "progress", "images": images, "total": 1000, "seconds": images / 10, "rate": 10.0,
        "terms": {"discriminator/adversarial": images / 999, "discriminator/r1": 0.1, "generator/adversarial": 2.0},
        "knobs": {"lr": 1e-3 * (1 - images / 2000), "beta2": 0.99}, **more,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path):
    events = [{"event": "begin", "images": 0}]
    events += [progress(images) for images in range(100, 1001, 100)]
    events += [{"event": "score", "images": i, "scores": {"fd-toy": 900 / i, "fd-toy/spread": 0.1}} for i in (300, 900)]
    events += [
        {"event": "warning", "images": 500, "text": "a warning"},
        {"event": "end", "images": 1000, "reason": "done"},
    ]
    return make(tmp_path / "run", events=events, grids=(100, 500, 1000))


def test_the_page_is_whole_and_asks_nothing_of_the_network(run):
    path = report.write_report(run)
    assert path == run.report_file
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("img") == 4  # the newest, and each in the strip
    assert page.tags.count("svg") == 5  # two moves, one score, the rate, and the learning rate
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith("data:"), (tag, value)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    for expected in (
        "tiny on toy",
        "100% of 1k",
        "1 min 40 s",
        "Lowest fd-toy",
        "At 500 images: a warning",
        "beta2 0.99",
    ):
        assert expected in page.text, expected
    assert "gansmith sample" in page.text
    assert "gansmith resume" not in page.text  # it is done
    assert "name: tiny" in page.text
    assert "2.13.0" in page.text


def test_charts_are_well_formed_svg(run):
    for svg in re.findall(r"<svg.*?</svg>", report.page(run), re.S):
        ElementTree.fromstring(svg)


def test_text_from_outside_cannot_become_markup(tmp_path):
    events = [
        progress(100, terms={f"{EVIL}/{EVIL}": 1.0}, knobs={EVIL: 2.0}),
        progress(200, terms={f"{EVIL}/{EVIL}": 1.0}, knobs={EVIL: 3.0}),
        {"event": "score", "images": 200, "scores": {EVIL: 1.0}},
        {"event": "warning", "images": 200, "text": EVIL},
        {"event": "end", "images": 200, "reason": "interrupted"},
    ]
    evil = EVIL.replace("/", "∕")  # a folder's name has no slash
    run = make(tmp_path / evil, name=EVIL, data=EVIL, classes=(EVIL, EVIL), events=events, grids=(100,))
    runs.Run(run.path).update_info(host={EVIL: EVIL})
    text = report.page(run)
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "<script>alert" not in text
    assert text.count("alert(&quot;x&quot;)") >= 8


def test_a_run_that_has_only_begun_has_a_report(tmp_path):
    page = Page(report.page(make(tmp_path / "run")))
    assert "No samples yet" in page.text
    assert "gansmith resume" in page.text


def test_no_run_is_refused(tmp_path):
    with pytest.raises(Refused, match="not a run"):
        report.write_report(runs.Run(tmp_path))


def test_summary(run):
    told = report.summarize(run)
    assert (told.recipe, told.data, told.images, told.total, told.status) == ("tiny", "toy", 1000, 1000, "done")
    assert told.best == report.Best("fd-toy", 1.0, 900)


def test_the_best_accuracy_is_the_highest(tmp_path):
    told = [{"event": "score", "images": i, "scores": {"accuracy": v}} for i, v in ((1, 0.2), (2, 0.9), (3, 0.5))]
    run = make(tmp_path / "run", events=told)
    run.update_info(cards={"accuracy": {"better": "higher"}})
    assert report.summarize(run).best == report.Best("accuracy", 0.9, 2, "higher")


def test_null_values_are_passed_over(tmp_path):
    events = [progress(100, terms={"generator/adversarial": None}, rate=None, knobs={"lr": None}), progress(200)]
    events.append({"event": "score", "images": 200, "scores": {"fd": None}})
    run = make(tmp_path / "run", events=events)
    assert report.summarize(run).best is None
    Page(report.page(run))


def test_many_and_large_grids_are_reduced(tmp_path):
    run = make(tmp_path / "run", grids=range(1, 60))
    noise = np.random.default_rng(0).integers(0, 255, (1, 3, 700, 700), dtype=np.uint8)
    media.save_image(run.sample_file(1000), media.grid(noise))
    text = report.page(run)
    assert Page(text).tags.count("img") == report.FRAMES + 1
    assert "After 1 images" in text
    assert text.count("data:image/webp") == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (48, "48 s"), (192, "3 min 12 s"), (7500, "2 h 05 min"), (277200, "3 d 5 h")]
)
def test_duration(seconds, text):
    assert report.duration(seconds) == text


def test_ticks_are_round_and_within():
    assert charts.ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert charts.ticks(-3, 7) == [-2.5, 0, 2.5, 5]
    assert charts.ticks(2, 2) == [2]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1.25, "1.25"), (2e-4, "2e-4"), (60000, "60k"), (999_999, "1M"), (1_500_000, "1.5M")]
)
def test_short_numbers(value, text):
    assert charts.short(value) == text


def test_points_that_a_roll_back_undid_are_dropped():
    assert charts.forward([(1, 1.0), (2, 9.0), (3, 9.0), (2, 2.0), (3, 3.0)]) == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_a_spike_does_not_flatten_the_rest():
    curve = charts.reduce([(i, 1000.0 if i == 1 else 1.0 + i / 100) for i in range(100)])
    _low, high = charts.extent([curve])
    assert high < 3


def test_one_point_and_constant_curves_can_be_drawn():
    for points in ([(5, 1.0)], [(1, 2.0), (2, 2.0)], [(0, 0.0)]):
        ElementTree.fromstring(charts.line_chart({"a": points}, title="t"))
    assert charts.line_chart({"a": []}, title="t") == ""


def test_the_floor_of_a_score_is_drawn_beside_it(run):
    assert 'class="level"' not in report.page(run)
    run.update_info(cards={"fd-toy": {"metric": "fd-toy", "floor": 0.5, "samples": 100}})
    text = report.page(run)
    assert text.count('class="level"') == 1
    assert "what real examples score by chance" in text


def test_the_report_shows_evaluations_and_not_every_card_of_the_training(run):
    card = {"metric": "fd-toy", "samples": 100, "floor": 0.5}
    run.update_info(score=card, cards={"fd-toy": card, "prdc-toy": {"metric": "prdc-toy", "k": 55}})
    assert "Evaluation" not in Page(report.page(run)).text
    score = scores.Score("recall-toy", 0.25, "higher", {**card, "k": 7, "floor": 0.875}, 0.0625, "standard error")
    scores.keep(run, scores.Evaluation("x", 900, [score], ["a note"]))
    page = Page(report.write_report(run).read_text())
    for expected in ("Evaluation", "After 900 images", "recall-toy", "0.25 ± 0.062", "0.875", "↑ higher", "a note"):
        assert expected in page.text, expected
    assert "prdc-toy" not in page.text
    assert "details" in page.tags


def test_a_damaged_file_of_scores_does_not_break_the_report(run):
    run.scores_file.write_text("{")
    page = Page(report.page(run))
    assert "scores.json: damaged" in page.text
    assert "Versions and facts" in page.text


@pytest.mark.parametrize(
    ("name", "card", "values", "best"),
    [
        ("recall-toy", {"better": "higher"}, (0.2, 0.9, 0.5), 0.9),
        ("fd-toy", {"better": "lower"}, (0.2, 0.9, 0.5), 0.2),
        ("unheard-of", {}, (0.2, 0.9, 0.5), 0.2),
        ("inception-score", {"better": "real", "leaning": "higher"}, (2.0, 9.0, 5.0), 9.0),
        ("inception-score", {"better": "real", "leaning": "higher", "floor": 5.5}, (2.0, 9.0, 5.0), 5.0),
        ("c2st-toy", {"better": "real", "floor": 0.5}, (0.3, 0.9, 0.55), 0.55),
    ],
)
def test_the_best_by_what_is_better_of_a_score(tmp_path, name, card, values, best):
    events = [{"event": "score", "images": i, "scores": {name: value}} for i, value in enumerate(values)]
    run = make(tmp_path / "run", events=events)
    run.update_info(cards={name: {"metric": name, **card}})
    assert report.summarize(run).best.value == best


def test_which_way_is_better_is_said_where_scores_differ_in_it(tmp_path):
    events = [{"event": "score", "images": 1, "scores": {"fd-toy": 1.0, "recall-toy": 0.5, "vendi-toy": 2.0}}]
    run = make(tmp_path / "run", events=events)
    run.update_info(cards={"recall-toy": {"better": "higher"}, "vendi-toy": {"better": "real"}})
    text = Page(report.page(run)).text
    assert (
        "Lower is better: fd-toy. Higher is better: recall-toy. Nearest to the real data's is best: vendi-toy." in text
    )
