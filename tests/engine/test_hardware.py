import os
import subprocess
import sys
import time

import pytest
import torch

from gansmith.engine import hardware
from gansmith.errors import Refused

from .playing import numerics


def test_a_probe_takes_less_than_half_a_second_and_changes_nothing():
    torch.set_float32_matmul_precision("high")
    seed = torch.random.get_rng_state()
    began = time.process_time()
    found = hardware.probe.__wrapped__()
    assert time.process_time() - began < 0.5
    assert found.seconds < 5.0  # of the wall's time, on a machine that others use too
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.equal(torch.random.get_rng_state(), seed)
    assert found.matmul in ("highest", "high", "medium")
    assert found.matmul_gain >= 1.0
    assert found.bf16_gain > 0
    assert len(found.lines()) == 2


def test_a_probe_measures_one_thread_and_gives_the_others_back(monkeypatch):
    seen = []
    monkeypatch.setattr(hardware, "_seconds", lambda *_: seen.append(torch.get_num_threads()) or 1.0)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        hardware.probe.__wrapped__()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


def test_the_route_that_a_probe_takes_is_a_float32_one():
    route = hardware.probe().matmul
    torch.set_float32_matmul_precision(route)
    draw = torch.Generator().manual_seed(1)
    a, b = torch.randn(64, 700, generator=draw), torch.randn(700, 96, generator=draw)
    exact = a.double() @ b.double()
    assert ((a @ b).double() - exact).norm() / exact.norm() < hardware.ACCURATE


def test_an_inaccurate_route_is_not_taken_however_fast(monkeypatch):
    real = torch.nn.functional.linear

    def linear(a, b):
        if torch.get_float32_matmul_precision() == "medium":  # as on a CPU with AMX
            return real(a.bfloat16(), b.bfloat16()).float()
        return real(a, b)

    monkeypatch.setattr(hardware.F, "linear", linear)
    times = {"highest": 1.0, "high": 0.95, "medium": 0.1}
    monkeypatch.setattr(hardware, "_seconds", lambda *_: times[torch.get_float32_matmul_precision()])
    found = hardware.probe.__wrapped__()
    assert found.medium_error > 1e-3
    assert found.matmul == "highest"  # `high` is too little faster to be more than noise


def test_auto_precision_is_bf16_where_it_pays(monkeypatch):
    for gain, chosen in ((2.0, "bf16"), (1.2, "fp32")):
        monkeypatch.setattr(hardware, "probe", lambda _, gain=gain: hardware.Probe("high", 2.0, 1e-7, gain, 0.1))
        found = hardware.decide("auto", "off", torch.device("cpu"), 1)
        assert (found.precision, found.matmul, found.compiled) == (chosen, "high", False)
        assert hardware.decide("fp64", "off", torch.device("cpu"), 1).precision == "fp64"


def test_numerics_say_what_differs():
    mine = numerics()
    assert mine.differs(mine.record()) == []
    assert mine.differs({**mine.record(), "threads": 4, "torch": "2.0", "unknown": 1}) == [
        "threads 4 → 1", f"torch 2.0 → {torch.__version__}",
    ]  # fmt: skip


def test_borrowed_settings_are_given_back_whatever_happens():
    torch.set_float32_matmul_precision("highest")

    def spoil():
        with hardware.borrowed():
            torch.set_num_threads(2)
            torch.set_float32_matmul_precision("medium")
            raise KeyError

    with pytest.raises(KeyError):
        spoil()
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.skipif(not hasattr(os, "wait4") or hardware._glibc() is None, reason="glibc alone")
def test_freed_memory_is_kept_while_training_and_given_back_after():
    # In a process of its own: what an allocator holds depends on all that a process did before.
    script = """
import resource, torch
from gansmith.engine import hardware
torch.set_num_threads(1)
def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.zeros(1_500_000) for _ in range(8)]
    del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def held():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
numerics = hardware.decide("fp32", "off", torch.device("cpu"), 1)
with hardware.borrowed():
    hardware.apply(numerics)
    step()
    inside, during = sorted(step() for _ in range(5))[2], held()
print(inside, during - held())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
    faults, given_back = map(float, done.stdout.split())
    assert faults < 100  # 48 MB are 12,000 pages
    assert given_back > 40


@pytest.mark.skipif(hardware._glibc() is None, reason="glibc alone")
def test_who_borrows_inside_a_training_leaves_it_its_memory(monkeypatch):
    given_back = []
    monkeypatch.setattr(hardware._memory, "kept", False)
    monkeypatch.setattr(hardware._Memory, "give_back", lambda self: given_back.append(setattr(self, "kept", False)))
    with hardware.borrowed():
        pass  # a model that samples: it kept nothing, and has nothing to give back
    assert not given_back
    with hardware.borrowed():
        hardware.apply(numerics())
        with hardware.borrowed():
            pass
        assert not given_back
    assert len(given_back) == 1


def test_deterministic_kernels_are_asked_for_and_the_setting_is_given_back(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    now = hardware.decide("fp32", "off", torch.device("cpu"), 1, deterministic=True)
    assert now.deterministic
    assert now.record()["deterministic"]
    with hardware.borrowed():
        hardware.apply(now)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_device_that_is_not_there_is_refused():
    assert hardware.pick_device("cpu") == torch.device("cpu")
    with pytest.raises(Refused, match="--device tpu: not available here"):
        hardware.pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(Refused, match="--device cuda:1"):
            hardware.pick_device("cuda:1")
        assert hardware.pick_device("auto").type in ("cpu", "mps")


def test_the_last_training_to_end_puts_the_settings_back():
    before = torch.get_float32_matmul_precision()
    first, second = hardware.borrowed(), hardware.borrowed()
    try:
        torch.set_float32_matmul_precision("highest")
        first.__enter__()
        torch.set_float32_matmul_precision("medium")
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_float32_matmul_precision() == "medium"  # the other still trains
        second.__exit__(None, None, None)
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)
