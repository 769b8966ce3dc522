"""Contrastive heads: terms and gradients by the losses, which have tests of their own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gansmith.games.contrastive import Contrastive
from gansmith.losses import adversarial
from gansmith.losses.classification import conditional_contrastive, data_to_data

from .heads import CLASSES, LABELS, check, make, moved, noise_of, turn_of


@pytest.mark.parametrize("kind", ["data-to-data", "conditional"])
def test_embeddings_are_compared_with_proxies_and_with_each_other(kind: str):
    game = make(Contrastive, classes=CLASSES, kind=kind, temperature=0.3, margin=0.7, embedding=4, fakes=True,
                discriminator_weight=0.6, generator_weight=0.3, loss=adversarial.hinge())  # fmt: skip
    assert game.coupled
    assert moved(game) == {"discriminator", "classifier", "generator"}

    def cost(features: torch.Tensor) -> torch.Tensor:
        f = F.normalize(features @ game.classifier.embedding.weight.T + game.classifier.embedding.bias)
        v = F.normalize(game.classifier.proxies.weight[LABELS])
        if kind == "conditional":
            return conditional_contrastive(f, v, LABELS, 0.3)
        return data_to_data(f, v, LABELS, 0.3, 0.7, 0.3)

    real, judge = turn_of(game, "discriminator").batch.data, game.discriminator
    fake = game.generator(noise_of(game, "discriminator"), LABELS)
    of_real, of_fake = judge.features(real), judge.features(fake.detach())
    terms = {
        "adversarial": (1 - judge.logits(of_real)).relu() + (1 + judge.logits(of_fake)).relu(),
        "class": 0.6 * (cost(of_real) + cost(of_fake)),
    }
    check(game, "discriminator", terms)
    of_fake = judge.features(fake)
    check(game, "generator", {"adversarial": -judge.logits(of_fake), "class": 0.3 * cost(of_fake)})


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="temperature must be above 0"):
        make(Contrastive, classes=CLASSES, temperature=0)
    with pytest.raises(ValueError, match="kind is data-to-data or conditional, not 'infonce'"):
        make(Contrastive, classes=CLASSES, kind="infonce")
