"""CycleGAN's terms against its formulas, and the pool of past fakes against one written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine.playing import numerics, play, unlike

from gansmith import recipe as recipes
from gansmith.build import Facts, build
from gansmith.data.dataset import Beside, Dataset
from gansmith.draws import Draws
from gansmith.engine.player import Player
from gansmith.games.cycle import Cycle
from gansmith.losses import adversarial
from gansmith.networks import patchgan, translator

from .translating import A, B, batch, discriminator, generator, lazies, played, turn_of


def make(**fields) -> Cycle:
    torch.manual_seed(0)
    fields = {"loss": adversarial.least_squares(), "shape": A, "beside": B, "identity": 0.0, **fields}
    nets = generator(), generator(back=True), discriminator(), discriminator(back=True)
    return Cycle(*nets, **fields).double()


def test_both_sides_are_the_papers():
    game = make(adversarial=2.0, cycle=10.0)
    a, b = batch().data, batch().more["b"]
    made_b, made_a = game.generator(a), game.back(b)
    made = played(game, "generator", traced=True)
    fooled = (game.discriminator(made_b) - 1).square().mean(1) + (game.back_discriminator(made_a) - 1).square().mean(1)
    torch.testing.assert_close(made.terms["adversarial"], fooled)
    apart = (game.back(made_b) - a).abs().mean((1, 2, 3)) + (game.generator(made_a) - b).abs().mean((1, 2, 3))
    torch.testing.assert_close(made.terms["cycle"], 10 * apart)
    assert {name for name in made.terms if "/" not in name} == {"adversarial", "cycle"}
    judged = played(game, "discriminator", made.shared, traced=True)  # the pools are empty, so that the fakes are these
    for name, network, real, fake in (
        ("adversarial", game.discriminator, b, made_b), ("back-adversarial", game.back_discriminator, a, made_a)
    ):  # fmt: skip
        wanted = 0.5 * ((network(real) - 1).square() + network(fake).square()).mean(1)
        torch.testing.assert_close(judged.terms[name], wanted)


def test_identity_is_of_pictures_that_are_on_the_right_side():
    torch.manual_seed(0)
    nets = [cls(A, width=2, blocks=1) for cls in (translator.Generator, translator.Back)]
    nets += [cls(A, width=2) for cls in (patchgan.Discriminator, patchgan.BackDiscriminator)]
    game = Cycle(*nets, loss=adversarial.least_squares(), shape=A, identity=0.5, cycle=10.0).double()
    a = batch().data
    turn = turn_of(game, "generator")
    turn = replace(turn, batch=replace_b(turn.batch, a.flip(0)))
    term = game.play("generator", turn).terms["identity"]
    wanted = (game.back(a) - a).abs().mean((1, 2, 3)) + (game.generator(a.flip(0)) - a.flip(0)).abs().mean((1, 2, 3))
    torch.testing.assert_close(term, 5 * wanted)


def replace_b(of, b):
    return of._replace(more={"b": b})


def test_penalties_are_on_both_sides():
    game = make(loss=adversarial.relativistic(), penalties=lazies("r1", "r2"), pool=0)
    terms = {name for name in played(game, "discriminator").terms if "/" not in name}
    assert terms == {part + name for part in ("", "back-") for name in ("adversarial", "r1", "r2")}
    assert not game.coupled
    assert game.states() == {}


def test_the_pool_is_as_one_written_out():
    """A list of places, and the same draws."""
    game = make(pool=4)
    assert game.coupled
    state = {name: first for name, (first, _) in game.states().items()}
    places: dict[int, torch.Tensor] = {}
    old = 0
    for step in range(40):
        fakes = torch.full((3, *B["b"]), float(step), dtype=torch.float64) + torch.arange(3.0).view(3, 1, 1, 1) / 10
        draws = Draws(0, 3 * step, 3, prefix="discriminator")
        turn = replace(turn_of(game, "discriminator"), draws=draws, state=state)
        judged, new = game.past(turn, "b", fakes)
        first, swap = int(draws.integers("slot b", 4)[0]), draws.uniform("swap b") < 0.5
        for i in range(3):
            slot = (first + i) % 4
            if slot not in places:
                wanted, places[slot] = fakes[i], fakes[i]
            elif swap[i]:
                wanted, places[slot] = places[slot], fakes[i]
                old += 1
            else:
                wanted = fakes[i]
            torch.testing.assert_close(judged[i], wanted, rtol=1e-6, atol=1e-6)
        state = {**state, **new}
    assert 30 < old < 85  # about half of 120


def test_a_batch_larger_than_the_pool_is_judged_whole():
    game = make(pool=2)
    fakes = torch.rand(3, *B["b"], dtype=torch.float64)
    judged, state = game.past(turn_of(game, "discriminator"), "b", fakes)
    assert torch.equal(judged, fakes)
    assert state["filled_b"].tolist() == [1, 1]


def test_what_is_shown_and_told():
    game, given = make().eval(), batch()
    shown = game.pictures(given, Draws(0, 0, 3))
    assert list(shown) == ["input", "output", "input again", "other input", "other output", "other input again"]
    told = game.numbers(given, Draws(0, 0, 3))
    assert list(told) == ["cycle", "back-cycle"]
    torch.testing.assert_close(told["cycle"], 0.5 * (shown["input again"] - given.data).abs().mean((1, 2, 3)))
    known = given._replace(more={**given.more, "truth": given.more["b"].flip(0)})
    assert "truth" in game.pictures(known, Draws(0, 0, 3))
    told = game.numbers(known, Draws(0, 0, 3))
    assert set(told) == set(game.better)
    wanted = 0.5 * (game.back(known.more["truth"]) - given.data).abs().mean((1, 2, 3))
    torch.testing.assert_close(told["back-l1"], wanted)


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="as many channels on both sides, not 1 and 2; 0 leaves it out"):
        make(identity=0.5)
    with pytest.raises(ValueError, match="must not be below 0"):
        make(pool=-1)


def test_a_resumed_training_goes_on_bit_for_bit_pools_included():
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 256, (n, *shape), dtype=np.uint8) for n, shape in ((7, A), (5, B["b"])))
    other = Dataset("b", "image", B["b"], 5, array=b, fingerprint="b")
    dataset = Dataset("a", "image", A, 7, array=a, fingerprint="a", beside={"b": Beside(other, paired=False)})
    fields = {
        "game": {"name": "cycle", "identity": 0, "pool": 4}, "loss": "least-squares", "batch": 2, "images": 100,
        "generator": {"network": "translator", "width": 2, "blocks": 1}, "precision": "fp32",
        "discriminator": {"network": "patchgan", "width": 2},
        "networks": {"back": {"network": "translator", "width": 2, "blocks": 1},
                     "back_discriminator": {"network": "patchgan", "width": 2}},
    }  # fmt: skip
    recipe = recipes.validate(fields, "test")

    def player() -> Player:
        game = build(recipe, Facts(A, beside=B))
        return Player(game, dataset, recipe, torch.device("cpu"), numerics())

    whole, first, second = player(), player(), player()
    play(whole, 8)
    play(first, 5)
    second.load({name: tensor.clone() for name, tensor in first.tensors().items()}, first.clock())
    play(second, 3)
    assert float(whole.states["filled_a"].sum()) == 4
    assert unlike(whole, second) == []
