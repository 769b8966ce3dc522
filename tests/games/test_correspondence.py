"""CUT's terms against its formulas, over both generator forms, flipped and not."""

from __future__ import annotations

import pytest
import torch

from gansmith.games.correspondence import Correspondence
from gansmith.losses import adversarial
from gansmith.losses.correspondence import matched, normalised, patch_nce, sampled
from gansmith.networks import unet

from .translating import A, B, batch, discriminator, generator, lazies, played, turn_of


def make(filtered: bool = True, **fields) -> Correspondence:
    torch.manual_seed(0)
    fields = {"loss": adversarial.least_squares(), "shape": A, "patches": 10, "width": 4, **fields}
    return Correspondence(generator(filtered=filtered), discriminator(), **fields).double()


def compared(game: Correspondence, x: torch.Tensor, name: str, turned: torch.Tensor | None = None) -> torch.Tensor:
    """PatchNCE by the game's own networks, step by step."""
    draws = turn_of(game, "generator").draws

    def flip(z: torch.Tensor) -> torch.Tensor:
        return (
            z
            if turned is None
            else torch.stack([each.flip(2) if t else each for each, t in zip(z, turned, strict=True)])
        )

    made = game.generator(flip(x))
    total = torch.zeros(len(x), dtype=torch.float64)
    features = zip(game.generator.features(matched(made, A[0])), game.generator.features(x), strict=True)
    for i, (query, key) in enumerate(features):
        query = flip(query)
        places = query.shape[2] * query.shape[3]
        at = draws.uniform(f"places {name} {i}", places).argsort(1)[:, :10]
        assert len(set(at[0].tolist())) == 10
        layer = game.projector.layers[i]
        total += patch_nce(normalised(layer(sampled(query, at))), normalised(layer(sampled(key, at))), 0.07)
    return total / len(game.generator.feature_widths)


@pytest.mark.parametrize("filtered", [False, True])
def test_both_sides_are_the_papers(filtered):
    game = make(filtered, nce=3.0, identity=2.0, adversarial=2.0)
    a, b = batch().data, batch().more["b"]
    made = played(game, "generator", traced=filtered)
    fake = game.generator(a)
    torch.testing.assert_close(made.terms["adversarial"], (game.discriminator(fake) - 1).square().mean(1))
    torch.testing.assert_close(made.terms["nce"], 3 * compared(game, a, "x"))
    torch.testing.assert_close(made.terms["identity"], 2 * compared(game, matched(b, 1), "y"))
    judged = played(game, "discriminator", made.shared)
    wanted = 0.5 * ((game.discriminator(b) - 1).square() + game.discriminator(fake).square()).mean(1)
    torch.testing.assert_close(judged.terms["adversarial"], wanted)


def test_flipped_inputs_are_compared_across_the_flip():
    game = make(flipped=True, identity=0.0)
    turned = turn_of(game, "generator").draws.uniform("flipped") < 0.5
    made = played(game, "generator")
    assert {name for name in made.terms if "/" not in name} == {"adversarial", "nce"}
    torch.testing.assert_close(made.terms["nce"], compared(game, batch().data, "x", turned))


def test_no_gradient_goes_into_the_keys_and_all_that_is_trained_has_one():
    game = make(identity=0.0, adversarial=0.0)
    result = played(game, "generator")
    moves = {move.name: move.trains for move in game.moves()}
    assert moves == {"generator": ("generator", "projector"), "discriminator": ("discriminator",)}
    assert all(grad is not None for grad in result.grads)


def test_penalties_join_the_discriminator():
    game = make(loss=adversarial.relativistic(), penalties=lazies("r1", "r2"))
    terms = {name for name in played(game, "discriminator").terms if "/" not in name}
    assert terms == {"adversarial", "r1", "r2"}
    assert not game.coupled


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="gives no features to compare"):
        Correspondence(unet.Generator(A, B, width=2), discriminator(), loss=adversarial.least_squares(), shape=A)
    with pytest.raises(ValueError, match="temperature must be above 0"):
        make(temperature=0.0)
