import json
import os
import shlex
import sys
import time
from contextlib import ExitStack

import pytest

from gansmith.cli.main import main
from gansmith.engine import checkpoint
from gansmith.errors import Refused
from gansmith.playground.room import House, Post
from gansmith.playground.runs import Handler, Runs
from gansmith.playground.trainings import Trainings
from gansmith.run import Run
from gansmith.scores import Evaluation, Score, keep
from playground.serving import Client, served
from playground.written import CARD, append, grid_at, progress, write


def ask(runs, do, /, **fields):
    told = runs.answer({"do": do, **fields})
    json.dumps(told, allow_nan=False)  # it is plain
    runs._listed = (-1.0, {})
    return told


def row(runs, name):
    return next(each for each in ask(runs, "list")["runs"] if each["run"] == name)


def score(images, value):
    return {"event": "score", "images": images, "scores": {"fd-digits": value, "fd-digits/spread": 0.1}}


def test_the_list_tells_where_each_run_stands(tmp_path):
    end = {"event": "end", "images": 1000, "time": 3000.0, "reason": "done"}
    write(tmp_path / "one", [progress(500), score(500, 9.0), progress(1000), score(1000, 4.0), end])
    write(tmp_path / "two", [progress(250), {"event": "warning", "images": 250, "text": "it collapses"}])
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "run.json").write_text("{")
    told = ask(Runs(tmp_path), "list")["runs"]
    assert [each["run"] for each in told] == ["three", "one", "two"]  # of two that began together, by name
    damaged, one, two = told
    assert (damaged["status"], damaged["told"]) == ("damaged", "damaged, or not readable")
    assert (one["recipe"], one["data"], one["images"], one["total"]) == ("gan", "digits", 1000, 1000)
    assert one["best"] == {"name": "fd-digits", "value": 4.0, "images": 1000, "better": "lower"}
    assert (one["status"], one["stop"], one["resume"], one["rate"]) == ("done", False, False, None)
    assert (two["status"], two["warned"], two["left"], two["resume"]) == ("running", 1, 7.5, True)
    assert str(tmp_path) not in json.dumps(told)


def test_the_newest_is_the_first_and_progress_moves_none(tmp_path):
    runs = {name: write(tmp_path / name, time=time) for name, time in (("a", 10), ("b", 30), ("c", 20))}
    room = Runs(tmp_path)
    assert [each["run"] for each in ask(room, "list")["runs"]] == ["b", "c", "a"]
    append(runs["a"], progress(500))
    assert [each["run"] for each in ask(room, "list")["runs"]] == ["b", "c", "a"]


def test_many_pages_that_ask_at_once_cost_as_one(tmp_path):
    write(tmp_path / "one", [progress(500)])
    runs = Runs(tmp_path)
    first = runs.answer({"do": "list"})
    write(tmp_path / "two")
    assert runs.answer({"do": "list"}) is first
    time.sleep(0.45)
    assert len(runs.answer({"do": "list"})["runs"]) == 2


def test_a_look_tells_what_is_new(tmp_path):
    run = write(tmp_path / "one", [progress(100), score(100, 9.0)])
    grid_at(run, 100)
    runs = Runs(tmp_path)
    told = ask(runs, "look", runs=[{"run": "one"}])["runs"][0]
    assert told["table"]["images"] == [100]
    assert told["scores"] == [
        {"images": 100, "values": {"fd-digits": 9.0}, "spreads": {"fd-digits": 0.1}, "seconds": 1.0}
    ]
    assert told["snapshots"] == [100]
    append(run, progress(200), {"event": "warning", "images": 200, "text": "careful"})
    new = ask(runs, "look", runs=[{"run": "one", "epoch": told["table"]["epoch"], "have": 1}])["runs"][0]
    assert (new["table"]["from"], new["table"]["images"], new["images"]) == (0, [100, 200], 200)
    assert new["warnings"] == [(200, "careful")]
    with pytest.raises(Refused, match="no run 'none'"):
        ask(runs, "look", runs=[{"run": "none"}])
    with pytest.raises(Refused, match="a list of"):
        ask(runs, "look", runs=[{"run": "one"}] * 13)


def test_scores_of_unlike_cards_are_kept_apart(tmp_path):
    other = {"fd-digits": {**CARD, "samples": 1000}}
    write(tmp_path / "a", [score(10, 1.0)])
    write(tmp_path / "b", [score(10, 2.0)])
    write(tmp_path / "c", [score(10, 3.0)], cards=other)
    write(tmp_path / "d", [score(10, 3.0)], cards={})
    told = ask(Runs(tmp_path), "look", runs=[{"run": name} for name in "abcd"])["alike"]["fd-digits"]
    assert [(group["runs"], group["unlike"]) for group in told] == [
        (["a", "b"], []), (["c"], ["samples: 297 and 1000"]), (["d"], ["no card says how it was measured"]),
    ]  # fmt: skip


def test_details_hold_recipe_cards_and_evaluations(tmp_path):
    run = write(tmp_path / "one", [progress(1000)], notes=["chosen so"])
    keep(run, Evaluation("one", 1000, [Score("fd-digits", 4.0, "lower", CARD, 0.1, "error")]))
    told = ask(Runs(tmp_path), "details", run="one")
    assert "\nname: gan\n" in told["recipe"]
    assert told["cards"] == {"fd-digits": CARD}
    assert told["evaluations"][0]["scores"][0]["value"] == 4.0
    assert told["notes"] == ["chosen so"]
    assert any(line.startswith("gansmith sample") for line in told["commands"])
    run.scores_file.write_text("{")
    assert ask(Runs(tmp_path), "details", run="one")["evaluations"] == []


def test_pictures_are_those_of_the_run_and_none_else(tmp_path):
    run = write(tmp_path / "runs" / "one", [progress(100)])
    grid_at(run, 100)
    runs = Runs(tmp_path / "runs")
    assert ask(runs, "picture", run="one", images=100)["picture"].startswith("data:image/png;base64,iVBOR")
    for images in (200, None):
        with pytest.raises(Refused, match="one: has no such picture"):
            ask(runs, "picture", run="one", images=images)
    secret = tmp_path / "secret.png"
    secret.write_bytes(run.sample_file(100).read_bytes())
    run.neighbours_file.symlink_to(secret)
    with pytest.raises(Refused, match="no such picture"):
        ask(runs, "picture", run="one")
    for images in ("../../secret", "100", -1, 1e30, True):
        with pytest.raises(Refused, match="expected a whole number"):
            ask(runs, "picture", run="one", images=images)


@pytest.mark.parametrize("do", ["look", "details", "picture", "stop", "resume"])
@pytest.mark.parametrize("name", ["../secret", "/etc", "one/../../secret", "nothing"])
def test_a_path_outside_is_refused_whatever_is_asked(tmp_path, do, name):
    write(tmp_path / "secret")
    write(tmp_path / "runs" / "one")
    fields = {"runs": [{"run": name}]} if do == "look" else {"run": name, "images": 1}
    with pytest.raises(Refused, match=r"^no run '[^']*' in the runs folder$"):
        ask(Runs(tmp_path / "runs"), do, **fields)


@pytest.mark.parametrize("do", [None, 3, "__init__", "folder", "answer", "x" * 10_000])
def test_what_it_cannot_do_is_refused(tmp_path, do):
    with pytest.raises(Refused, match="do: expected"):
        Runs(tmp_path).answer({"do": do})


def test_all_pages_share_the_room(tmp_path):
    house = House(tmp_path, local=False)
    one, two = (Handler(house, Post("runs", print)) for _ in range(2))
    assert one.runs is two.runs
    assert one.hear({"do": "choices"})["local"] is False


def test_what_can_be_trained_is_told(tmp_path):
    told = ask(Runs(tmp_path), "choices")
    assert {"auto", "gan", "wgan-gp"} <= {each["name"] for each in told["recipes"]}
    assert all(each["summary"] for each in told["recipes"])
    assert {"digits", "ring", "mnist"} <= {each["name"] for each in told["data"]}


# --- trainings -------------------------------------------------------------------------------------


def until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


SMALL = [
    {"name": name, "value": value}
    for name, value in {"score": "false", "generator.hidden": "[8]", "discriminator.hidden": "[8]", "batch": "16",
                        "snapshots": "2", "compile": "off"}.items()
]  # fmt: skip


def test_a_run_started_here_equals_the_command_that_it_shows(tmp_path):
    runs = Runs(tmp_path / "runs")
    order = {"recipe": "gan", "data": "ring", "length": {"kind": "images", "value": 640}, "seed": 5, "fields": SMALL}
    shown = ask(runs, "command", **order)
    assert not (tmp_path / "runs").exists()
    begun = ask(runs, "start", **order)
    assert begun == shown
    words = shlex.split(begun["command"])
    assert words[0] == "gansmith"
    words[words.index("--out") + 1] = str(tmp_path / "other")
    assert main(words[1:]) == 0
    until(lambda: not runs.trainings.living(begun["run"]))
    made = [checkpoint.newest(Run(path)) for path in (tmp_path / "runs" / begun["run"], tmp_path / "other")]
    assert made[0].rest["images"] == made[1].rest["images"] == 640
    assert made[0].tensors.keys() == made[1].tensors.keys()
    assert all(made[0].tensors[name].equal(made[1].tensors[name]) for name in made[0].tensors)
    assert row(runs, begun["run"])["status"] == "done"


LONG = {"recipe": "gan", "data": "ring", "length": {"kind": "images", "value": "50M"}, "fields": SMALL}


@pytest.mark.slow
def test_a_training_is_watched_stopped_and_resumed(tmp_path):
    runs = Runs(tmp_path)
    name = ask(runs, "start", **LONG)["run"]
    assert row(runs, name)["status"] == "starting"
    assert until(lambda: row(runs, name)["status"] == "running" and row(runs, name)["images"])
    try:
        assert row(runs, name)["stop"]
        with pytest.raises(Refused, match="is being trained already"):
            ask(runs, "resume", run=name)
    finally:
        ask(runs, "stop", run=name)
    until(lambda: not runs.trainings.living(name))
    stopped = row(runs, name)
    assert (stopped["status"], stopped["stop"], stopped["resume"]) == ("interrupted", False, True)
    again = Runs(tmp_path)  # the server was begun anew
    assert ask(again, "resume", run=name)["command"] == f"gansmith resume {tmp_path / name}"
    until(lambda: row(again, name)["images"] > stopped["images"])
    third = Runs(tmp_path)  # which has not begun it, and still can stop it
    assert row(third, name)["stop"]
    assert Run(tmp_path / name).trained_by() != os.getpid()
    ask(third, "stop", run=name)
    until(lambda: not again.trainings.living(name))
    assert row(third, name)["status"] == "interrupted"
    clocks = [e["images"] for e in Run(tmp_path / name).events("progress")]
    assert clocks == sorted(set(clocks))


def test_one_that_fails_to_start_says_why(tmp_path):
    refuses = "import sys; print('gansmith: error: no such loss'); sys.exit(2)"
    runs = Runs(tmp_path, Trainings((sys.executable, "-c", refuses)))
    name = ask(runs, "start", **LONG)["run"]
    until(lambda: not runs.trainings.living(name))
    told = row(runs, name)
    assert (told["status"], told["said"]) == ("failed to start", "gansmith: error: no such loss")
    assert (told["stop"], told["resume"]) == (False, False)
    ask(runs, "forget", run=name)
    assert ask(runs, "list")["runs"] == []


def test_so_many_at_once_is_told(tmp_path):
    runs = Runs(tmp_path, Trainings(("sleep", "0.2"), most=0))
    with pytest.raises(Refused, match="0 trainings go on already"):
        ask(runs, "start", **LONG)


def test_twenty_pages_in_the_room_at_once(tmp_path):
    write(tmp_path / "runs" / "one", [progress(i) for i in range(1, 400)])
    write(tmp_path / "secret")
    with served(tmp_path / "runs") as port, ExitStack() as stack:
        pages = [stack.enter_context(Client(port, "runs")) for _ in range(20)]
        for page in pages:
            page.id += 1
            page.tell("look", runs=[{"run": "one"}], id=1)
        told = [page.until(lambda each: each.get("id") == 1)["runs"][0]["table"]["images"] for page in pages]
        assert told == [list(range(1, 400))] * 20
        for page in pages[1:]:
            page.line.close()  # closed in the middle
        refused = pages[0].ask("details", run="../secret")
        assert refused["refused"] == "no run '../secret' in the runs folder"
        assert pages[0].ask("nonsense")["refused"].startswith("do: expected one of")
        assert pages[0].ask("list")["runs"][0]["run"] == "one"
