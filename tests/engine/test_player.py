import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager
from gansmith.errors import Refused
from gansmith.fields import Phase
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.networks.layers import run
from gansmith.networks.mlp import Discriminator, Generator
from gansmith.schedule import Ramp

from .playing import RECIPES, furthest, make_player, make_recipe, pictures, play, state, unlike

# --- toy games ---------------------------------------------------------------------------------------


class Scalar(nn.Module):
    def __init__(self, value=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.full((3,), value))


class Toy(Game):
    """Two vectors of weights, and moves whose gradients are known: 1 for the discriminator, -2 for the generator."""

    def __init__(self, moves=None):
        super().__init__()
        self.generator, self.discriminator = Scalar(), Scalar()
        self.given, self.seen = moves, []

    def moves(self):
        return self.given or super().moves()

    def play(self, move, turn):
        self.seen.append((move, turn))
        return super().play(move, turn)

    def discriminator_loss(self, turn):
        return Outcome({"slope": self.discriminator.w.sum().expand(len(turn.batch.data))})

    def generator_loss(self, turn):
        return Outcome({"slope": -2 * self.generator.w.sum().expand(len(turn.batch.data))})

    def generate(self, noise, labels=None):
        return noise[:, :1, None, None].expand(-1, 1, 16, 16) + self.generator.w.sum()


SGD = {"name": "sgd", "betas": [0.0, 0.0]}


def toy(game=None, **fields):
    fields = {"optimizer": {**SGD, "lr": 1.0}, **fields}
    return make_player(make_recipe("toy", **fields), game=game or Toy())


def test_moves_one_by_one_come_to_the_same_as_rounds():
    for fields in ({}, {"discriminator_steps": 2}, {"game": {"name": "synthesis", "generator_steps": 2}}):
        recipe = make_recipe("r3gan", **fields)
        whole, parts = make_player(recipe), make_player(recipe)
        for _ in range(3):
            whole.round()
            for move in parts.moves:
                for _ in range(move.steps):
                    parts.play_move(move.name)
        assert parts.clock() == whole.clock()
        assert unlike(parts, whole) == []


def test_a_move_by_itself_never_sees_examples_twice():
    player = toy()
    for name in ("generator", "generator", "discriminator", "generator", "generator"):
        player.play_move(name)
    assert [turn.draws.first for _, turn in player.game.seen] == [0, 8, 16, 16, 24]
    assert player.rounds == 4
    with pytest.raises(Refused, match="no move 'encoder'; there are discriminator, generator"):
        player.play_move("encoder")


def test_terms_are_averaged_over_the_rounds_that_are_asked_for():
    player, heard = toy(), []
    player.noted, player.sampled = lambda move, terms, norm: heard.append(move[0]), 2
    play(player, 4)
    assert "".join(heard) == "dgdg"


def test_moves_are_played_as_often_as_they_say_and_fresh_ones_run_the_clock():
    moves = (
        Move("discriminator", ("discriminator",), steps=2, fresh=True),
        Move("generator", ("generator",), every=3),
    )
    player = play(toy(Toy(moves)), 6)
    assert "".join(move[0] for move, _ in player.game.seen) == "ddgddddddgdddd"
    assert player.images == 6 * 2 * 8
    assert player.steps == {"discriminator": 12, "generator": 2}
    first = [turn.draws.first for move, turn in player.game.seen]
    assert first == [0, 8, 8, 16, 24, 32, 40, 48, 56, 56, 64, 72, 80, 88]
    # The two steps of a round see different examples, and the generator the last ones of them.
    data = [turn.batch.data for _, turn in player.game.seen]
    assert not torch.equal(data[0], data[1])
    assert torch.equal(data[1], data[2])
    assert player.game.discriminator.w.tolist() == [-12.0] * 3
    assert player.game.generator.w.tolist() == [4.0] * 3


def test_two_steps_of_a_move_draw_differently():
    moves = (Move("discriminator", ("discriminator",), steps=2), Move("generator", ("generator",), fresh=True))
    game = Toy(moves)
    play(toy(game), 2)
    drawn = [turn.draws.normal("z", 4) for _, turn in game.seen[3:]]
    assert len({tuple(z.flatten().tolist()) for z in drawn}) == 3


def test_scheduled_values_reach_the_optimiser_and_the_moves():
    lr = Ramp(start=1.0, end=0.0, shape="linear")
    fields = {"optimizer": {**SGD, "lr": lr.model_dump()}, "penalties": {"r1": {"weight": {"start": 4.0, "end": 1.0}}}}
    player = play(toy(**fields), 5)
    # The schedule's value at a step is that at its first example: images 0, 8, … of 400.
    rates = [1 - 8 * i / 400 for i in range(5)]
    assert player.game.discriminator.w[0].item() == pytest.approx(-sum(rates), abs=1e-6)
    assert player.game.generator.w[0].item() == pytest.approx(2 * sum(rates), abs=1e-6)
    weights = [turn.knobs["r1"] for move, turn in player.game.seen if move == "discriminator"]
    assert weights == pytest.approx([1 + 3 * (0.5 + 0.5 * math.cos(math.pi * 8 * i / 400)) for i in range(5)])
    assert player.game.seen[-1][1].knobs["progress"] == 32 / 400
    assert player.shown_knobs()["lr"] == pytest.approx(rates[-1])


def test_a_scheduled_beta_reaches_adam():
    ramp = Ramp(start=0.9, end=0.99, shape="linear", over=80)
    optimizer = {"name": "adam", "lr": 0.1, "betas": [0.0, ramp.model_dump()]}
    player = toy(optimizer=optimizer)
    v = 0.0
    for step in range(12):
        player.round()
        b2 = 0.9 + 0.09 * min(step * 8 / 80, 1.0)
        v = b2 * v + (1 - b2) * 1.0
    held = player.sides["discriminator"].state()
    assert held["0.exp_avg_sq"].tolist() == pytest.approx([v] * 3, rel=1e-5)


def test_a_move_can_have_an_optimiser_of_its_own():
    player = play(toy(optimizers={"generator": {**SGD, "lr": 0.5}}), 2)
    assert player.game.discriminator.w.tolist() == [-2.0] * 3
    assert player.game.generator.w.tolist() == [2.0] * 3
    assert player.shown_knobs()["lr/generator"] == 0.5


def test_a_clipped_gradient_has_the_bound_as_its_norm():
    player = play(toy(clip=0.5), 1)
    assert player.game.discriminator.w.norm().item() == pytest.approx(0.5, rel=1e-5)
    assert play(toy(clip=100.0), 1).game.discriminator.w.tolist() == [-1.0] * 3


def test_the_average_halves_its_distance_in_a_half_life_of_images():
    player = toy(optimizer={**SGD, "lr": 0.0}, ema={"half_life": 80, "warmup": None})
    player.flats["generator"].master.fill_(1.0)
    play(player, 10)
    assert player.averages["generator"].tolist() == pytest.approx([0.5] * 3, rel=1e-6)
    play(player, 10)
    assert player.averages["generator"].tolist() == pytest.approx([0.75] * 3, rel=1e-6)
    assert player.shown().generator.w.tolist() == pytest.approx([0.75] * 3, rel=1e-6)
    assert "discriminator" not in player.averages


def test_the_average_follows_its_recursion_through_warm_up():
    player = play(toy(ema={"share": 0.5, "warmup": 0.5}), 30)
    weight = average = 0.0
    for i in range(1, 31):
        weight += 2.0
        half = min(200.0, 0.5 * 8 * i)
        average += (1 - 0.5 ** (8 / half)) * (weight - average)
    assert player.averages["generator"][0].item() == pytest.approx(average, rel=1e-5)


def test_without_an_average_the_last_weights_are_shown():
    player = play(toy(ema=None), 3)
    assert player.averages == {}
    assert player.shown().generator.w.tolist() == [6.0] * 3


class Stages(Toy):
    def __init__(self):
        super().__init__((
            Move("discriminator", ("discriminator",), fresh=True),
            Move("generator", ("generator",), phase="adversarial"),
            Move("warm", ("generator",), phase="warm"),
        ))  # fmt: skip
        self.entered, self.factor = [], 0.0

    def enter(self, phase):
        self.entered.append(phase)
        self.factor = {"warm": 10.0, "adversarial": 100.0}[phase]

    def warm_loss(self, turn):
        return Outcome({"slope": -self.factor * self.generator.w.sum()})

    def generator_loss(self, turn):
        return Outcome({"slope": -self.factor * self.generator.w.sum()})


PHASES = {"phases": [{"name": "warm", "until": 0.1}, {"name": "adversarial", "until": 1.0}]}


@pytest.mark.parametrize("compiled", [False, True])
def test_phases_choose_the_moves_and_are_entered_once(compiled):
    player = toy(Stages(), **PHASES)
    if compiled:
        player.stepper = Compiled(player.game, lambda graph: graph)
    play(player, 7)  # five rounds reach image 40 of 400
    assert player.game.entered == ["warm", "adversarial"]
    assert player.game.generator.w.tolist() == [5 * 10.0 + 2 * 100.0] * 3
    assert player.steps == {"discriminator": 7, "generator": 2, "warm": 5}


def test_a_resume_and_a_step_back_enter_the_phase_of_their_clock():
    player = play(toy(Stages(), **PHASES), 3)
    early, clock = state(player), player.clock()
    play(player, 4)
    late = state(player)
    player.load(early, clock)
    assert player.game.entered == ["warm", "adversarial", "warm"]
    assert unlike(play(player, 4), late) == []
    other = toy(Stages(), **PHASES)
    other.load(early, clock)
    assert unlike(play(other, 4), late) == []


def test_a_phases_clock_goes_from_0_to_1_and_the_last_phase_stays_to_the_end():
    phases = [{"name": "warm", "until": 32}, {"name": "adversarial", "until": 0.2}]  # images, and a fraction of 400
    player = toy(Stages(), phases=phases)
    assert player.spans() == [("warm", 0, 32), ("adversarial", 32, 80)]
    play(player, 12)
    clocks = [turn.knobs["phase"] for move, turn in player.game.seen if move == "discriminator"]
    assert clocks == pytest.approx([i / 4 for i in range(4)] + [i / 6 for i in range(6)] + [1, 1])
    assert player.phase == "adversarial"
    assert "phase" not in player.shown_knobs()
    late = toy(Stages(), phases=phases)
    late.load(state(player), player.clock())
    assert (late.phase, late.game.factor) == ("adversarial", 100.0)
    whole = play(toy(), 3)
    assert [t.knobs["phase"] for m, t in whole.game.seen if m == "generator"] == [0, 8 / 400, 16 / 400]


def test_the_clock_names_the_phase_and_samples_are_drawn_in_it():
    class Shows(Stages):
        def generate(self, noise, labels=None):
            return noise.new_full((len(noise), 1, 16, 16), self.factor / 200)

    player = toy(Shows(), **PHASES)
    for rounds, phase, grey in ((2, "warm", 134), (4, "adversarial", 191)):  # 127.5 x + 128
        play(player, rounds)
        assert player.clock()["phase"] == phase
        assert player.sampler().sample(1).max() == grey
    assert toy().clock()["phase"] is None


class Brings(Stages):
    def phases(self):
        return [Phase(name="warm", until=0.1), Phase(name="adversarial", until=1, renew=True)]


def test_a_game_brings_its_own_phases_unless_the_recipe_says_others():
    assert unlike(play(toy(Brings()), 7), play(toy(Stages(), **PHASES), 7)) == []
    other = toy(Brings(), phases=[{"name": "adversarial", "until": 1}])
    assert [span.name for span in other.spans()] == ["adversarial"]
    with pytest.raises(Refused, match="no phase 'cold'; there are warm, adversarial"):
        toy(Brings(), phases=[{"name": "cold", "until": 1}])


def test_optimisers_begin_anew_in_a_phase_that_says_so():
    adam = {"optimizer": {"name": "adam", "lr": 0.1, "betas": [0.0, 0.9]}}
    whole, kept = play(toy(Brings(), **adam), 7), play(toy(Stages(), **PHASES, **adam), 7)
    held = whole.sides["discriminator"].state()
    assert held["0.step"].item() == 2
    assert held["0.exp_avg_sq"].tolist() == pytest.approx([1 - 0.9**2] * 3)
    assert kept.sides["discriminator"].state()["0.step"].item() == 7
    # Exactly so where the training was stopped before the change, at it, or after it.
    for rounds in (3, 5, 6):
        stopped, resumed = play(toy(Brings(), **adam), rounds), toy(Brings(), **adam)
        resumed.load(state(stopped), json.loads(json.dumps(stopped.clock())))
        assert unlike(play(resumed, 7 - rounds), whole) == []


def test_a_game_whose_clock_would_stand_still_is_refused():
    moves = (Move("discriminator", ("discriminator",), fresh=True, phase="warm"), Move("generator", ("generator",)))
    with pytest.raises(Refused, match="no move of phase 'adversarial' takes fresh examples"):
        toy(Toy(moves), **PHASES)


def test_a_move_that_trains_nothing_is_refused():
    game = Toy((Move("discriminator", ("critic",), fresh=True),))
    with pytest.raises(Refused, match="trains critic, which have no parameters"):
        toy(game)


class Stateful(Toy):
    def states(self):
        return {
            "mean": (torch.zeros(()), "mean"), "sum": (torch.zeros(()), "sum"), "last": (torch.zeros(1, 16), "same"),
        }  # fmt: skip

    def discriminator_loss(self, turn):
        data, state = turn.batch.data, turn.state
        level = data.mean()
        new = {"mean": 0.5 * state["mean"] + 0.5 * level, "sum": data.sum(), "last": data[-1, :, 0]}
        return Outcome({"slope": self.discriminator.w.sum() * state["mean"]}, state=new)


@pytest.mark.parametrize("micro", [8, 4, 2])
def test_states_outlive_a_step_and_microbatches_are_brought_together(micro):
    player = toy(Stateful(), microbatch=micro, precision="fp64")
    mean, weight = 0.0, 0.0
    for i in range(3):
        weight -= mean
        data = player.feed.at(8 * i).data.double()
        mean = 0.5 * mean + 0.5 * data.mean().item()
        player.round()
    assert player.states["mean"].item() == pytest.approx(mean, abs=1e-6)
    assert player.states["sum"].item() == pytest.approx(data.sum().item(), abs=1e-3)
    assert torch.equal(player.states["last"], player.feed.at(16).data[-1, :, 0])
    assert player.game.discriminator.w[0].item() == pytest.approx(weight, abs=1e-6)
    other = toy(Stateful(), microbatch=micro, precision="fp64")
    other.load(state(player), player.clock())
    assert unlike(play(other, 2), play(player, 2)) == []


def test_a_probability_that_the_game_moves_is_a_knob_and_a_state():
    player = make_player(make_recipe("ada-adaptive"))
    seen = []
    for _ in range(9):
        assert player.knobs()["augment/ada"] is player.states["augment/ada"]
        assert player.knobs()["augment/diffaugment"] == 0.5
        seen.append(player.shown_knobs()["augment/ada"])
        player.round()
    # Two steps' signs, and the third moves it by 2 · 8 / 200 up or down; then as often as two steps are over.
    moves = [round(abs(b - a), 4) for a, b in itertools.pairwise(seen)]
    assert moves == [0, 0, 0.08, 0, 0.08, 0, 0.08, 0]
    assert "discriminator/watched/sign" in player.terms()


class Prepared(Toy):
    def prepare(self, move, turn):
        return {"rollout": turn.draws.uniform("rollout")} if move == "generator" else {}

    def generator_loss(self, turn):
        return Outcome({"reward": -turn.shared["rollout"] * self.generator.w.sum()})


def test_what_a_game_prepares_reaches_the_move():
    player = play(toy(Prepared()), 1)
    (turn,) = [turn for move, turn in player.game.seen if move == "generator"]
    assert player.game.generator.w[0].item() == pytest.approx(turn.shared["rollout"].mean().item(), rel=1e-6)
    halves = play(toy(Prepared(), microbatch=2), 1)
    assert halves.game.generator.w[0].item() == pytest.approx(player.game.generator.w[0].item(), rel=1e-6)


class Info(Game):
    """InfoGAN's three players (Chen et al., 2016), the third of which trains two networks."""

    def __init__(self):
        super().__init__()
        self.generator = Generator((1, 16, 16), 6, hidden=[8])
        self.discriminator = Discriminator((1, 16, 16), hidden=[8])
        self.recogniser = nn.Linear(256, 2)

    def moves(self):
        return (*super().moves(), Move("information", ("generator", "recogniser")))

    def fakes(self, turn):
        return run(self.generator, turn.draws.under("fakes").normal("noise", 6))

    def discriminator_loss(self, turn):
        fake = self.fakes(turn)
        judged = run(self.discriminator, turn.batch.data) - self.discriminator(fake.detach())
        return Outcome({"adversarial": nn.functional.softplus(-judged)}, shared={"fake": fake})

    def generator_loss(self, turn):
        fake = turn.shared["fake"] if "fake" in turn.shared else self.fakes(turn)
        return Outcome({"adversarial": nn.functional.softplus(-self.discriminator(fake))})

    def information_loss(self, turn):
        code = turn.draws.under("fakes").normal("noise", 6)[:, :2]
        fake = turn.shared["fake"] if "fake" in turn.shared else self.fakes(turn)
        return Outcome({"information": (self.recogniser(fake.flatten(1)) - code).square().sum(1)})


def test_a_third_move_trains_two_networks_by_the_weights_as_they_are():
    recipe = make_recipe("info", optimizer={**SGD, "lr": 0.1}, precision="fp64", conditional=False)
    torch.manual_seed(0)
    game = Info()
    start = {name: p.detach().clone().double() for name, p in game.named_parameters()}
    player = play(make_player(recipe, game=game), 3)
    # The same by hand, with nothing shared: each move draws the fakes anew from the weights as they stand.
    other = Info().double()
    other.load_state_dict(start)
    for first in (0, 8, 16):
        for move in other.moves():
            turn = Turn(player.feed.at(first), Draws(3, first, 8, prefix=move.name))
            loss = sum(term.mean() for term in other.play(move.name, turn).terms.values())
            weights = [p for name in move.trains for p in getattr(other, name).parameters()]
            for weight, grad in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.data -= 0.1 * grad
    mine = {f"weights.{name}": p.detach() for name, p in other.named_parameters()}
    assert furthest({k: v for k, v in state(player).items() if k.startswith("weights")}, mine) < 1e-6
    assert player.steps["information"] == 3


def test_terms_are_means_over_the_rounds_that_are_sampled():
    player = play(toy(), 2)
    assert player.terms() == {"discriminator/slope": 0.0, "generator/slope": 0.0}
    assert player.terms() == {}


def test_weights_that_are_not_finite_are_noticed():
    player = toy()
    assert player.healthy()
    player.flats["generator"].master[1] = math.nan
    assert not player.healthy()
    player.flats["generator"].master[1] = -math.inf
    player.flats["discriminator"].master[1] = math.inf
    assert not player.healthy()


# --- exact resume ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_resumed_training_is_bit_equal_to_one_that_never_stopped(name, precision):
    recipe = make_recipe(name, precision=precision)
    whole, stopped = make_player(recipe), play(make_player(recipe), 7)
    rest = json.loads(json.dumps(stopped.clock()))
    held = state(stopped)
    resumed = make_player(recipe)
    play(resumed, 2)  # what it did before must not matter
    resumed.load(held, rest)
    assert unlike(resumed, stopped) == []
    play(resumed, 9)
    assert unlike(play(whole, 16), resumed) == []
    assert whole.clock() == resumed.clock()
    assert whole.healthy()


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_resume_between_fresh_moves_keeps_their_batch(cut):
    moves = (Move("discriminator", ("discriminator",), every=3, fresh=True), Move("generator", ("generator",)))

    class Follows(Toy):
        def generator_loss(self, turn):
            return Outcome({"follow": (self.generator.w.sum() - turn.batch.data.mean((1, 2, 3))).square()})

    fields = {"optimizer": {**SGD, "lr": 0.01}}
    whole, stopped = play(toy(Follows(moves), **fields), 8), play(toy(Follows(moves), **fields), cut)
    resumed = toy(Follows(moves), **fields)
    resumed.load(state(stopped), stopped.clock())
    assert unlike(play(resumed, 8 - cut), whole) == []
    assert whole.images == resumed.images == 3 * 8


def test_a_checkpoint_that_does_not_fit_is_refused():
    player = make_player(make_recipe("gan"))
    held, clock = state(player), player.clock()
    wider = make_player(make_recipe("gan", generator={"hidden": [20]}))
    with pytest.raises(Refused, match="does not fit the recipe"):
        wider.load(held, clock)
    del held["weights.generator.layers.0.weight"]
    with pytest.raises(Refused, match="does not fit the recipe"):
        player.load(held, clock)


def test_another_attempt_draws_other_numbers():
    one, other = make_player(make_recipe("gan")), make_player(make_recipe("gan"))
    other.attempt = 1
    assert unlike(play(one, 1), play(other, 1)) != []


@pytest.mark.parametrize(("cut", "phase", "share"), [(8, "8 fade", 0.12), (19, "16 fade", 0.0), (22, "16 fade", 0.36)])
def test_a_resume_in_the_middle_of_a_fade_is_bit_exact(cut, phase, share):
    recipe = make_recipe("pggan")  # phases of 50 images: 4, 8 fade, 8, 16 fade, and 16 from 200 on
    _resumes([make_player(recipe) for _ in range(3)], cut, phase, share, cut + 7)


def test_a_resume_in_the_middle_of_a_traced_fade_is_bit_exact():
    recipe = make_recipe("pggan", phases=[{"name": "8 fade", "until": 40}, {"name": "8", "until": 1}])
    players = [make_player(recipe, pictures(side=8)) for _ in range(3)]
    for player in players:
        player.stepper = Compiled(player.game, lambda graph: graph)
    _resumes(players, 3, "8 fade", 0.4, 6)


def _resumes(players, cut, phase, share, end):
    whole, stopped, resumed = players
    play(stopped, cut)
    assert stopped.phase == phase
    assert stopped.game.generator.alpha.item() == pytest.approx(share)
    resumed.load(state(stopped), json.loads(json.dumps(stopped.clock())))
    assert np.array_equal(resumed.sampler().sample(4), stopped.sampler().sample(4))
    play(resumed, end - cut)
    assert unlike(play(whole, end), resumed) == []
    assert whole.phase == phase.removesuffix(" fade")


# --- accumulation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gan", "r3gan", "ada", "ada-adaptive", "r3gan-mlp", "wgan-gp", "hinge-r1"])
@pytest.mark.parametrize("micro", [4, 1])
def test_microbatches_come_to_the_same_as_the_whole_batch(name, micro):
    # SGD-like steps: Adam would magnify a rounding error where a gradient is nothing but one.
    fields = {"precision": "fp64", "optimizer": {"name": "sgd", "lr": 0.01, "betas": [0.5, 0.0]}}
    whole = play(make_player(make_recipe(name, **fields)), 6)
    split = play(make_player(make_recipe(name, **fields, microbatch=micro)), 6)
    assert furthest(whole, split) < 1e-10


@pytest.mark.parametrize("name", ["gan", "r3gan"])
def test_a_resume_with_microbatches_is_exact(name):
    recipe = make_recipe(name, microbatch=2)
    whole, stopped = play(make_player(recipe), 6), play(make_player(recipe), 3)
    resumed = make_player(recipe)
    resumed.load(state(stopped), stopped.clock())
    assert unlike(play(resumed, 3), whole) == []


def test_what_cannot_be_split_is_refused():
    with pytest.raises(Refused, match="mixes the examples of a batch"):
        make_player(make_recipe("dcgan", microbatch=4))
    with pytest.raises(Refused, match="3 does not divide the 8"):
        make_player(make_recipe("gan", microbatch=3))


# --- fine-tuning and sampling --------------------------------------------------------------------------


def test_fine_tuning_takes_the_averages_where_shapes_agree():
    old = play(make_player(make_recipe("dcgan")), 5)
    new = make_player(make_recipe("dcgan", discriminator={"width": 6}))
    taken, there = new.start_from(state(old))
    assert 0 < taken < there
    average = old.averages["generator"]
    assert torch.equal(new.flats["generator"].master, average)
    assert torch.equal(new.averages["generator"], average)
    kept = dict(new.game.named_buffers())["generator.layers.0.running_mean"]
    assert torch.equal(kept, dict(old.game.named_buffers())["generator.layers.0.running_mean"])


def test_a_sampler_shows_the_averaged_weights_in_eval_mode():
    player = play(make_player(make_recipe("dcgan")), 5)
    before = state(player)
    sampler = player.sampler()
    drawn = sampler.sample(6, seed=1)
    assert drawn.shape == (6, 1, 16, 16)
    assert drawn.dtype == np.uint8
    assert np.array_equal(player.sampler().sample(6, seed=1), drawn)
    assert unlike(before, player) == []  # nothing of the training has moved, batch norm's statistics included
    assert player.game.training
    play(player, 20)
    assert not np.array_equal(player.sampler().sample(6, seed=1), drawn)


def test_a_batch_of_several_ranks_must_divide(monkeypatch):
    monkeypatch.setattr("gansmith.collectives.world", lambda: 3)
    monkeypatch.setattr("torch.distributed.broadcast", lambda *_: None)
    with pytest.raises(Refused, match="8 examples cannot be shared evenly by 3 ranks"):
        make_player(make_recipe("gan"))


def test_an_eager_step_keeps_the_fakes_graph_so_that_the_generator_runs_once():
    recipe = make_recipe("gan")
    player = make_player(recipe, pictures())
    assert isinstance(player.stepper, Eager)
    runs = []
    player.game.generator.register_forward_hook(lambda *_: runs.append(1))
    play(player, 3)
    assert len(runs) == 3


def test_singular_vectors_are_part_of_the_state():
    player = play(make_player(make_recipe("sngan")), 1)
    before = state(player)
    held = {name for name in before if name.endswith((".norm.u", ".norm.v"))}
    # The discriminator's alone: three convolutions, two and two, and the dense layer and the embedding.
    assert len(held) == 2 * (3 + 2 + 2 + 2)
    assert all(name.startswith("buffer.discriminator.") for name in held)
    moved = set(unlike(before, play(player, 1)))
    assert {name for name in held if before[name].numel() > 1} <= moved


def test_an_eased_training_has_smaller_rates_stronger_penalties_and_more_augmentation():
    player = make_player(make_recipe("ada", optimizers={"generator": {"lr": 4e-3}}, optimizer={"lr": 1e-3}))
    plain = player.knobs()
    shown = player.shown_knobs()
    player.eased = 2
    eased = player.knobs()
    assert eased["r1"] == 4 * plain["r1"]
    assert eased["augment"] == pytest.approx(1 - (1 - plain["augment"]) * 0.75**2)
    assert player.shown_knobs()["lr/generator"] == shown["lr/generator"] / 4 == 1e-3
    assert player.clock()["eased"] == 2
    again = make_player(make_recipe("ada"))
    again.load(state(player), json.loads(json.dumps(player.clock())))
    assert again.eased == 2
    old = {name: value for name, value in player.clock().items() if name != "eased"}
    again.load(state(player), old)  # a checkpoint from before there was easing
    assert again.eased == 0


def test_whoever_listens_hears_of_the_averaged_rounds_alone():
    heard = []
    player = toy()
    player.noted = lambda move, terms, norm: heard.append((player.rounds, move, sorted(terms), norm.item()))
    play(player, 17)
    assert [round_ for round_, *_ in heard] == [0, 0, 8, 8, 16, 16]
    assert heard[0][1:] == ("discriminator", ["slope"], pytest.approx(math.sqrt(3)))
    assert heard[1][3] == pytest.approx(2 * math.sqrt(3))


def test_a_phase_that_settles_begins_with_the_averaged_weights():
    moves = (Move("discriminator", ("discriminator",), fresh=True), Move("generator", ("generator",), phase="play"))
    phases = [{"name": "play", "until": 32}, {"name": "after", "until": 1, "settle": True}]
    player = toy(Toy(moves), phases=phases, ema={"half_life": 16, "warmup": None})
    play(player, 3)
    lagging = player.averages["generator"].clone()
    assert player.game.generator.w.tolist() == [6.0] * 3
    play(player, 1)
    lagging = lagging.lerp(torch.full_like(lagging, 8.0), 1 - 0.5**0.5)
    assert player.phase == "after"
    assert torch.allclose(player.flats["generator"].master, lagging)
    assert player.game.generator.w.tolist() == pytest.approx(lagging.tolist()[:3])
    # A training that goes on from a checkpoint in this phase does not settle again.
    saved, clock = {k: v.clone() for k, v in player.tensors().items()}, player.clock()
    saved["average.generator.w"] = torch.zeros(3)
    resumed = toy(Toy(moves), phases=phases, ema={"half_life": 16, "warmup": None})
    resumed.load(saved, clock)
    assert resumed.game.generator.w.tolist() == player.game.generator.w.tolist()


def test_a_game_chooses_its_rows():
    class Rows:
        def indices(self, first, n):
            return np.zeros(n, np.int64)

        def more(self, first, n):
            return {"place": np.arange(first, first + n, dtype=np.float32)}

    class Choosy(Toy):
        def sampler(self, dataset, seed):
            self.asked = (dataset.count, seed)
            return Rows()

    player = play(toy(Choosy(), seed=5), 2)
    assert player.game.asked == (player.dataset.count, 5)
    turn = player.game.seen[-1][1]
    assert turn.batch.more["place"].tolist() == list(range(8, 16))
    assert (turn.batch.data == turn.batch.data[:1]).all()
