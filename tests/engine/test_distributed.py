import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gansmith.engine import distributed
from gansmith.errors import Refused
from gansmith.run import Run

from .playing import make_player, make_recipe, play, state
from .test_player import SGD, Stateful

STEPS = ("gan", "dcgan", "r3gan", "wgan-gp", "ada", "ada-adaptive", "sngan", "reacgan")
GRADIENTS = ("gan", "dcgan", "r3gan", "ada", "ada-adaptive", "sagan", "pggan")
ROUNDS = 50


def recipe_for(name, **fields):
    return make_recipe(name, **{"precision": "fp64", **fields})


def first_gradients(name):
    """The gradients of both sides' first steps in float32, and the player after them."""
    player = play(make_player(recipe_for(name, precision="fp32")), 1)
    return {f"{move}.{i}": g.clone() for move, side in player.sides.items() for i, g in enumerate(side.grads)}, player


def torchrun(*arguments, **options):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT"}
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """What two ranks came to: tensors, and facts of each."""
    out = tmp_path_factory.mktemp("ranks") / "found.safetensors"
    process = torchrun(Path(__file__).with_name("ranks.py"), out)
    text, _ = process.communicate(timeout=500)
    assert process.returncode == 0, text
    facts = [json.loads(out.with_suffix(suffix).read_text()) for suffix in (".json", ".other")]
    return load_file(out), facts


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_two_ranks_with_half_a_batch_each_equal_one_with_the_whole(played, name):
    found, (facts, _) = played
    assert facts["world"] == 2
    player = play(make_player(recipe_for(name)), ROUNDS)
    worst = max(
        float((found[f"{name}/{key}"].double() - value.double()).abs().max()) for key, value in state(player).items()
    )
    print(f"{name}: {worst:.1e} after {ROUNDS} steps")
    assert worst < 1e-8
    assert facts[f"{name}/terms"] == pytest.approx(player.terms(), rel=1e-5)


@pytest.mark.parametrize("name", GRADIENTS)
def test_in_float32_the_first_gradients_agree_and_the_replicas_are_bit_equal(played, name):
    found, (facts, other) = played
    gradients, _ = first_gradients(name)
    worst = max(
        float((found[f"first {name}/{key}"] - value).abs().max() / value.abs().max())
        for key, value in gradients.items()
    )
    print(f"{name}: first gradients {worst:.1e}")
    assert worst < 1e-5
    assert facts[f"{name}/spread"] == other[f"{name}/spread"] == 0.0
    assert facts[f"{name}/resume"] == other[f"{name}/resume"] == 0


def test_weights_are_the_first_ranks_at_the_start(played):
    assert [facts["broadcast"] for facts in played[1]] == [0.0, 0.0]


def test_states_are_brought_together_over_ranks(played):
    found, _ = played
    player = play(make_player(recipe_for("toy", optimizer={**SGD, "lr": 1.0}), game=Stateful()), 3)
    for key, value in state(player).items():
        if key != "state.last":
            assert torch.allclose(found[f"stateful/{key}"].double(), value.double(), rtol=1e-5), key


def test_the_first_rank_shows_and_all_stop_together(played):
    first, other = played[1]
    assert first["trained"] == other["trained"] == "done"
    assert first["snapshots"] == [40, 80, 120, 160]
    assert first["stopped"] == other["stopped"] == "interrupted"
    assert first["stopped at"] == other["stopped at"] < 8000


def test_all_go_back_and_on_more_gently_together(played):
    first, other = played[1]
    assert first["adapted"] == other["adapted"]
    eased, attempt, apart, kept = first["adapted"]
    assert eased == attempt > 0
    assert apart == 0.0
    assert kept >= 2


def test_no_thread_of_the_group_outlives_it(played):
    # One that does wants the interpreter's lock while it ends, and aborts the process after all is done.
    assert [facts["threads"] for facts in played[1]] == [[], []]


def test_alone_nothing_is_exchanged(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not distributed.launched()
    assert distributed.is_first()
    with distributed.joined(torch.device("cpu")):
        assert not torch.distributed.is_initialized()
        assert distributed.agree(True, torch.device("cpu"))
        assert not distributed.agree(False, torch.device("cpu"))
        assert distributed.share(1.5, torch.device("cpu")) == 1.5


@pytest.mark.parametrize(("failed_before", "silent"), [(0, False), (1, True)])
def test_a_lost_rank_is_said_once_and_plainly(monkeypatch, failed_before, silent):
    class Store:
        def add(self, key, n):
            return failed_before + n

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *_, **__: None)
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    monkeypatch.setattr("torch.distributed.distributed_c10d._get_default_store", Store)
    with pytest.raises(Refused, match="another rank has ended") as caught, distributed.joined(torch.device("cpu")):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:27301")
    assert caught.value.silent is silent
    with pytest.raises(RuntimeError, match="a defect"), distributed.joined(torch.device("cpu")):
        raise RuntimeError("a defect")
    with pytest.raises(Refused) as caught, distributed.joined(torch.device("cpu")):
        raise Refused("no space")
    assert caught.value.silent is silent


RECIPE = """
name: two
generator: {network: dcgan, width: 4}
discriminator: {network: dcgan, width: 4}
noise: 6
batch: 16
score: false
snapshots: 2
precision: fp32
"""


@pytest.fixture
def recipe_file(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(RECIPE)
    return file


@pytest.mark.slow
def test_ctrl_c_under_torchrun_saves_and_a_resume_goes_on(tmp_path, recipe_file):
    run = Run(tmp_path / "run")
    process = torchrun("-m", "gansmith", "train", recipe_file, "--data", "digits", "--images", "2M", "--out", run.path)
    until = time.monotonic() + 300
    while len(list(run.events("progress"))) < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    # Of the two ranks one speaks. (What torchrun says of a signal comes after it.)
    assert out.count("two on digits") == 1
    assert len(re.findall(r"Stopped and saved at [\d,]+ of 2,000,000 images", out)) == 1
    assert f"gansmith resume {run.path}" in out
    assert "gansmith/" not in out  # no traceback goes through the package
    info = run.info()
    assert info["status"] == "interrupted"
    assert info["numerics"]["world"] == 2
    # Alone it goes on too, and says that this is no longer exact.
    assert "images:" not in run.recipe_file.read_text()  # 2M is the default
    with open(run.recipe_file, "a") as file:
        file.write(f"images: {info['images'] + 64}\n")
    alone = subprocess.run(
        [sys.executable, "-m", "gansmith", "resume", run.path], capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert "no longer bit-exact: world 2 → 1" in alone.stdout
    assert run.info()["images"] == info["images"] + 64


@pytest.mark.slow
def test_what_is_refused_is_refused_by_all_and_said_by_one(tmp_path, recipe_file):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "x").touch()
    command = [sys.executable, "-m", "gansmith", "train", str(recipe_file), "--data", "digits", "--out", str(taken)]
    ranks = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=300)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [2, 2]
    assert re.fullmatch(r"gansmith: error: .*taken: the folder exists and is not empty\n`gansmith resume .*\n", said[0])
    assert said[1] == ""
