"""The multi-hinge GAN against its losses, written out."""

from __future__ import annotations

import pytest
import torch

from gansmith.games.multihinge import Multihinge

from .heads import BATCH, CLASSES, LABELS, check, make, noise_of, turn_of


def multi(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    own = scores[torch.arange(len(scores)), labels]
    others = [torch.cat([row[:c], row[c + 1 :]]).max() for row, c in zip(scores, labels.tolist(), strict=True)]
    return (1 - own + torch.stack(others)).relu()


def test_one_classifier_of_classes_and_fakes():
    game = make(Multihinge, classes=CLASSES, generator_weight=0.4)
    fakes = torch.full((BATCH,), CLASSES)

    def scores(x: torch.Tensor) -> torch.Tensor:
        return game.classifier(game.discriminator.features(x))

    real = scores(turn_of(game, "discriminator").batch.data)
    made = game.generator(noise_of(game, "discriminator"), LABELS)
    assert real.shape == (BATCH, CLASSES + 1)
    check(game, "discriminator", {"adversarial": multi(real, LABELS) + multi(scores(made.detach()), fakes)})
    check(game, "generator", {"adversarial": 0.4 * multi(scores(made), LABELS)})


def test_penalties_see_the_score_of_the_class_over_that_of_fakes():
    game = make(Multihinge, ("r1",), classes=CLASSES)
    turn = turn_of(game, "discriminator")
    x = turn.batch.data.clone().requires_grad_()
    scores = game.classifier(game.discriminator.features(x))
    on_real = scores[torch.arange(BATCH), LABELS] - scores[:, CLASSES]
    (slope,) = torch.autograd.grad(on_real.sum(), x)
    outcome = game.play("discriminator", turn)
    torch.testing.assert_close(outcome.terms["r1"], 0.3 * 0.5 * slope.square().flatten(1).sum(1))
    torch.testing.assert_close(outcome.watched["on_real"], on_real.detach())


def test_labels_are_needed():
    with pytest.raises(ValueError, match="needs data with labels"):
        make(Multihinge, classes=0)
