"""SSGAN: pictures turned by quarters, and the losses of the paper, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gansmith.games.rotation import Rotation, turned
from gansmith.losses import adversarial
from gansmith.networks import mlp

from .heads import BATCH, SHAPE, check, make, noise_of, turn_of


def test_pictures_are_turned_as_numpy_turns_them():
    images = torch.rand(8, 2, 5, 5)
    quarters = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    found = turned(images, quarters)
    for image, k, one in zip(images, quarters.tolist(), found, strict=True):
        assert np.array_equal(one, np.rot90(image.numpy(), k, (1, 2)))


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_the_turn_is_told_on_reals_by_one_side_and_on_fakes_by_the_other(shared: bool):
    game = make(Rotation, classes=0, shape=SHAPE, shared_fakes=shared)
    judge = game.discriminator

    def cost(images: torch.Tensor, move: str) -> torch.Tensor:
        quarters = turn_of(game, move).draws.integers("turns", 4)
        seen = torch.stack([torch.rot90(x, k, (1, 2)) for x, k in zip(images, quarters.tolist(), strict=True)])
        return F.cross_entropy(game.turns(judge.features(seen)), quarters, reduction="none")

    real = turn_of(game, "discriminator").batch.data
    fake = game.generator(noise_of(game, "discriminator"))
    terms = {"adversarial": F.softplus(-judge(real)) + F.softplus(judge(fake.detach())),
             "rotation": cost(real, "discriminator")}  # fmt: skip
    check(game, "discriminator", terms, labels=None)
    fake = game.generator(noise_of(game, "generator"))
    check(game, "generator", {"adversarial": F.softplus(-judge(fake)), "rotation": 0.2 * cost(fake, "generator")},
          labels=None)  # fmt: skip


def test_all_turns_are_drawn():
    draws = turn_of(make(Rotation, classes=0, shape=SHAPE), "generator").draws
    assert set(draws.integers("turns", 4).tolist()) <= {0, 1, 2, 3}
    assert len(draws.integers("turns", 4)) == BATCH


@pytest.mark.parametrize("shape", [(1, 4, 6), (2,)])
def test_only_squares_can_be_turned(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="rotation turns square images, not examples of shape"):
        Rotation(mlp.Generator(shape, 4), mlp.Discriminator(shape), shape=shape, loss=adversarial.hinge())
