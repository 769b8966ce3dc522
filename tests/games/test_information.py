"""InfoGAN: codes out of noise, and the losses of the paper, written out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal

from gansmith.engine.sampler import latents
from gansmith.games.information import Information
from gansmith.losses import adversarial
from gansmith.networks import mlp
from gansmith.networks.layers import run

from .heads import BATCH, NOISE, SHAPE, check, make, moved, noise_of, turn_of

CODES = {"categorical": (3, 2), "continuous": 2}


def game_of(**fields: object) -> Information:
    return make(Information, classes=0, **{"hidden": (), **CODES, **fields})


@pytest.mark.parametrize("learned", [False, True])
def test_both_sides_gain_by_what_the_fakes_tell(learned: bool):
    game = game_of(learned_variance=learned, categorical_weight=0.7, continuous_weight=0.2)
    assert moved(game) == {"discriminator", "reader", "generator"}
    noise = noise_of(game, "discriminator")
    one, two = noise[:, :3].argmax(1), noise[:, 3:5].argmax(1)
    continuous = 2 * Normal(0, 1).cdf(noise[:, 5:7]) - 1
    latent = torch.cat([F.one_hot(one, 3), F.one_hot(two, 2), continuous, noise[:, 7:]], 1)
    fake, judge = game.generator(latent), game.discriminator

    def terms(features: torch.Tensor) -> dict[str, torch.Tensor]:
        read = game.reader(features)
        classes = [F.cross_entropy(read[:, :3], one, reduction="none") - math.log(3),
                   F.cross_entropy(read[:, 3:5], two, reduction="none") - math.log(2)]  # fmt: skip
        deviations = (0.5 * read[:, 7:9]).exp() if learned else torch.ones_like(continuous)
        told = (Normal(read[:, 5:7], deviations).log_prob(continuous) + math.log(2)).sum(1)
        return {"categorical": 0.7 * sum(classes), "continuous": -0.2 * told}

    real, fakes = judge.features(turn_of(game, "discriminator").batch.data), judge.features(fake.detach())
    adversarial_term = F.softplus(-judge.logits(real)) + F.softplus(judge.logits(fakes))
    check(game, "discriminator", {"adversarial": adversarial_term, **terms(fakes)}, labels=None)
    fakes = judge.features(fake)
    check(game, "generator", {"adversarial": F.softplus(-judge.logits(fakes)), **terms(fakes)}, labels=None)


def test_codes_of_normal_noise_are_uniform_and_independent():
    game = game_of()
    codes = game.codes(torch.from_numpy(latents(20_000, NOISE, 0)))
    for found, number in zip(codes.classes, (3, 2), strict=True):
        share = torch.bincount(found, minlength=number) / len(found)
        torch.testing.assert_close(share, torch.full((number,), 1 / number), atol=0.01, rtol=0)
    for each in codes.continuous.T:
        quantiles = each.sort().values
        torch.testing.assert_close(quantiles, torch.linspace(-1, 1, 20_000), atol=0.02, rtol=0)
    together = torch.cat([codes.latents, codes.continuous.square()], 1)
    one_hot_pairs = torch.corrcoef(together.T)
    assert one_hot_pairs[:3, 3:].abs().max() < 0.03
    assert codes.latents.shape == (20_000, NOISE)


def test_a_class_can_be_asked_for_and_the_rest_stays():
    game = game_of()
    noise = torch.randn(4, NOISE, dtype=torch.float64)
    asked = torch.tensor([2, 0, 1, 1])
    codes, plain = game.codes(noise, asked), game.codes(noise)
    assert codes.latents[:, :3].argmax(1).tolist() == asked.tolist()
    assert torch.equal(codes.latents[:, 3:], plain.latents[:, 3:])
    assert torch.equal(game.generate(noise, asked), run(game.generator, codes.latents))
    assert torch.equal(game.generate(noise), run(game.generator, plain.latents))
    assert game.classes == ("0", "1", "2")
    # Truncation shrinks the noise, and leaves a class what it is.
    assert game.codes(0.3 * noise).classes[0].equal(plain.classes[0])


def test_codes_of_one_kind_are_enough():
    game = game_of(categorical=(), continuous=1)
    assert game.classes is None
    assert set(game.play("generator", turn_of(game, "generator", None)).terms) == {"adversarial", "continuous"}
    game = game_of(categorical=(4,), continuous=0)
    terms = game.play("generator", turn_of(game, "generator", None)).terms
    assert {name: tuple(term.shape) for name, term in terms.items()} == {
        "adversarial": (BATCH,), "categorical": (BATCH,),
    }  # fmt: skip


def test_batch_norm_in_the_reader_couples_examples():
    assert game_of(hidden=(4,)).coupled
    assert not game_of().coupled


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"classes": 3}, "finds classes of its own: --conditional false"),
        ({"categorical": (1,)}, r"no codes of \[1\] classes"),
        ({"categorical": (), "continuous": 0}, "the codes take 0 dimensions"),
        ({"categorical": (8,)}, "the codes take 10 dimensions of the noise, which has 8"),
    ],
)
def test_what_it_cannot_be_is_said(fields: dict[str, object], said: str):
    nets = mlp.Generator(SHAPE, NOISE), mlp.Discriminator(SHAPE)
    with pytest.raises(ValueError, match=said):
        Information(*nets, **{"loss": adversarial.hinge(), "noise": NOISE, **fields})
