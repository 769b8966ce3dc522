import time

import numpy as np
import pytest

from gansmith.playground.lab.settings import Settings

from ..serving import Client, served

SMALL = {"penalties": {}, "d_width": 8, "g_width": 8, "batch": 16}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with served(tmp_path_factory.mktemp("runs")) as port:
        yield port


@pytest.fixture
def page(port):
    with Client(port) as page:
        yield page


def test_what_there_is_to_choose_comes_from_the_package(page):
    hello = page.ask("hello")
    assert {"hinge", "wasserstein", "relativistic"} <= set(hello["choices"]["loss"])
    assert {"r1", "r2", "gradient_penalty", "dragan", "lecam"} <= set(hello["choices"]["penalties"])
    assert "energy" not in hello["choices"]["loss"]  # which wants another kind of discriminator
    assert "path_length" not in hello["choices"]["penalties"]
    assert hello["settings"] == Settings().model_dump()


def test_steps_seeks_and_branches(page):
    page.tell("want", parts=["fakes"])
    assert "refused" not in page.ask("start", sides=[SMALL])
    world = next(each for each in page.heard if each["kind"] == "world")
    assert world["arrays"]["real"].shape == (400, 2)
    assert world["facts"][0]["modes"] == 8
    page.tell("step", kind="round", count=30)
    frame = page.still(30)
    assert frame["end"] == 30
    assert set(frame["arrays"]) == {"0.fakes"}
    assert frame["sides"][0]["rounds"] == 30
    assert frame["sides"][0]["straight"]
    assert [row[0] for row in frame["sides"][0]["points"]][-3:] == [28, 29, 30]  # each of them, step by step
    page.tell("seek", at=10)
    page.still(10)
    page.tell("change", who=0, settings={**SMALL, "loss": "hinge"})
    page.tell("step", kind="generator")
    other = page.still(11)
    assert other["end"] == 11
    assert other["branches"] == [{"at": 10, "end": 30}]
    assert not other["sides"][0]["straight"]
    page.tell("follow", branch=0)
    back = page.still(30)
    assert np.array_equal(back["arrays"]["0.fakes"], frame["arrays"]["0.fakes"])
    assert back["branches"] == [{"at": 10, "end": 11}]


def test_it_runs_at_the_speed_that_is_asked_for(page):
    page.ask("start", sides=[SMALL])
    page.tell("run", speed=40)
    page.until(lambda each: each["kind"] == "frame" and each["at"] >= 4)
    begun, at = time.monotonic(), page.heard[-1]["at"]
    last = page.until(lambda each: each["kind"] == "frame" and each["at"] >= at + 40)
    assert 0.6 < time.monotonic() - begun < 4
    assert last["running"]
    page.ask("pause")
    page.tell("run", speed=0)
    page.until(lambda each: each["kind"] == "frame" and each["at"] > at + 200)
    page.tell("pause")  # asked, it might hear the frame before the answer
    page.until(lambda each: each["kind"] == "frame" and not each["running"])


def test_frames_come_only_as_they_are_drawn(page):
    page.ask("start", sides=[SMALL])
    acknowledged = page.tell
    page.tell = lambda do, **fields: None if do == "ack" else acknowledged(do, **fields)
    page.ask("run", speed=0)
    time.sleep(1.0)
    page.ask("pause")
    assert sum(each["kind"] == "frame" for each in page.heard) <= 2
    acknowledged("ack")
    assert page.until(lambda each: each["kind"] == "frame")["at"] > 20  # it went on all the same


def test_the_same_acts_lead_to_the_same_picture(page, port):
    page.tell("want", parts=["fakes", "surface"])
    page.ask("start", sides=[SMALL])
    page.tell("step", kind="round", count=12)
    page.tell("step", kind="discriminator", count=2)
    page.ask("change", who=0, settings={**SMALL, "g_lr": 0.01})
    page.tell("step", kind="round", count=8)
    frame, sides = page.still(22), page.ask("acts")["sides"]
    assert sides[0]["at"] == 22
    with Client(port) as other:
        other.tell("want", parts=["fakes", "surface"])
        other.ask("start", sides=[side["begun"] for side in sides], acts=[side["acts"] for side in sides], at=22)
        again = other.still(22)
    assert all(np.array_equal(frame["arrays"][name], again["arrays"][name]) for name in frame["arrays"])
    assert again["sides"][0]["settings"]["g_lr"] == 0.01


def test_a_duel_goes_in_step(page):
    page.tell("want", parts=["fakes"])
    page.ask("start", sides=[SMALL, {**SMALL, "loss": "hinge"}])
    page.tell("step", kind="round", count=5)
    frame = page.still(5)
    assert [side["rounds"] for side in frame["sides"]] == [5, 5]
    assert set(frame["arrays"]) == {"0.fakes", "1.fakes"}
    page.tell("change", who=1, settings={**SMALL, "loss": "minimax"})
    page.tell("step", kind="round", count=5)
    assert [side["settings"]["loss"] for side in page.still(10)["sides"]] == ["relativistic", "minimax"]
    refused = page.ask("start", sides=[SMALL, {**SMALL, "seed": 5}])
    assert "same data and seed" in refused["refused"]


def test_what_is_drawn_is_trained_on_and_can_be_had_as_a_file(page):
    assert "drawn yet" in page.ask("start", sides=[{**SMALL, "data": "drawn"}])["refused"]
    page.ask("start", sides=[{**SMALL, "data": "drawn"}], drawn=[0.5, 0.5, -0.5, -0.5])
    page.tell("file")
    file = page.until(lambda each: each["kind"] == "file")
    assert file["arrays"]["bytes"][:2].tobytes() == b"PK"
    copied = page.ask("copy", who=0)
    assert "--data drawn.npz" in copied["command"]
    assert copied["same"]


def test_what_cannot_be_is_refused_and_nothing_is_lost(page):
    assert "nothing has been started" in page.ask("step", kind="round")["refused"]
    page.ask("start", sides=[SMALL])
    page.tell("step", kind="round", count=3)
    page.still(3)
    for do, fields, says in (
        ("change", {"who": 0, "settings": {**SMALL, "loss": "energy"}}, "none is called 'energy'"),
        ("change", {"who": 0, "settings": {**SMALL, "penalties": {"path_length": 1}}}, "none is called"),
        ("change", {"who": 1, "settings": SMALL}, "one side alone"),
        ("change", {"who": 0, "settings": {**SMALL, "seed": 7}}, "new start"),
        ("step", {"kind": "encoder"}, "round, discriminator or generator"),
        ("step", {"count": 10**9}, "whole number"),
        ("run", {"speed": -1}, "speed"),
        ("want", {"parts": ["secrets"]}, "parts"),
        ("follow", {"branch": 3}, "no such branch"),
        ("start", {"sides": []}, "one or two"),
        ("start", {"sides": [SMALL], "drawn": [[99, 0]]}, "what is drawn"),
    ):
        assert says in page.ask(do, **fields)["refused"]
    page.tell("step", kind="round")
    assert page.still(4)["sides"][0]["straight"]


def test_weights_that_are_lost_are_said_so(page):
    page.ask("start", sides=[{**SMALL, "optimizer": "sgd", "d_lr": 10, "g_lr": 10, "loss": "wasserstein"}])
    page.ask("run", speed=0)
    frame = page.until(lambda each: each["kind"] == "frame" and each["sides"][0]["troubles"])
    assert frame["sides"][0]["troubles"][0]["name"] == "divergence"
