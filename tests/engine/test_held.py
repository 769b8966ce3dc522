"""Held-out examples of a game that makes nothing of noise: the same ones, averaged as they should be."""

import numpy as np
import pytest
import torch
from torch import nn

from gansmith.data.dataset import Dataset
from gansmith.errors import Refused
from gansmith.games.game import Game, Outcome

from .playing import make_player, make_recipe


class Doubles(Game):
    """Brightens pictures by a learned number."""

    use, better = "brighten PICTURES --run RUN", {"error": "lower", "size": "higher"}

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)

    def discriminator_loss(self, turn):
        return Outcome({"nothing": self.discriminator.weight.sum().expand(len(turn.batch.data))})

    def generator_loss(self, turn):
        return Outcome({"nothing": self.generator.weight.sum().expand(len(turn.batch.data))})

    def pictures(self, batch, draws):
        return {"input": batch.data, "output": batch.data * 2, "noise": draws.normal("n", *batch.data.shape[1:])}

    def numbers(self, batch, draws):
        return {"size": batch.data.flatten(1).mean(1), "error": batch.data.flatten(1).amax(1)}


def dataset(count=37):
    array = np.random.default_rng(1).integers(0, 256, (count, 1, 4, 4)).astype(np.uint8)
    return Dataset("held", "image", (1, 4, 4), count, array=array, fingerprint="x")


def test_its_numbers_are_means_over_the_held_out_examples_and_its_pictures_stay_the_same():
    data = dataset()
    player = make_player(make_recipe("toy"), game=Doubles())
    held = player.sampler(data).held
    values = data.array.astype(np.float64).reshape(37, -1) / 127.5 - 1
    found = held.numbers(1000)
    assert list(found) == ["error", "size"]
    assert found["error"] == pytest.approx((values.max(1).mean(), values.max(1).std(ddof=1) / 37**0.5), abs=1e-6)
    assert found["size"].value == pytest.approx(values.mean(), abs=1e-6)
    order = player.feeds(data, seed=0, batch=16, workers=0).indices(0, 20)
    assert held.numbers(20)["size"].value == pytest.approx(values[order].mean(), abs=1e-6)
    shown, again = held.pictures(5), player.sampler(data).held.pictures(5)
    assert list(shown) == ["input", "output", "noise"]
    assert np.array_equal(shown["input"], data.array[order[:5]])
    assert all(np.array_equal(shown[name], again[name]) for name in shown)


def test_without_any_it_looks_at_what_it_trains_on_and_noise_is_refused():
    player = make_player(make_recipe("toy"), game=Doubles())
    sampler = player.sampler()
    assert sampler.held.dataset is player.dataset
    with pytest.raises(Refused, match="nothing of noise") as told:
        sampler.sample(2)
    assert "gansmith brighten PICTURES --run RUN" in str(told.value)
    assert torch.is_inference_mode_enabled() is False
