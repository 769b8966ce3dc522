import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine.playing import RECIPES, pictures, unlike

import gansmith
from gansmith import recipe as recipes
from gansmith import scoring
from gansmith.cli.main import main
from gansmith.data import open_dataset
from gansmith.engine import checkpoint, hardware, measure, player, trainer, watch
from gansmith.engine.listener import Listener
from gansmith.errors import Refused
from gansmith.run import Run
from gansmith.scores import Score


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Trials of two rounds, a look after each round, one thread, and one route whatever else the machine does."""
    found = hardware.Probe("highest", 1.0, 1e-7, 1.0, 0.0)
    monkeypatch.setattr(hardware, "probe", lambda _=None: found)
    monkeypatch.setattr(measure, "TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(measure.trial, "__defaults__", (0.0,))
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    with hardware.borrowed():
        torch.set_num_threads(1)
        yield


def recipe_of(name="gan", **fields):
    base = {"name": name, "noise": 6, "batch": 8, "images": 240, "seed": 3, "score": False, "precision": "fp32",
            "snapshots": 4, "compile": "off"}  # fmt: skip
    return recipes.validate(recipes.merge({**base, **RECIPES[name]}, fields), "test")


class Stops(Listener):
    """Presses Ctrl-C at an image, once."""

    def __init__(self, at):
        self.at, self.pressed = at, False

    def progress(self, progress):
        if progress.images >= self.at and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def last(run):
    return checkpoint.newest(run)


def events(run, *kinds):
    return [event for event in run.events() if event["event"] in kinds]


# --- exact resume through files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("gan", {}),
        ("gan", {"precision": "bf16", "microbatch": 2}),
        ("gan", {"precision": "fp64", "clip": 0.1}),
        ("dcgan", {}),
        ("dcgan", {"precision": "bf16"}),
        ("dcgan", {"precision": "fp64"}),
        ("r3gan", {}),
        ("r3gan", {"precision": "bf16"}),
        ("r3gan", {"precision": "fp64", "microbatch": 4}),
        ("r3gan-mlp", {"microbatch": 1}),
        ("wgan-gp", {}),
        ("pggan", {}),
        ("gan", {"compile": "on"}),
        ("dcgan", {"deterministic": True}),
    ],
)
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, monkeypatch, name, fields):
    monkeypatch.setattr("gansmith.engine.step.torch_compile", lambda graph: graph)
    recipe, data = recipe_of(name, **fields), pictures()
    whole = gansmith.train(recipe, data, tmp_path / "whole")
    cut = gansmith.train(recipe, data, tmp_path / "cut", listeners=[Stops(70)])
    assert cut.info()["status"] == "interrupted"
    assert 70 <= last(cut).rest["images"] < 120
    gansmith.resume(cut.path, data=data, listeners=[Stops(170)])
    assert cut.info()["status"] == "interrupted"
    gansmith.resume(cut.path, data=data)
    assert cut.info()["status"] == "done"
    a, b = last(whole), last(cut)
    assert a.rest["images"] == b.rest["images"] == 240
    assert unlike(a.tensors, b.tensors) == []
    assert [p.name for p in sorted(whole.samples_folder.iterdir())] == [
        p.name for p in sorted(cut.samples_folder.iterdir())
    ]
    for one, other in zip(whole.samples(), cut.samples(), strict=True):
        assert one[1].read_bytes() == other[1].read_bytes()
    assert [e["images"] for e in events(cut, "snapshot")] == [e["images"] for e in events(whole, "snapshot")]
    clocks = [e["images"] for e in events(cut, "progress")]
    assert clocks == sorted(set(clocks))
    assert not events(cut, "warning")


class Copies(Listener):
    """Copies the run's folder at an image: what a kill at that instant leaves."""

    def __init__(self, at, to):
        self.at, self.to = at, to

    def begin(self, run, recipe, dataset, images):
        self.run = run

    def progress(self, progress):
        if progress.images >= self.at and not self.to.exists():
            shutil.copytree(self.run.path, self.to)


@pytest.mark.parametrize("at", [10, 64, 100, 233])
def test_a_run_that_was_killed_loses_what_came_after_its_checkpoint_and_no_more(tmp_path, at):
    data, cut = pictures(), Run(tmp_path / "cut")
    recipe = recipe_of("r3gan", checkpoint_every=48)
    whole = gansmith.train(recipe, data, tmp_path / "whole", listeners=[Copies(at, cut.path)])
    begun = last(cut).rest["images"]
    assert at - 64 < begun <= at
    assert max(e["images"] for e in cut.events()) >= at  # what the resume must drop
    with open(cut.events_file, "a") as file:
        file.write('{"event": "progr')
    gansmith.resume(cut.path, data=data)
    assert unlike(last(whole).tensors, last(cut).tensors) == []
    clocks = [e["images"] for e in events(cut, "progress")]
    assert clocks == sorted(set(clocks))
    assert [e["images"] for e in events(cut, "snapshot")] == [64, 120, 184, 240]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"threads": 64}, "threads 64 → 1"), ({"torch": "2.0.0"}, "torch 2.0.0 → "), ({"world": 2}, "world 2 → 1")],
)
def test_elsewhere_it_goes_on_and_says_that_it_is_no_longer_exact(tmp_path, change, words):
    data = pictures()
    run = gansmith.train(recipe_of(), data, tmp_path / "run", listeners=[Stops(70)])
    run.update_info(numerics={**run.info()["numerics"], **change})
    gansmith.resume(run.path, data=data)
    assert run.info()["status"] == "done"
    (warning,) = events(run, "warning")
    assert warning["text"].startswith(f"no longer bit-exact: {words}")
    assert last(run).rest["images"] == 240


def test_a_resume_keeps_the_threads_and_the_route_that_the_run_began_with(tmp_path, monkeypatch):
    data = pictures()
    run = gansmith.train(recipe_of(), data, tmp_path / "run", listeners=[Stops(70)])
    run.update_info(numerics={**run.info()["numerics"], "matmul": "high"})
    torch.set_num_threads(2)
    seen = []

    class Looks(Listener):
        def progress(self, progress):
            seen.append((torch.get_num_threads(), torch.get_float32_matmul_precision()))

    gansmith.resume(run.path, data=data, listeners=[Looks()])
    assert set(seen) == {(1, "high")}
    assert not events(run, "warning")
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "highest")


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(tmp_path):
    data = pictures()
    whole = gansmith.train(recipe_of(), data, tmp_path / "whole")
    run = gansmith.train(recipe_of(), data, tmp_path / "run", listeners=[Stops(70)])
    newest = run.checkpoints()[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    gansmith.resume(run.path, data=data)
    (warning,) = events(run, "warning")
    assert re.search(r"damaged.*the one of image \d+ is used", warning["text"])
    assert unlike(last(whole).tensors, last(run).tensors) == []


def test_where_every_checkpoint_is_damaged_it_is_refused(tmp_path):
    data = pictures()
    run = gansmith.train(recipe_of(), data, tmp_path / "run", listeners=[Stops(70)])
    for path in run.checkpoints():
        path.write_bytes(b"")
    with pytest.raises(Refused, match="damaged"):
        gansmith.resume(run.path, data=data)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path):
    data = pictures()
    whole = gansmith.train(recipe_of(), data, tmp_path / "whole")
    run = gansmith.train(recipe_of(), data, tmp_path / "run", listeners=[Stops(70)])
    for path in run.checkpoints():
        path.unlink()
    gansmith.resume(run.path, data=data)
    assert unlike(last(whole).tensors, last(run).tensors) == []
    assert [e["images"] for e in events(run, "snapshot")] == [64, 120, 184, 240]


def test_a_finished_run_is_left_as_it_is(tmp_path):
    data = pictures()
    run = gansmith.train(recipe_of(), data, tmp_path / "run")
    before, shown = last(run).tensors, events(run, "snapshot", "progress")
    gansmith.resume(run.path, data=data)
    assert unlike(before, last(run).tensors) == []
    assert events(run, "snapshot", "progress") == shown
    assert run.info()["status"] == "done"


def test_other_data_are_refused(tmp_path):
    run = gansmith.train(recipe_of(), pictures(), tmp_path / "run", listeners=[Stops(70)])
    with pytest.raises(Refused, match="the data are not those that it began with"):
        gansmith.resume(run.path, data=pictures(seed=1))
    with pytest.raises(Refused, match="not a run"):
        gansmith.resume(tmp_path / "nowhere")


def test_a_compiler_that_is_missing_costs_speed_alone(tmp_path, monkeypatch):
    data, recipe = pictures(), recipe_of("gan", compile="on")
    monkeypatch.setattr("gansmith.engine.step.torch_compile", lambda graph: graph)
    run = gansmith.train(recipe, data, tmp_path / "run", listeners=[Stops(70)])
    assert run.info()["numerics"]["compiled"]

    def fails(graph):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr("gansmith.engine.step.torch_compile", fails)
    gansmith.resume(run.path, data=data)
    (warning,) = events(run, "warning")
    assert "compiled True → False" in warning["text"]
    other = gansmith.train(recipe, data, tmp_path / "other")
    assert "compile: off (no compiler here)" in other.info()["notes"]
    assert not other.info()["numerics"]["compiled"]
    assert other.info()["status"] == "done"


# --- lengths, plans, beginnings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "images"),
    [
        ({"images": "1k"}, 1000),
        ({"images": 320}, 320),
        ({"epochs": 2.5}, 300),
        ({"minutes": 2}, 24_000),
        ({"cpu_minutes": 2}, 12_000),
        ({}, 240),
    ],
)
def test_a_length_is_resolved_to_images_once(monkeypatch, length, images):
    monkeypatch.setattr(measure, "choose_threads", lambda *_: measure.Rate(200.0, 100.0))
    planned = gansmith.plan(recipe_of(), pictures(), **length)
    assert planned.images == planned.recipe.images == images
    assert planned.hours == pytest.approx(images / planned.rate / 3600)
    if "minutes" in "".join(length):
        assert f"{images:,} images at {100 if 'cpu_minutes' in length else 200} images/s, measured" in planned.notes[-2]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"images": 10, "minutes": 1}, "give one length, not 2"),
        ({"images": "many"}, "expected a number of images"),
        ({"epochs": -1}, "epochs: expected a number above zero"),
        ({"minutes": 0}, "minutes: expected a number above zero"),
        ({"cpu_minutes": math.inf}, "cpu_minutes: expected a number above zero"),
    ],
)
def test_a_length_that_is_none_is_refused(tmp_path, length, words):
    with pytest.raises(Refused, match=re.escape(words)):
        gansmith.train(recipe_of(), pictures(), tmp_path / "run", **length)
    assert not (tmp_path / "run").exists()


def test_a_plan_measures_says_and_writes_nothing(tmp_path):
    before = (torch.get_num_threads(), torch.get_float32_matmul_precision())
    planned = gansmith.plan("auto", "digits", tmp_path / "run", minutes=1)
    assert list(tmp_path.iterdir()) == []
    text = "\n".join(planned.lines())
    for words in (
        "recipe      auto",
        "data        digits: 1,",
        "auto: 8 pixels a side",
        "images/s, measured",
        "about 1.0 min",
    ):
        assert words in text, words
    assert set(planned.parameters) == {"generator", "discriminator"}
    assert planned.memory > 50 * 2**20
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


def test_a_run_begins_with_anothers_averaged_weights(tmp_path):
    data = pictures()
    old = gansmith.train(recipe_of(), data, tmp_path / "old")

    class First(Listener):
        def begin(self, run, recipe, dataset, images):
            self.run = run

        def progress(self, progress):
            self.tensors = getattr(self, "tensors", None) or checkpoint.read(self.run.checkpoint_file(0))[0]

    first = First()
    new = gansmith.train(recipe_of(seed=9), data, tmp_path / "new", start_from=old.path, listeners=[first])
    held = last(old).tensors
    for name, value in first.tensors.items():
        if name.startswith(("weights.generator", "average.generator")):
            assert torch.equal(value, held["average." + name.partition(".")[2]])
        elif name.startswith("weights.discriminator"):
            assert torch.equal(value, held[name])
    assert new.info()["from"] == str(old.path)
    with pytest.raises(Refused, match="none of its weights fit"):
        gansmith.train(recipe_of("dcgan"), data, tmp_path / "other", start_from=old.path)
    assert not (tmp_path / "other").exists()


def test_a_folder_that_exists_is_refused_before_any_work(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/x").write_text("mine")
    with pytest.raises(Refused, match="the folder exists and is not empty"):
        gansmith.train(recipe_of(), pictures(), tmp_path / "run")
    assert (tmp_path / "run/x").read_text() == "mine"


# --- the watch and the duality gap -----------------------------------------------------------------------


DEAD = {"optimizers": {"generator": {"lr": 0.0}}, "optimizer": {"lr": 1e-2, "betas": [0.0, 0.9]}}


@pytest.fixture
def _often(monkeypatch):
    monkeypatch.setattr(watch, "APART", 1)
    monkeypatch.setattr(player, "SAMPLED_ROUNDS", 1)


@pytest.mark.usefixtures("_often")
def test_a_trouble_is_said_and_stands_at_the_top_of_the_report_and_a_resume_does_not_say_it_again(tmp_path):
    told = "dead generator: its samples do not change at all, and are far from the data. Begin anew"
    stops = Stops(200)
    run = gansmith.train(recipe_of(**DEAD), pictures(), tmp_path / "run", listeners=[stops])
    assert run.info()["status"] == "interrupted"
    (first,) = [event for event in run.events("warning") if event["text"].startswith(told)]
    assert first["images"] < 200
    gansmith.resume(run.path, data=pictures())
    assert [event for event in run.events("warning") if event["text"].startswith(told)] == [first]
    page = run.report_file.read_text()
    assert page.index("Warnings") < page.index("dead generator") < page.index('class="facts"') < page.index("Losses")


@pytest.mark.usefixtures("_often")
def test_an_adapting_training_is_resumed_to_the_same_and_the_report_tells_what_was_done(tmp_path):
    data = pictures()
    recipe = recipe_of(on_trouble="adapt", checkpoint_every=16, **DEAD)
    whole = gansmith.train(recipe, data, tmp_path / "whole")
    cut = gansmith.train(recipe, data, tmp_path / "cut", listeners=[Stops(160)])
    assert cut.info()["status"] == "interrupted"
    gansmith.resume(cut.path, data=data)
    assert unlike(last(whole).tensors, last(cut).tensors) == []
    assert last(whole).rest["eased"] == last(cut).rest["eased"] > 0
    assert "on with learning rates halved (1 of 3)" in whole.report_file.read_text()


def test_reserved_examples_are_not_trained_on_and_show_the_duality_gap(tmp_path):
    data = pictures(60)
    recipe = recipe_of(duality_gap=2, data={"reserve": 20}, snapshots=2)

    class Counts(Listener):
        def begin(self, run, recipe, dataset, images):
            self.count = dataset.count

    counts = Counts()
    run = gansmith.train(recipe, data, tmp_path / "run", listeners=[counts])
    assert counts.count == run.info()["data"]["count"] == 40
    gaps = [event["scores"]["duality-gap"] for event in run.events("score")]
    assert len(gaps) == 2
    assert all(gap >= 0 for gap in gaps)
    card = run.info()["cards"]["duality-gap"]
    assert (card["steps"], card["reference_samples"]) == (2, 20)
    assert "duality-gap" in run.report_file.read_text()
    assert gansmith.resume(run.path, data=data).info()["status"] == "done"


def test_a_duality_gap_without_held_out_examples_is_refused_before_any_work(tmp_path):
    with pytest.raises(Refused, match="duality_gap: blobs has no examples that are not trained on"):
        gansmith.train(recipe_of(duality_gap=5), pictures(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- datasets of one's own -------------------------------------------------------------------------------


def test_a_dataset_of_ones_own_needs_no_more_than_its_array(tmp_path):
    bare = replace(pictures(), fingerprint="", classes=None)
    run = gansmith.train(recipe_of("dcgan"), bare, tmp_path / "run", images=64)
    info = run.info()["data"]
    assert info["conditional"]
    assert info["classes"] == ["0", "1", "2"]
    assert len(info["fingerprint"]) == 64
    assert gansmith.load(run.path).sample(3, label=2).shape == (3, 1, 16, 16)
    with pytest.raises(Refused, match="not those that it began with"):
        gansmith.resume(run.path, data=replace(bare, array=255 - bare.array))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"array": np.zeros((120, 1, 16, 16), np.float32)}, "its array is float32 [120, 1, 16, 16]"),
        ({"array": np.zeros((120, 16, 16), np.uint8)}, "its array is uint8 [120, 16, 16]"),
        ({"labels": np.full(120, 3)}, "its labels must be 120 numbers from 0 to 2"),
        ({"labels": np.zeros(7, np.int64)}, "its labels must be 120 numbers"),
    ],
)
def test_a_dataset_that_is_not_what_it_says_is_refused(tmp_path, wrong, words):
    with pytest.raises(Refused, match=re.escape(words)):
        gansmith.train(recipe_of(), replace(pictures(), **wrong), tmp_path / "run")


def test_a_part_of_what_the_rule_chooses_can_be_given(tmp_path):
    given = {"penalties.r1.every": 3, "optimizer.lr.end": 1e-5, "generator.width": 16}
    told = gansmith.plan("auto", data=pictures(), images=64, overrides=given).recipe
    assert told.penalties["r1"].every == 3
    assert told.penalties["r1"].weight == told.penalties["r2"].weight
    assert told.optimizer.lr.end == 1e-5
    assert told.optimizer.lr.start > 1e-4
    with pytest.raises(Refused, match="evry: no such argument"):
        gansmith.plan("auto", data=pictures(), images=64, overrides={"penalties.r1.evry": 3})


def test_a_dataset_of_ones_own_is_never_scored_against_anothers_test_split(tmp_path, monkeypatch):
    seen = []

    class Scorer:
        def __init__(self, train, test, **_):
            seen.append((train, test))

        def labels(self, n, seed):
            return np.zeros(n, np.int64)

        def evaluate(self, sample, path):
            assert sample(5, 0).examples.shape == (5, *seen[0][0].shape)
            return [Score("fd", 1.0, "lower", {"metric": "fd"})]

    monkeypatch.setattr(scoring, "Scorer", Scorer)
    mine = replace(open_dataset(recipes.Data(source="digits")), fingerprint="")
    odd = replace(mine, array=255 - mine.array)
    gansmith.train(recipe_of(score=True), odd, tmp_path / "mine", images=64)
    assert seen[-1][1] is None
    assert seen[-1][0].labels is not None  # though the networks of `gan` are not told of them
    gansmith.train(recipe_of(score=True), "digits", tmp_path / "digits", images=64)
    assert seen[-1][1].split == "test"


def test_training_in_threads_gives_what_one_gives_alone(tmp_path):
    data, runs = pictures(), {}
    alone = gansmith.train(recipe_of(), data, tmp_path / "alone")

    def work(name):
        runs[name] = gansmith.train(recipe_of(), data, tmp_path / name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(runs) == {"a", "b"}
    for run in runs.values():
        assert unlike(last(alone).tensors, last(run).tensors) == []


# --- the command line ------------------------------------------------------------------------------------

BREAKS = """
import torch
from gansmith.games.synthesis import Synthesis
from gansmith.games.game import Outcome

class Breaks(Synthesis):
    def discriminator_loss(self, turn):
        out = super().discriminator_loss(turn)
        bad = turn.draws.attempt < ATTEMPTS and turn.draws.first >= 40
        terms = {k: v * (float("nan") if bad else 1.0) for k, v in out.terms.items()}
        return Outcome(terms, out.state, out.shared, out.watched)
"""


def broken(tmp_path, attempts):
    (tmp_path / "breaks.py").write_text(BREAKS.replace("ATTEMPTS", str(attempts)))
    fields = {**recipe_of().model_dump(mode="json", exclude_defaults=True), "data": {"source": "digits"}}
    fields["game"] = {"name": f"{tmp_path / 'breaks.py'}:Breaks"}
    (tmp_path / "breaks.yaml").write_text(json.dumps(fields))
    return str(tmp_path / "breaks.yaml")


def test_a_loss_that_turns_nan_once_is_rolled_back(tmp_path, capsys):
    assert main(["train", broken(tmp_path, 1), "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert (
        "warning (at 0 images): divergence: weights became infinite or NaN near image 48: rolled back to image 0" in out
    )
    assert "Done: 240 images" in out


def test_a_loss_that_is_always_nan_ends_in_two_plain_lines(tmp_path, capsys):
    assert main(["train", broken(tmp_path, 99), "--out", "run"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    assert err[0] == "gansmith: error: the weights became infinite or NaN near image 48, after 2 roll-backs"
    assert "--optimizer.lr" in err[1]
    assert Run(tmp_path / "run").info()["status"] == "failed"


def start(*arguments, **options):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "gansmith", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=env, **options,
    )  # fmt: skip


COMMAND = ("gan", "--data", "digits", "--batch", "16", "--snapshots", "3", "--score", "false", "--seed", "7")


def reference(out, tmp_path, images):
    """The same training, never stopped, in this process, by the route that the other chose."""
    route = Run(out).info()["numerics"]["matmul"]
    found = hardware.Probe(route, 1.0, 1e-7, 1.0, 0.0)
    hardware.probe = lambda _=None: found  # the fixture puts these back
    trainer.PROGRESS_SECONDS = 0.7
    overrides = {"batch": 16, "snapshots": 3, "score": False, "seed": 7}
    return last(gansmith.train("gan", "digits", tmp_path / "whole", images=images, overrides=overrides)).tensors


def wait_for(process, condition, seconds=300):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.slow
def test_ctrl_c_saves_says_how_to_go_on_and_the_result_is_the_same(tmp_path):
    run, images = Run(tmp_path / "run"), 24_000
    process = start("train", *COMMAND, "--images", images, "--out", run.path)
    wait_for(process, lambda: list(run.events("progress")))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 1, out
    assert re.search(r"Stopped and saved at [\d,]+ of 24,000 images", out)
    assert f"gansmith resume {run.path}" in out
    assert "Traceback" not in out
    assert run.info()["status"] == "interrupted"
    process = start("resume", run.path)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "no longer bit-exact" not in out
    assert unlike(last(run).tensors, reference(run.path, tmp_path, images)) == []
    clocks = [e["images"] for e in events(run, "progress")]
    assert clocks == sorted(set(clocks))
    assert [e["images"] for e in events(run, "snapshot")] == [8000, 16_000, 24_000]


@pytest.mark.slow
def test_kills_at_random_instants_change_nothing(tmp_path):
    """`bench/kill.py` does fifty."""
    run, images, draw = Run(tmp_path / "run"), 12_000, random.Random(1)
    arguments, kills = ["train", *COMMAND, "--images", images, "--checkpoint-every", 320, "--out", run.path], 0
    while kills < 3:
        process = start(*arguments)
        reached = [int(p.stem) for p in run.checkpoints()][-1:] or [0]
        wait_for(process, lambda reached=reached: [int(p.stem) for p in run.checkpoints()][-1:] > reached)
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.communicate()
        kills, arguments = kills + (process.returncode == -signal.SIGKILL), ["resume", run.path]
        if process.returncode == 0:
            break
    process = start("resume", run.path)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert kills >= 1
    assert unlike(last(run).tensors, reference(run.path, tmp_path, images)) == []
    clocks = [e["images"] for e in events(run, "progress")]
    assert clocks == sorted(set(clocks))
    assert not list(run.path.rglob("*.tmp"))
