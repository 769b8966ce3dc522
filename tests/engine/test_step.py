import pytest
import torch

from gansmith.engine import measure
from gansmith.engine.step import Compiled, Eager, loss_of
from gansmith.games.game import Outcome

from .playing import RECIPES, furthest, make_player, make_recipe, play, state, unlike


def identity(graph):
    """A compiler that changes nothing: what is left is the tracing."""
    return graph


def traced(recipe):
    player = make_player(recipe)
    player.stepper = Compiled(player.game, identity)
    return player


FLAT = {"optimizer": {"name": "sgd", "lr": 0.001, "betas": [0.5, 0.0]}}
"""Adam would magnify a rounding error where a gradient is nothing but one."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_traced_step_equals_the_eager_one(name):
    recipe = make_recipe(name, precision="fp64", **FLAT)
    eager, compiled = play(make_player(recipe), 13), play(traced(recipe), 13)
    assert furthest(eager, compiled) < 1e-10
    a, b = eager.terms(), compiled.terms()
    assert a == pytest.approx(b, rel=1e-5)
    # A trace for each variant: with penalties of every 2 and 3 steps, four of the discriminator's; and none where the
    # last round has ended a phase, which may change what a move does.
    variants = {key[:2] for key in compiled.stepper.traced}
    assert len(variants) == {"r3gan": 5, "hinge-r1": 3, "pggan": 0, "vae": 1, "vae-gan": 3}.get(name, 2)


@pytest.mark.parametrize("name", RECIPES)
def test_a_traced_float32_step_rounds_alike(name):
    recipe = make_recipe(name, **FLAT)
    assert furthest(play(make_player(recipe), 3), play(traced(recipe), 3)) < 1e-5


def test_a_traced_step_in_bf16_stays_near():
    recipe = make_recipe("r3gan", precision="bf16", **FLAT)
    assert furthest(play(make_player(recipe), 3), play(traced(recipe), 3)) < 2e-2


@pytest.mark.parametrize("name", ["gan", "r3gan", "hinge-r1"])
def test_traced_microbatches_equal_the_eager_whole(name):
    whole = make_recipe(name, precision="fp64", **FLAT)
    assert furthest(play(make_player(whole), 4), play(traced(whole.model_copy(update={"microbatch": 2})), 4)) < 1e-10


def test_tracing_leaves_batch_norms_statistics_alone():
    recipe = make_recipe("dcgan")
    eager, compiled = play(make_player(recipe), 1), play(traced(recipe), 1)
    held = {name: b.clone() for name, b in eager.game.named_buffers()}
    assert len(held) == 6
    for name, buffer in compiled.game.named_buffers():
        assert torch.allclose(buffer, held[name], atol=1e-6), name


def test_a_traced_training_resumes_exactly():
    recipe = make_recipe("r3gan")
    whole, stopped = play(traced(recipe), 8), play(traced(recipe), 3)
    resumed = traced(recipe)
    resumed.load(state(stopped), stopped.clock())
    assert unlike(play(resumed, 5), whole) == []


def test_scheduled_values_are_inputs_of_the_graph():
    recipe = make_recipe("r3gan", precision="fp64", penalties={"r1": {"every": 1}, "r2": {"every": 1}}, **FLAT)
    player = play(traced(recipe), 5)
    assert len(player.stepper.traced) == 2
    weights = [player.knobs()["r1"], 0.5]
    assert weights[0] < weights[1]


@pytest.mark.parametrize("at", ["discriminator", "generator"])
@pytest.mark.parametrize("when", ["compiling", "running"])
def test_a_compiler_that_fails_leaves_the_eager_step_and_the_training_as_it_was(monkeypatch, at, when):
    made = []

    def compiler(graph):
        made.append(1)

        def fails(*_):
            raise RuntimeError("no C++ compiler\nsee the log")

        bad = (len(made) == 1) == (at == "discriminator")
        if bad and when == "compiling":
            fails()
        return fails if bad else graph

    monkeypatch.setattr("gansmith.engine.step.torch_compile", compiler)
    recipe = make_recipe("dcgan")
    player, other = make_player(recipe), make_player(recipe)
    before, clock = state(player), player.clock()
    rate, line = measure.choose_compilation(player, measure.Rate(1000.0, 1000.0), "on")
    assert line == "compile: off (no C++ compiler)"
    assert rate.images_per_second == 1000.0
    assert isinstance(player.stepper, Eager)
    assert not player.numerics.compiled
    assert unlike(before, player) == []
    assert player.clock() == clock
    assert unlike(play(player, 3), play(other, 3)) == []


def test_compilation_is_kept_where_it_is_asked_for_and_tried_where_it_can_pay(monkeypatch):
    monkeypatch.setattr("gansmith.engine.step.torch_compile", identity)
    player = make_player(make_recipe("gan"))
    rate = measure.Rate(1e9, 1e9)
    assert measure.choose_compilation(player, rate, "off") == (rate, "compile: off, as asked")
    assert "would not repay" in measure.choose_compilation(player, rate, "auto")[1]
    assert isinstance(player.stepper, Eager)
    monkeypatch.setattr(measure, "LONG", 0.0)
    _, line = measure.choose_compilation(player, rate, "auto")
    assert line.startswith("compile: off (a trial gave 0.00x)")
    assert isinstance(player.stepper, Eager)
    _, line = measure.choose_compilation(player, rate, "on")
    assert line.startswith("compile: on")
    assert isinstance(player.stepper, Compiled)
    assert player.numerics.compiled


def test_a_loss_is_the_sum_of_the_terms_means():
    outcome = Outcome({"one": torch.tensor([1.0, 3.0]), "coupled": torch.tensor(5.0)})
    assert loss_of(outcome).item() == 7.0
