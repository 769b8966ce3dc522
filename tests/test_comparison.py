import json
import re

import numpy as np
import pytest
from cli.fakes import make_model
from markup import EVIL, Page

import gansmith
from gansmith import comparison, contenders, media
from gansmith import recipe as recipes
from gansmith import run as runs
from gansmith.data import open_dataset
from gansmith.engine import measure
from gansmith.errors import Refused
from gansmith.fields import Data
from gansmith.scores import Evaluation, Score, keep

CARD = {
    "metric": "fd-toy", "measure": "fd", "extractor": "domain", "shape": [1, 8, 8], "samples": 300, "reference": "toy",
    "reference_split": "test", "reference_is_training_data": False, "reference_fingerprint": "ab", "seed": 0,
    "floor": 1.0,
}  # fmt: skip


def progress(images, seconds):
    return {"event": "progress", "images": images, "total": 1000, "seconds": seconds}


def scored(images, value, spread=0.5, name="fd-toy"):
    return {"event": "score", "images": images, "scores": {name: value, f"{name}/spread": spread}}


EVENTS = (progress(200, 10.0), scored(300, 9.0), progress(400, 30.0), scored(400, 7.0), progress(1000, 60.0))


def make(folder, *, events=EVENTS, cards=(CARD,), grid=True, **fields):
    recipe = recipes.validate(
        recipes.merge({"name": "tiny", "images": 1000, "data": {"source": "toy"}}, fields), "test"
    )
    info = {"data": {"name": "toy"}, "status": "done", "cards": {card["metric"]: card for card in cards}}
    info["numerics"] = {"device": "cpu", "threads": 1, "processor": "x"}
    run = runs.create(folder, recipe, info)
    run.events_file.write_text("".join(json.dumps(event) + "\n" for event in events))
    if grid:
        media.save_image(run.sample_file(400), media.grid(np.zeros((4, 1, 8, 8), np.uint8)))
    return run


def evaluate(run, value=3.0, name="fd-toy", images=400, spread=0.5, better="lower", **card):
    measure = {"recall-toy": "prdc"}.get(name, name.split("-")[0])
    told = {**CARD, "metric": name, "measure": measure, "better": better, **card}
    score = Score(name, value, better, told, spread, "an error")
    keep(run, Evaluation(str(run.path), images, [score]))


@pytest.fixture
def two(tmp_path):
    return make(tmp_path / "one"), make(tmp_path / "two", seed=5, optimizer={"lr": 0.5})


def refused(paths, **options):
    with pytest.raises(Refused) as caught:
        gansmith.compare(paths, **options)
    return caught.value


# --- what is compared ------------------------------------------------------------------------------


def test_the_last_of_a_training_where_nothing_was_evaluated(two):
    evaluate(two[1], 3.0)
    evaluate(two[1], 5.0, images=200)
    found = gansmith.compare([two[0].path, str(two[1].path)])
    (row,) = found.rows
    assert [(score.value, score.spread) for score in row.cells] == [(7.0, 0.5), (5.0, 0.5)]
    assert [each.clocks["fd-toy"] for each in found.runs] == [400, 200]
    assert [each.evaluated for each in found.runs] == [False, True]
    assert [each.name for each in found.runs] == ["one", "two"]
    assert row.real == 1.0
    assert row.best() == (1, "")


def test_what_the_recipes_differ_in(two):
    assert gansmith.compare([run.path for run in two]).fields == {"seed": ["0", "5"], "optimizer.lr": ["0.0002", "0.5"]}


def test_seconds_are_interpolated_and_what_was_rolled_back_is_left_out(tmp_path):
    events = [progress(200, 10), scored(300, 9), progress(400, 20), scored(400, 8), progress(100, 40), scored(250, 7),
              progress(300, 80)]  # fmt: skip
    run = make(tmp_path / "one", events=events)
    other = make(tmp_path / "two", events=[scored(300, 9, float("nan")), scored(400, None)])
    one, two = gansmith.compare([run.path, other.path]).runs
    assert [(p.images, p.seconds, p.value) for p in one.curves["fd-toy"]] == [(250, 70.0, 7)]
    assert [(p.images, p.seconds, p.spread) for p in two.curves["fd-toy"]] == [(300, 0.0, None)]


@pytest.mark.parametrize(("images", "seconds"), [(-1, 0), (0, 0), (50, 5), (100, 10), (150, 30), (200, 50), (900, 50)])
def test_seconds_at_a_clock(images, seconds):
    assert contenders.seconds_at(images, [(0, 0), (100, 10), (200, 50)]) == seconds


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path):
    paths = [make(tmp_path / part / "run").path for part in "ab"]
    assert [each.name for each in gansmith.compare(paths).runs] == [str(path) for path in paths]


# --- what is refused -------------------------------------------------------------------------------


def test_scores_of_unlike_cards_are_refused_with_what_to_do(two):
    evaluate(two[0])
    evaluate(two[0], 0.5, "recall-toy", better="higher", samples=200, metric_version=2)
    evaluate(two[0], 0.5, "vendi-toy", better="real")
    evaluate(two[1], samples=100, seed=3)
    evaluate(two[1], 0.5, "recall-toy", better="higher")
    evaluate(two[1], 0.4, "vendi-toy", better="real")
    error = refused([run.path for run in two])
    expected = (
        "fd-toy of one and two cannot be compared, since their cards differ: samples: 300 and 100; seed: 0 and 3."
    )
    assert error.what == f"{expected} So it is with recall-toy."
    flags = "--metrics fd-domain,prdc-domain -n 100 --seed 0 --reference test"
    assert error.remedy.splitlines() == [
        "Evaluate all alike, or else --only vendi-toy compares the rest:",
        f"  gansmith eval {two[0].path} {flags}",
        f"  gansmith eval {two[1].path} {flags}",
    ]
    (row,) = gansmith.compare([run.path for run in two], only=["vendi-toy"]).rows
    assert row.name == "vendi-toy"


def test_other_data_are_named_and_a_long_list_follows(two):
    evaluate(two[0], reference_fingerprint="cd")
    evaluate(two[1], resize="none", dims=3, samples=7)
    error = refused([run.path for run in two])
    assert error.what.endswith("; and 1 more (below)")
    assert "--data toy" in error.remedy
    assert error.remedy.splitlines()[-4:] == [
        "  samples: 300 and 7", "  reference fingerprint: cd and ab", "  resize: none and none", "  dims: none and 3"
    ][-4:]  # fmt: skip


def test_another_split_needs_no_other_data(two):
    evaluate(two[0])
    evaluate(two[1], reference_split="train", reference_is_training_data=True, reference_fingerprint="cd")
    assert "--data" not in refused([run.path for run in two]).remedy


def test_unlike_shapes_cannot_be_mended(two):
    evaluate(two[0])
    evaluate(two[1], shape=[1, 16, 16])
    error = refused([run.path for run in two])
    assert "shape: [1, 8, 8] and [1, 16, 16]" in error.what
    assert error.remedy == "They make samples of unlike shapes, which no flags make alike."


def test_a_score_without_a_card_is_not_compared(tmp_path):
    one, two = make(tmp_path / "one"), make(tmp_path / "two", cards=())
    error = refused([one.path, two.path])
    assert "their cards differ: two: no card of fd-toy" in error.what
    assert f"gansmith eval {two.path} " in error.remedy
    two.update_info(cards={"fd-toy": CARD})
    assert gansmith.compare([one.path, two.path]).rows


def test_what_else_is_refused(two, tmp_path):
    assert "two runs or more" in refused([two[0].path]).what
    assert refused([two[0].path, two[0].path / "../one"]).what.endswith("was given twice")
    assert "not a run" in refused([two[0].path, tmp_path]).what
    assert "did you mean fd-toy?" in refused([run.path for run in two], only=["fd-tor"]).what
    bare = [make(tmp_path / name, events=()).path for name in ("three", "four")]
    assert refused(bare).what == "none of these runs was scored"
    two[1].scores_file.write_text("{")
    assert "damaged" in refused([run.path for run in two]).what


# --- the page --------------------------------------------------------------------------------------


def test_the_page_is_whole_and_asks_nothing_of_the_network(two, tmp_path):
    evaluate(two[0])
    evaluate(two[1], 9.0, images=200)
    out = tmp_path / "compare.html"
    comparison.compare([run.path for run in two], out)
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert text.count('class="level"') == 2
    assert page.tags.count("svg") == 2  # against images, and against time
    assert page.tags.count("img") == 2
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith("data:"), (tag, value)
    for expected in (
        "one and two", "fd-toy3 ± 0.59 ± 0.51↓ lowerone", "the last grid that was saved, after 400 images",
        "seconds of training", "optimizer.lr0.00020.5", "gansmith eval after 200 images", "time1 min 00 s",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert "machines were not alike" not in page.text
    ids = re.findall(r' id="(.*?)"', text)
    assert len(ids) == len(set(ids))


def test_samples_are_drawn_of_the_checkpoint_that_was_scored(two, tmp_path, monkeypatch):
    asked = []

    def load(path, **options):
        asked.append((path.name, options))
        return make_model(modality="image" if path.name == "one" else "table")

    monkeypatch.setattr(gansmith, "load", load, raising=False)
    two[0].checkpoint_folder.mkdir()
    two[0].checkpoint_file(400).touch()
    text = comparison.page(gansmith.compare([run.path for run in two]), "cpu")
    assert asked == [("one", {"checkpoint": 400, "device": "cpu"}), ("two", {"checkpoint": "latest", "device": "cpu"})]
    assert Page(text).tags.count("img") == 1
    assert "two makes table, which has no picture" in Page(text).text


def test_curves_of_unlike_cards_are_not_drawn_together_and_colours_stay(tmp_path):
    other = {**CARD, "samples": 50}
    made = [make(tmp_path / "a", cards=[other], grid=False), make(tmp_path / "b"), make(tmp_path / "c")]
    for run in made:
        evaluate(run)
    made[2].update_info(numerics={"device": "cuda"})
    text = comparison.page(gansmith.compare([run.path for run in made]))
    page = Page(text)
    assert "fd-toy of b is not drawn: samples: 50 and 300" in page.text
    assert "fd-toy of c is not drawn" in page.text
    assert "a has no samples to show" in page.text
    assert "The machines were not alike" in page.text
    assert "The recipes are the same." in page.text
    made[0].events_file.write_text("")
    text = comparison.page(gansmith.compare([run.path for run in made]))
    assert re.findall('<polyline class="line (..)"', text) == ["s1", "s2", "s1", "s2"]
    assert re.findall('<i class="(..)"></i>[bc]<b', text) == ["s1", "s2", "s1", "s2"]


def test_the_dashed_line_is_what_real_data_scored_in_the_training(two):
    with_floor = comparison.page(gansmith.compare([run.path for run in two]))
    for run in two:
        evaluate(run, floor=0.25)
    assert re.findall('<line class="level".*?>', with_floor) == re.findall(
        '<line class="level".*?>', comparison.page(gansmith.compare([run.path for run in two]))
    )


def test_text_from_outside_cannot_become_markup(tmp_path):
    evil = EVIL.replace("/", "∕")  # a folder's name has no slash
    card = {**CARD, "metric": EVIL, EVIL: EVIL}
    events = [progress(100, 10), scored(100, 2, name=evil)]
    made = [
        make(tmp_path / f"{evil}{i}", events=events, cards=[{**card, "metric": evil}], name=f"{EVIL}{i}")
        for i in (1, 2)
    ]
    for run in made:
        run.update_info(data={"name": EVIL}, status=EVIL, numerics={"device": EVIL})
    text = comparison.page(gansmith.compare([run.path for run in made]))
    assert Page(text).tags.count("script") == 1
    assert "<script>alert" not in text


def test_real_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measure.trial, "__defaults__", (0.0,))
    digits = open_dataset(Data(source="digits", limit=300))
    for seed in (0, 1):
        more = {"batch": 32, "precision": "fp32", "seed": seed, "metrics": ["fd-pixels"], "snapshots": 1}
        run = gansmith.train("gan", digits, tmp_path / f"seed{seed}", images=96, overrides=more)
    found = gansmith.compare([tmp_path / "seed0", tmp_path / "seed1"], tmp_path / "out.html", device="cpu")
    assert found.fields == {"seed": ["0", "1"]}
    (row,) = found.rows
    assert row.name == "fd-pixels"
    assert row.cells[1].value == list(run.events("score"))[-1]["scores"]["fd-pixels"]
    text = Page((tmp_path / "out.html").read_text()).text
    assert "seed0 after 96 images" in text
    assert "saved" not in text
