"""The auxiliary classifier against the losses of its papers, written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gansmith.games.auxiliary import Auxiliary
from gansmith.losses import adversarial
from gansmith.networks import mlp
from gansmith.networks.convolution import Conv2d

from .heads import CLASSES, KNOBS, LABELS, NOISE, SHAPE, check, make, moved, noise_of, turn_of


def parts(game: Auxiliary, move: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits on real and fake, and the classifier's scores on both."""
    real = turn_of(game, move).batch.data
    fake = game.generator(noise_of(game, move), LABELS)
    if move == "discriminator":
        fake = fake.detach()
    features = [game.discriminator.features(x) for x in (real, fake)]
    logits = [game.discriminator.logits(f) for f in features]
    return (*logits, *(game.classifier(f) for f in features))


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("fakes", [True, False])
def test_both_sides_minimise_the_cross_entropy(fakes: bool, shared: bool):
    game = make(Auxiliary, classes=CLASSES, fakes=fakes, discriminator_weight=0.7, generator_weight=0.2,
                shared_fakes=shared)  # fmt: skip
    assert moved(game) == {"discriminator", "classifier", "generator"}
    on_real, on_fake, real, fake = parts(game, "discriminator")
    cost = F.cross_entropy(real, LABELS, reduction="none")
    if fakes:
        cost = cost + F.cross_entropy(fake, LABELS, reduction="none")
    check(game, "discriminator", {"adversarial": F.softplus(-on_real) + F.softplus(on_fake), "class": 0.7 * cost})
    _, on_fake, _, fake = parts(game, "generator")
    cost = F.cross_entropy(fake, LABELS, reduction="none")
    check(game, "generator", {"adversarial": F.softplus(-on_fake), "class": 0.2 * cost})


def test_multi_hinge_beside_the_hinge():
    game = make(Auxiliary, classes=CLASSES, kind="multi-hinge", fakes=False, generator_weight=0.05,
                loss=adversarial.hinge())  # fmt: skip

    def multi(scores: torch.Tensor) -> torch.Tensor:
        own = scores[torch.arange(len(scores)), LABELS]
        others = [torch.cat([row[:c], row[c + 1 :]]).max() for row, c in zip(scores, LABELS.tolist(), strict=True)]
        return (1 - own + torch.stack(others)).relu()

    on_real, on_fake, real, _ = parts(game, "discriminator")
    check(game, "discriminator", {"adversarial": (1 - on_real).relu() + (1 + on_fake).relu(), "class": multi(real)})
    _, on_fake, _, fake = parts(game, "generator")
    check(game, "generator", {"adversarial": -on_fake, "class": 0.05 * multi(fake)})


@pytest.mark.parametrize("names", [(), ("r1",), ("r1", "r2"), tuple(KNOBS)], ids=str)
def test_a_joint_pass_equals_two_with_any_penalties(names: tuple[str, ...]):
    results = []
    for joint in (True, False):
        game = make(Auxiliary, names, classes=CLASSES, joint_pass=joint)
        turn = turn_of(game, "discriminator")
        outcome = game.play("discriminator", turn)
        results.append(outcome.terms)
        assert set(outcome.terms) == {"adversarial", "class", *names}
    for name, value in results[0].items():
        torch.testing.assert_close(value, results[1][name])


@pytest.mark.parametrize(("joint", "passes"), [(True, 1), (False, 2)])
def test_an_example_goes_through_the_discriminator_once(joint: bool, passes: int):
    game, seen = make(Auxiliary, ("r1", "r2"), classes=CLASSES, joint_pass=joint), []
    game.discriminator.layers.register_forward_hook(lambda *_: seen.append(1))
    game.play("discriminator", turn_of(game, "discriminator"))
    assert len(seen) == passes


def test_features_know_no_label_and_logits_may():
    with pytest.raises(ValueError, match="features betray them"):
        Auxiliary(mlp.Generator(SHAPE, NOISE, 3), mlp.Discriminator(SHAPE, 3), classes=3,
                  loss=adversarial.hinge())  # fmt: skip
    from gansmith.networks import resnet

    nets = resnet.Generator((1, 8, 8), NOISE, 3, width=4), resnet.Discriminator((1, 8, 8), 3, width=4)
    game = Auxiliary(*nets, classes=3, loss=adversarial.hinge(), noise=NOISE)
    x = torch.randn(4, 1, 8, 8)
    one, other = (game.judged(x, torch.tensor(labels)) for labels in ([0, 1, 2, 0], [1, 1, 2, 0]))
    assert one.logits[0] != other.logits[0]
    assert one.features is not None
    assert other.features is not None
    assert torch.equal(one.features, other.features)


def test_what_it_cannot_be_is_said():
    nets = mlp.Generator(SHAPE, NOISE), mlp.Discriminator(SHAPE)
    for classes, vectors in ((0, False), (3, True)):
        with pytest.raises(ValueError, match="needs data with labels"):
            Auxiliary(*nets, classes=classes, vectors=vectors, loss=adversarial.hinge())
    with pytest.raises(ValueError, match="kind is cross-entropy or multi-hinge, not 'softmax'"):
        Auxiliary(*nets, classes=3, kind="softmax", loss=adversarial.hinge())
    plain = torch.nn.Sequential(Conv2d(1, 1, 4), torch.nn.Flatten())
    with pytest.raises(ValueError, match="classifier reads the discriminator's features"):
        Auxiliary(nets[0], plain, classes=3, loss=adversarial.hinge())
