import time
from dataclasses import replace

import pytest
import torch

from gansmith.engine import measure
from gansmith.engine.step import Eager
from gansmith.errors import Refused

from .playing import make_player, make_recipe, play, state, unlike

CPU_TEXT = (
    "[enforce fail at alloc_cpu.cpp:126] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


class Small(Eager):
    """A machine in whose memory no more than so many examples fit."""

    def __init__(self, game, rows, error=None):
        super().__init__(game)
        self.rows, self.error = rows, error or torch.OutOfMemoryError("CUDA out of memory.")

    def __call__(self, move, turn, targets):
        if len(turn.batch.data) > self.rows:
            raise self.error
        return super().__call__(move, turn, targets)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("x"), RuntimeError(CPU_TEXT), MemoryError()])
@pytest.mark.parametrize(("batch", "rows", "fits"), [(8, 4, 4), (8, 3, 2), (24, 7, 6), (9, 8, 3)])
def test_out_of_memory_names_the_batch_that_failed_and_one_that_fits(error, batch, rows, fits):
    player = make_player(make_recipe("gan", batch=batch))
    player.stepper = Small(player.game, rows, error)
    with pytest.raises(Refused) as caught:
        measure.trial(player)
    assert caught.value.what == f"out of memory on cpu: a batch of {batch} does not fit"
    assert f"--microbatch {fits} " in caught.value.remedy
    assert fits <= rows
    # What it says is so: with that flag it plays, and comes to the same.
    split = make_player(make_recipe("gan", batch=batch, microbatch=fits, precision="fp64"))
    split.stepper = Small(split.game, rows, error)
    whole = make_player(make_recipe("gan", batch=batch, precision="fp64"))
    a, b = state(play(split, 3)), state(play(whole, 3))
    assert max((a[k].double() - b[k].double()).abs().max().item() for k in a) < 1e-6


def test_out_of_memory_where_nothing_fits_or_nothing_can_be_split():
    player = make_player(make_recipe("gan"))
    player.stepper = Small(player.game, 0)
    with pytest.raises(Refused, match="not even 1 fits"):
        measure.trial(player)
    coupled = make_player(make_recipe("dcgan"))
    coupled.stepper = Small(coupled.game, 4)
    with pytest.raises(Refused) as caught:
        measure.trial(coupled)
    assert "microbatch" not in caught.value.remedy
    assert "--batch" in caught.value.remedy


def test_the_allocators_own_words_are_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert measure.out_of_memory(caught.value)
    assert measure.out_of_memory(RuntimeError("MPS backend out of memory (allocated: 1 GB)"))
    assert not measure.out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not measure.out_of_memory(ValueError("out of memory"))


def test_a_rate_throughout_weighs_each_phase_by_its_length(monkeypatch):
    seen = []

    def trial(player):
        seen.append((player.phase, player.images))
        rate = {"4": 100.0, "8 fade": 50.0, "8": 40.0, "16 fade": 20.0, "16": 10.0}[player.phase]
        return measure.Rate(rate, 2 * rate)

    monkeypatch.setattr(measure, "trial", trial)
    player = make_player(make_recipe("pggan"))  # four phases of 50 images, and one of 200
    before, clock = state(player), player.clock()
    rate = measure.throughout(player)
    assert seen == [("4", 0), ("8 fade", 56), ("8", 104), ("16 fade", 152), ("16", 200)]
    seconds = 50 / 100 + 50 / 50 + 50 / 40 + 50 / 20 + 200 / 10
    assert rate.images_per_second == pytest.approx(400 / seconds)
    assert rate.images_per_cpu_second == pytest.approx(800 / seconds)
    assert unlike(before, player) == []
    assert player.clock() == clock


def test_compilation_is_tried_in_the_longest_phase(monkeypatch):
    seen = []

    def trial(player, *, warmup=0):
        compiled = not isinstance(player.stepper, Eager)
        seen.append((player.phase, compiled))
        return measure.Rate(30.0, 60.0) if compiled else measure.Rate(20.0, 20.0)

    monkeypatch.setattr(measure, "trial", trial)
    player = make_player(make_recipe("pggan"))
    rate, line = measure.choose_compilation(player, measure.Rate(100.0, 100.0), "on")
    assert seen == [("16", False), ("16", True)]
    assert rate == measure.Rate(300.0, 300.0)
    assert line == "compile: on (a trial gave 3.00x)"
    assert player.phase == "4"


@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan"])
def test_a_trial_measures_and_leaves_no_trace(name):
    recipe = make_recipe(name)
    player, other = play(make_player(recipe), 3), play(make_player(recipe), 3)
    before, clock = state(player), player.clock()
    rate = measure.trial(player, 0.05)
    assert rate.images_per_second > 0
    assert rate.images_per_cpu_second > 0
    assert unlike(before, player) == []
    assert player.clock() == clock
    assert unlike(play(player, 3), play(other, 3)) == []
    new = make_player(recipe)
    measure.trial(new, 0.05)
    assert unlike(play(new, 3), play(make_player(recipe), 3)) == []  # an optimiser that had not begun is new again


@pytest.mark.parametrize(
    ("one", "two", "by_cpu", "chosen"),
    [
        ((100, 100), (190, 95), False, 2),
        ((100, 100), (105, 52), False, 1),
        ((100, 100), (1, 1), False, 1),
        ((100, 100), (190, 95), True, 1),
    ],
)
def test_threads_are_taken_where_they_clearly_pay(monkeypatch, one, two, by_cpu, chosen):
    player = make_player(make_recipe("gan"))
    torch.set_num_threads(2)
    rates = {1: measure.Rate(*one), 2: measure.Rate(*two)}
    monkeypatch.setattr(measure, "trial", lambda *_: rates[torch.get_num_threads()])
    assert measure.choose_threads(player, by_cpu) is rates[chosen]
    assert torch.get_num_threads() == player.numerics.threads == chosen


@pytest.mark.parametrize(("asked", "seconds"), [(0, 0.4), (10, 0.4), (60, 1.2), (3600, 3.0)])
def test_the_longer_a_training_shall_take_the_longer_its_rate_is_measured(monkeypatch, asked, seconds):
    seen = []
    monkeypatch.setattr(measure, "trial", lambda player, length: seen.append(length) or measure.Rate(1, 1))
    measure.choose_threads(make_player(make_recipe("gan")), asked=asked)
    assert seen == [pytest.approx(seconds)] * len(seen) != []


def test_a_chosen_number_of_threads_plays_on():
    recipe = make_recipe("r3gan")
    player, other = make_player(recipe), make_player(recipe)
    torch.set_num_threads(2)
    measure.choose_threads(player)
    assert torch.get_num_threads() in (1, 2)
    torch.set_num_threads(1)
    assert unlike(play(player, 3), play(other, 3)) == []


def test_one_line_says_how_it_computes():
    line = measure.hardware_note(make_player(make_recipe("gan")))
    assert line.startswith("cpu, 1 thread, fp32 (")
    assert "\n" not in line
    assert measure.peak_memory(torch.device("cpu")) > 50 * 2**20


@pytest.mark.parametrize(("threads", "gain"), [(1, 3.0), (2, 1.5)])
def test_of_one_thread_the_processors_time_decides(monkeypatch, threads, gain):
    monkeypatch.setattr(measure, "trial", lambda player, *, warmup=0: measure.Rate(30.0, 60.0))
    player = make_player(make_recipe("gan"))
    player.numerics = replace(player.numerics, threads=threads)
    rate, line = measure.choose_compilation(player, measure.Rate(20.0, 20.0), "on")
    assert rate == measure.Rate(20.0 * gain, 60.0)
    assert line == f"compile: on (a trial gave {gain:.2f}x)"


def spin(seconds):
    """Be busy: one thread's trial does not count what is slept."""
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


@pytest.mark.parametrize(("pause", "kept"), [(0.0, True), (0.03, False)])
def test_what_a_compiler_takes_once_is_not_taken_for_its_speed(monkeypatch, pause, kept):
    """A stepper that is slow at its first calls, as a compiler is, and then quick; or then slow."""

    class Slow(Eager):
        def __init__(self, game):
            super().__init__(game)
            self.calls = 0

        def __call__(self, *arguments):
            self.calls += 1
            spin(2.2 if self.calls == 1 else pause)
            return super().__call__(*arguments)

    monkeypatch.setattr(measure, "Compiled", Slow)
    player = make_player(make_recipe("gan", images=10**9))
    player.stepper = Eager(player.game)
    eager = measure.trial(player, 0.1)
    rate = measure.Rate(0.5 * eager.images_per_second, 0.5 * eager.images_per_cpu_second)  # any quick step wins
    found, line = measure.choose_compilation(player, rate, "auto")
    assert line.startswith("compile: on" if kept else "compile: off (a trial gave 0.")
    assert isinstance(player.stepper, Slow) is kept
    assert (found is rate) is not kept
