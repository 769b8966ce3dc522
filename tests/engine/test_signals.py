import json
import math

import numpy as np
import pytest
import torch

from gansmith.data.dataset import Dataset
from gansmith.engine import player as player_module
from gansmith.engine.signals import Geometry, Signals, above
from gansmith.games.game import Outcome

from .playing import make_player, make_recipe, pictures, play, state, unlike
from .test_player import SGD, Toy


@pytest.fixture(autouse=True)
def _each_round(monkeypatch):
    monkeypatch.setattr(player_module, "SAMPLED_ROUNDS", 1)


def watched(name="gan", held=None, **fields):
    player = make_player(make_recipe(name, **fields))
    signals = Signals(player, held)
    player.noted = signals.note
    return player, signals


# --- distances ---------------------------------------------------------------------------------------


def cloud(n, dims, seed, shift=0.0):
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, dims)) + shift


def apart(one, other):
    return np.sqrt(((one[:, None] - other[None]) ** 2).sum(2))


def test_the_share_of_pairs_is_counted_with_ties_as_half():
    one, other = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.0])
    pairs = [(a > b) + 0.5 * (a == b) for a in one.tolist() for b in other.tolist()]
    assert above(one, other).item() == pytest.approx(sum(pairs) / 6)
    assert above(one, one).item() == 0.5


def test_distances_are_those_of_their_formulas():
    real, fake = cloud(20, 6, 0), cloud(20, 6, 1, shift=0.7) * 1.3
    found = Geometry(torch.from_numpy(real).float()).compare(torch.from_numpy(fake).float())
    others = ~np.eye(20, dtype=bool)
    rr, ff, fr = apart(real, real), apart(fake, fake), apart(fake, real)
    width = np.quantile(rr[others], 0.05)

    def alike(distances):
        return np.exp(-((distances[others] / width) ** 2)).mean()

    assert found["far"].item() == pytest.approx((2 * fr.mean() - ff[others].mean()) / rr[others].mean() - 1, rel=1e-4)
    assert found["diversity"].item() == pytest.approx(alike(rr) / alike(ff), rel=1e-3)
    assert found["spread"].item() == pytest.approx(np.sqrt(fake.var(0).sum() / real.var(0).sum()), rel=1e-5)


def test_the_real_examples_themselves_are_as_diverse_as_the_data_and_near_them():
    real = torch.from_numpy(cloud(64, 12, 2)).float()
    found = Geometry(real).compare(real)
    assert found["diversity"].item() == pytest.approx(1, abs=1e-6)
    assert found["spread"].item() == pytest.approx(1, abs=1e-6)
    # Each example is at distance 0 from itself, and not from another of its kind.
    assert found["far"].item() == pytest.approx(-2 / 64, abs=1e-3)


def test_copies_of_one_example_are_a_single_mode():
    real = torch.from_numpy(cloud(64, 2, 3)).float()
    geometry = Geometry(real)
    found = geometry.compare(real[:1].expand(64, -1))
    assert found["diversity"].item() == pytest.approx(geometry.alike.item(), rel=1e-5)
    assert found["diversity"].item() < 0.1
    assert found["spread"].item() < 1e-6


def test_with_classes_only_examples_of_one_class_are_compared():
    centres = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
    labels = torch.arange(64) % 2
    real = centres[labels] + torch.from_numpy(cloud(64, 2, 4)).float()
    collapsed = centres[labels]  # one sample a class
    told, untold = Geometry(real, labels), Geometry(real)
    assert told.compare(collapsed)["diversity"].item() < 0.1
    assert told.compare(collapsed)["diversity"].item() < untold.compare(collapsed)["diversity"].item()


def test_places_are_in_units_of_the_data_s_spread_along_its_axes():
    real = torch.from_numpy(cloud(64, 30, 5) * np.linspace(4, 0.1, 30) + 3).float()
    geometry = Geometry(real)
    places = geometry.places(real)
    assert places.shape == (64, 8)
    assert places.square().mean().item() == pytest.approx(1, abs=1e-5)
    assert places.mean(0).abs().max().item() < 1e-5
    assert places[:, 0].var().item() > places[:, 7].var().item()


# --- beside the training -----------------------------------------------------------------------------


class Told(Toy):
    """Logits that are known, beside the toy's loss."""

    real, fake = torch.tensor([0.0, 1.0, 2.0, 3.0] * 2), torch.tensor([-1.0, 0.5] * 4)

    def discriminator_loss(self, turn):
        outcome = super().discriminator_loss(turn)
        return Outcome(outcome.terms, watched={"on_real": self.real, "on_fake": self.fake})


def test_logits_and_gradients_are_averaged_over_the_steps_between_two_probes():
    player = make_player(make_recipe("toy", optimizer={**SGD, "lr": 0.1}), game=Told())
    signals = Signals(player)
    player.noted = signals.note
    play(player, 5)
    found = signals.probe()
    real, fake = Told.real.numpy(), Told.fake.numpy()
    assert found["real"] == pytest.approx(1.5)
    assert found["real_std"] == pytest.approx(real.std(ddof=1), rel=1e-6)
    assert found["fake"] == pytest.approx(-0.25)
    assert found["fake_std"] == pytest.approx(fake.std(ddof=1), rel=1e-6)
    assert found["won"] == pytest.approx((real[:, None] > fake).mean())
    assert found["positive"] == 0.75
    assert found["gradient/discriminator"] == pytest.approx(math.sqrt(3))
    assert found["gradient/generator"] == found["pull"] == pytest.approx(2 * math.sqrt(3))
    assert found["grown/discriminator"] > 1e6  # it began at 0
    assert "known" not in found  # there are no held-out examples
    play(player, 1)
    Told.real[0] = 5.0
    try:
        assert play(player, 1).images == 56
        assert signals.probe()["real"] == pytest.approx((1.5 + (12 + 5) / 8) / 2)
    finally:
        Told.real[0] = 0.0


@pytest.mark.parametrize("name", ["gan", "dcgan", "sngan", "ada", "r3gan"])
def test_a_probe_changes_nothing_of_the_training(name):
    fields = {"conditional": False} if name in ("sngan",) else {}
    alone = play(make_player(make_recipe(name, **fields)), 6)
    player, signals = watched(name, pictures(seed=9), **fields)
    torch.manual_seed(5)
    for _ in range(3):
        play(player, 2)
        before, after = torch.get_rng_state(), None
        found = signals.probe()
        after = torch.get_rng_state()
        assert torch.equal(before, after)
        assert {"known", "won_held", "diversity", "far", "far_average", "won", "centre"} <= set(found)
        assert all(np.isfinite(value).all() for value in found.values())
    assert unlike(alone, player) == []
    assert player.game.training


def test_probes_are_the_same_after_a_resume():
    held = pictures(seed=9)
    player, signals = watched("dcgan", held)
    play(player, 3)
    signals.probe()
    play(player, 2)
    tensors, clock, kept = state(player), player.clock(), json.loads(json.dumps(signals.state()))
    play(player, 3)
    whole = signals.probe()
    again, resumed = watched("dcgan", held, seed=3)
    again.load(tensors, clock)
    resumed.load(kept)
    play(again, 3)
    assert resumed.probe() == whole


def test_a_discriminator_that_knows_its_examples_is_found_out():
    """One whose logit is high on what it was trained on, and nowhere else."""
    train, held = pictures(64, seed=1), pictures(64, seed=2)
    known = {row.tobytes() for row in train.array}

    class Knows(Toy):
        def discriminator_loss(self, turn):
            raw = ((turn.batch.data + 1) * 127.5).round().to(torch.uint8).numpy()
            on_real = torch.tensor([float(row.tobytes() in known) for row in np.ascontiguousarray(raw)])
            outcome = super().discriminator_loss(turn)
            return Outcome(outcome.terms, watched={"on_real": on_real, "on_fake": torch.zeros_like(on_real)})

    recipe = make_recipe("toy", optimizer={**SGD, "lr": 0.0})
    player = make_player(recipe, train, game=Knows())
    signals = Signals(player, held)
    player.noted = signals.note
    play(player, 1)
    found = signals.probe()
    assert (found["known"], found["won_seen"], found["won_held"]) == (1.0, 1.0, 0.5)
    assert found["memory"] == pytest.approx(1.0)  # complete, in the measure of Karras et al., 2020 (arXiv:2006.06676)


def test_points_are_probed_too():
    points = cloud(500, 2, 7).astype(np.float32)
    dataset = Dataset("cloud", "points", (2,), 500, array=points)
    player = make_player(make_recipe("r3gan-mlp", conditional=False), dataset)
    signals = Signals(player, Dataset("cloud", "points", (2,), 100, array=points[:100]))
    player.noted = signals.note
    play(player, 2)
    found = signals.probe()
    assert len(found["centre"]) == 2
    assert "moved" not in found
    play(player, 1)
    assert signals.probe()["moved"] > 0
