import numpy as np
import pytest
import torch

from gansmith.engine.sampler import latents
from gansmith.metrics.modes import mode_coverage
from gansmith.metrics.wasserstein import wasserstein_distance
from gansmith.playground.lab import gauges as module
from gansmith.playground.lab.gauges import PAIRED, SAMPLES, SEED
from gansmith.playground.lab.session import World
from gansmith.playground.lab.settings import Settings, opened

SMALL = Settings(d_width=8, g_width=8, batch=16)


@pytest.fixture
def world():
    return World([SMALL], opened(SMALL, None))


def test_scores_are_the_packages_own(world):
    for _ in range(3):
        world.play("round")
    play = world.plays[0]
    modes, good, distance = world.gauges[0].score()
    with torch.no_grad():
        fakes = play.player.game.generate(torch.from_numpy(latents(SAMPLES, 2, SEED)))
    found = mode_coverage(fakes, play.dataset.modes.centres, play.dataset.modes.sigma)
    assert (modes, good) == (found.covered, found.good)
    assert distance == wasserstein_distance(fakes[:PAIRED], play.points[:PAIRED])
    assert 0.3 < world.gauges[0].facts()["floor"] < 1


def test_measured_at_the_same_places_however_it_was_played(world):
    for _ in range(130):
        world.play("round")
    first = world.gauges[0].taken()
    assert [row[0] for row in first["scores"]] == [64, 128]
    assert [row[0] for row in first["points"]] == list(range(1, 130, 8))
    again = World([SMALL], opened(SMALL, None))
    again.plays[0].load(world.plays[0].timeline.plain())
    while again.plays[0].at < 130:  # in leaps, as a seek does
        again.plays[0].towards(again.plays[0].at + 1)
        again.gauges[0].look()
    assert again.gauges[0].taken() == first
    # What was seen once is not measured twice, but it is where the training goes another way.
    while not world.plays[0].towards(60):
        pass
    for _ in range(6):
        world.play("round")
    assert world.gauges[0].taken() == {"points": [], "scores": []}
    world.change(0, SMALL.model_copy(update={"loss": "hinge"}))
    for _ in range(6):
        world.play("round")
    assert all(66 < row[0] <= 72 for row in world.gauges[0].taken()["points"])
    assert world.branches[0].end == 130


def test_losses_and_gradients_are_those_of_the_move(world):
    world.gauges[0].closely(True)
    world.play("round")
    ((at, d_loss, g_loss, d_norm, g_norm),) = world.gauges[0].taken()["points"]
    assert at == 1
    assert all(np.isfinite([d_loss, g_loss, d_norm, g_norm]))
    # The first round, taken apart: the relativistic loss of equal logits is log 2, and weights hardly tell at first.
    assert abs(g_loss - np.log(2)) < 0.3
    assert d_norm > 0
    assert world.plays[0].player.sampled == 1


def test_rows_that_nobody_fetches_are_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 10)
    world.gauges[0].closely(True)
    for _ in range(60):
        world.play("round")
    rows = [row[0] for row in world.gauges[0].taken()["points"]]
    assert len(rows) <= 10
    assert rows[-1] == 60
    assert rows == sorted(rows)
