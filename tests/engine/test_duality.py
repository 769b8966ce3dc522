import math

import numpy as np
import pytest
import torch
from torch import nn

from gansmith.data.dataset import Dataset
from gansmith.engine import duality
from gansmith.errors import Refused
from gansmith.games.game import Game, Move, Outcome
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses.adversarial import nonsaturating, wasserstein
from gansmith.losses.penalties import r1

from .playing import make_player, make_recipe, pictures, play, state, unlike
from .test_player import SGD, Toy


class Number(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(float(value)))


class Saddle(Game):
    """V(θ, ψ) = ψθ + θ²/2 − ψ²/2: of one saddle at 0, and a gap that is θ² + ψ² everywhere."""

    def __init__(self, theta, psi):
        super().__init__()
        self.generator, self.discriminator = Number(theta), Number(psi)

    def value(self, turn):
        theta, psi = self.generator.w, self.discriminator.w
        return (psi * theta + theta.square() / 2 - psi.square() / 2).expand(len(turn.batch.data))

    def discriminator_loss(self, turn):
        return Outcome({"value": -self.value(turn)})

    def generator_loss(self, turn):
        return Outcome({"value": self.value(turn)})


class Constant(Number):
    """θ, whatever the noise."""

    def forward(self, noise):
        return self.w.expand(len(noise), 2)


class Slope(Number):
    """ψ (x + y) / 2."""

    def forward(self, data):
        return self.w * data.mean(1)


def zeros(n=64):
    return Dataset("zeros", "points", (2,), n, array=np.zeros((n, 2), np.float32))


def player_of(game, **fields):
    fields = {"optimizer": {**SGD, "lr": 0.1}, "conditional": False, **fields}
    return make_player(make_recipe("toy", **fields), zeros(), game=game)


@pytest.mark.parametrize(("theta", "psi"), [(0, 0), (1, 0), (0, -2), (0.5, 0.5), (-1.5, 2)])
def test_the_gap_of_a_saddle_is_its_closed_form(theta, psi):
    found = duality.gap(player_of(Saddle(theta, psi)), zeros(), 80)
    # The best ψ' is θ and wins (θ² + ψ² − 2ψθ) / 2; the best θ' is −ψ.
    assert found.discriminator == pytest.approx((theta - psi) ** 2 / 2, abs=1e-5)
    assert found.generator == pytest.approx((theta + psi) ** 2 / 2, abs=1e-5)
    assert found.value == pytest.approx(theta**2 + psi**2, abs=1e-5)


def dirac(theta, psi, loss, gamma=0.5, **fields):
    game = Synthesis(Constant(theta), Slope(psi), loss=loss, penalties={"r1": Lazy(r1())}, noise=6)
    return player_of(game, penalties={"r1": {"weight": gamma}}, **fields)


@pytest.mark.parametrize("theta", [0.0, 0.5, -2.0])
def test_the_dirac_gan_s_gap_is_0_at_its_equilibrium_and_positive_elsewhere(theta):
    """V = −ψθ − γψ²/4 by Wasserstein's loss and R1 of ψ (x + y) / 2, whose slope is ψ / √2: so θ² / γ to be won."""
    gamma = 0.5
    found = duality.gap(dirac(theta, 0.0, wasserstein(), gamma, optimizer={**SGD, "lr": 1.0}), zeros(), 60)
    assert found.discriminator == pytest.approx(theta**2 / gamma, abs=1e-4)
    assert found.generator == pytest.approx(0, abs=1e-6)  # with ψ = 0 all θ are alike


def test_the_generator_s_part_is_found_by_its_own_loss():
    """The non-saturating generator goes down its own slope, and is judged by what the discriminator loses."""
    steps, rate, psi = 50, 0.1, 1.0
    found = duality.gap(dirac(0.0, psi, nonsaturating(), 0.5), zeros(), steps)
    theta = 0.0
    for _ in range(steps):
        theta += rate * psi / (1 + math.exp(psi * theta))  # of softplus(−ψθ)
    won = math.log1p(math.exp(psi * theta)) - math.log(2)
    assert found.generator == pytest.approx(won, rel=1e-4)


def test_the_gap_grows_with_the_distance_from_the_equilibrium():
    gaps = [duality.gap(dirac(t, 0.5, nonsaturating(), 0.5), zeros(), 100).value for t in (0.5, 1.0, 2.0)]
    assert gaps == sorted(gaps)
    assert gaps[0] > 0


@pytest.mark.parametrize("name", ["gan", "dcgan", "sngan", "r3gan", "ada", "wgan-gp"])
def test_the_search_changes_nothing_of_the_training(name):
    fields = {"conditional": False} if name == "sngan" else {}
    alone = play(make_player(make_recipe(name, **fields)), 6)
    player = play(make_player(make_recipe(name, **fields)), 3)
    before, rng = state(player), torch.get_rng_state()
    held = pictures(40, seed=5)
    first = duality.gap(player, held, 3)
    assert unlike(before, player) == []
    assert torch.equal(rng, torch.get_rng_state())
    assert duality.gap(player, held, 3) == first
    assert all(math.isfinite(part) and part >= 0 for part in first)
    play(player, 3)
    assert unlike(alone, player) == []


def test_the_search_is_at_the_schedule_s_highest_rate_and_at_today_s_penalties():
    lr = {"start": 0.5, "end": 0.0, "shape": "linear"}
    player = dirac(1.0, 0.0, wasserstein(), 0.5, images=64, optimizer={**SGD, "lr": lr})
    play(player, 8)  # to the end, where the rate is next to 0
    weight = player.knobs()["r1"]
    theta, psi = (network.w.item() for network in (player.game.generator, player.game.discriminator))
    found = duality.gap(player, zeros(), 80)
    before = psi * theta + weight * psi**2 / 4
    assert found.discriminator == pytest.approx(theta**2 / weight + before, abs=1e-4)
    player.eased = 1
    assert player.knobs()["r1"] == 2 * weight
    after = duality.gap(player, zeros(), 80)
    assert after.discriminator == pytest.approx(
        theta**2 / (2 * weight) + psi * theta + 2 * weight * psi**2 / 4, abs=1e-4
    )


def test_examples_to_search_on_and_to_judge_on_have_nothing_in_common():
    search, judge = duality.halves(pictures(41))
    assert (search.count, judge.count) == (20, 21)
    assert np.array_equal(np.concatenate([search.array, judge.array]), pictures(41).array)
    assert np.array_equal(np.concatenate([search.labels, judge.labels]), pictures(41).labels)
    whole = pictures(41).array
    read = Dataset("read", "image", (1, 16, 16), 41, read=lambda i: whole[i])
    assert np.array_equal(duality.halves(read)[1].read(0), whole[20])


def test_what_has_no_gap_is_refused():
    with pytest.raises(Refused, match="two held-out examples or more, not 1"):
        duality.gap(player_of(Saddle(1, 1)), zeros(1), 1)
    moves = (
        Move("discriminator", ("discriminator",), fresh=True),
        Move("generator", ("generator",)),
        Move("discriminator", ("discriminator",)),
    )
    three = make_player(make_recipe("toy", duality_gap=5), game=Toy(moves))
    with pytest.raises(Refused, match="a game of two moves, and this one has discriminator, generator, discriminator"):
        duality.check(three, zeros())
    with pytest.raises(Refused, match="blobs has no examples that are not trained on") as caught:
        duality.check(make_player(make_recipe("toy", duality_gap=5), game=Toy()), None)
    assert "--data.reserve" in caught.value.remedy
    duality.check(make_player(make_recipe("toy"), game=Toy()), None)  # it is not asked for


def test_its_card_tells_what_decides_it():
    recipe = make_recipe("wgan-gp", duality_gap=25)
    card = duality.cards(recipe, pictures(40))["duality-gap"]
    assert (card["steps"], card["better"], card["reference_samples"]) == (25, "lower", 40)
    assert (card["loss"]["name"], card["penalties"]) == ("wasserstein", ["gradient_penalty"])
    assert duality.cards(make_recipe("gan"), pictures(40)) == duality.cards(recipe, None) == {}
