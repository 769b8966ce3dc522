"""f-AnoGAN, GANomaly and ALAD: terms and gradients written out by hand in float64, eager and traced; their phases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gansmith.data.dataset import Batch, Dataset
from gansmith.draws import Draws
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.anomaly import Alad, FAnoGan, Ganomaly
from gansmith.games.game import Game, Turn
from gansmith.games.synthesis import Lazy
from gansmith.losses import adversarial
from gansmith.losses.penalties import gradient_penalty
from gansmith.networks import dcgan, mlp, packed
from gansmith.recipe import validate

BATCH, NOISE, SHAPE = 5, 3, (6,)
STEPPERS: dict[str, Callable[[Game], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


def parts(spectral: bool = False) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "encoder": mlp.Encoder(SHAPE, NOISE, hidden=(8,), spectral=spectral),
        "generator": mlp.Generator(SHAPE, NOISE, hidden=(8,)),
        "discriminator": mlp.Discriminator(SHAPE, hidden=(7,), spectral=spectral),
    }


def fanogan(**options: Any) -> FAnoGan:
    penalties = {"gradient-penalty": Lazy(gradient_penalty())}
    return FAnoGan(**parts(), loss=adversarial.wasserstein(), penalties=penalties, noise=NOISE, **options).double()


def ganomaly(**options: Any) -> Ganomaly:
    again = mlp.Encoder(SHAPE, NOISE, hidden=(9,))
    return Ganomaly(**parts(), again=again, loss=adversarial.nonsaturating(), noise=NOISE, **options).double()


def alad(**options: Any) -> Alad:
    pairs = packed.Discriminator(SHAPE, pack=2, hidden=(5,), spectral=True)
    networks = parts(spectral=True)
    return Alad(**networks, pairs=pairs, loss=adversarial.nonsaturating(), noise=NOISE, hidden=6, **options).double()


MADE: dict[str, Callable[..., Any]] = {"fanogan": fanogan, "ganomaly": ganomaly, "alad": alad}


def turn(move: str) -> Turn:
    data = torch.randn(BATCH, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Turn(Batch(data), Draws(0, 0, BATCH, prefix=move), {"gradient-penalty": 10.0})


def checked(game: Game, move: str, expected: dict[str, torch.Tensor], how: str) -> None:
    """A move's terms, and their gradient by all that it trains, are those expected."""
    (trains,) = [m.trains for m in game.moves() if m.name == move]
    trained = [p for name in trains for p in getattr(game, name).parameters()]
    slopes = torch.autograd.grad(sum(term.mean() for term in expected.values()), trained, allow_unused=True)
    result = STEPPERS[how](game)(move, turn(move), trained)
    assert set(expected) <= set(result.terms)
    for name, value in expected.items():
        torch.testing.assert_close(result.terms[name], value.detach())
    for mine, theirs in zip(result.grads, slopes, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)
    assert sum(slope is not None and bool(slope.any()) for slope in slopes) >= len(slopes) - 2


def softplus(x: torch.Tensor) -> torch.Tensor:
    return (1 + x.exp()).log()


@pytest.mark.parametrize("how", STEPPERS)
def test_f_anogans_encoder_minimises_what_is_lost_in_data_and_features(how: str):
    game = fanogan(kappa=0.7)
    game.enter("encode")
    x = turn("encoder").batch.data
    made = game.generator(game.encoder(x))
    features = game.discriminator.layers
    lost = {
        "data": (x - made).square().mean(1),
        "features": 0.7 * (features(x) - features(made)).square().mean(1),
    }
    torch.testing.assert_close(game.score(x), sum(lost.values()))
    checked(game, "encoder", lost, how)


@pytest.mark.parametrize("how", STEPPERS)
def test_ganomalys_three_terms_and_its_score(how: str):
    game = ganomaly()
    x = turn("generator").batch.data
    z = game.encoder(x)
    made = game.generator(z)
    again = game.again(made)
    wanted = game.discriminator.layers(x).detach()
    expected = {
        "adversarial": (game.discriminator.layers(made) - wanted).square().mean(1),
        "contextual": 50 * (x - made).abs().mean(1),
        "latent": (z - again).square().mean(1),
    }
    torch.testing.assert_close(game.score(x), (z - again).abs().sum(1))
    checked(game, "generator", expected, how)
    told = softplus(-game.discriminator(x)) + softplus(game.discriminator(made.detach()))
    checked(game, "discriminator", {"adversarial": told}, how)


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("move", ["discriminator", "generator"])
def test_alads_three_discriminators_and_the_inverse(move: str, how: str):
    game = alad()
    game.eval()  # spectral norms as they are, so that what is written out here does not move them
    x, z = turn(move).batch.data, Draws(0, 0, BATCH, prefix="fakes").normal("noise", NOISE).double()
    encoded, made = game.encoder(x), game.generator(z)
    again, z_again = game.generator(encoded), game.encoder(made)

    def xz(data: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        return game.head(game.discriminator.layers(data), vector)

    def xx(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return game.doubles.inner(torch.cat([one, other], 1))

    sign = 1 if move == "discriminator" else -1

    def told(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return softplus(-sign * real) + softplus(sign * fake)

    expected = {
        "adversarial": told(xz(x, encoded), xz(made, z)),
        "data": told(xx(x, x), xx(x, again)),
        "latent": told(game.latents(z, z), game.latents(z, z_again)),
    }
    features = game.doubles.inner.layers
    apart = features(torch.cat([x, x], 1)) - features(torch.cat([x, again], 1))
    torch.testing.assert_close(game.score(x), apart.abs().sum(1))
    checked(game, move, expected, how)


def test_what_they_play():
    assert [(m.name, m.trains, m.phase) for m in fanogan().moves()] == [
        ("discriminator", ("discriminator",), "play"), ("generator", ("generator",), "play"),
        ("encoder", ("encoder",), "encode"),
    ]  # fmt: skip
    assert [(p.name, p.until, p.settle) for p in fanogan(encode=0.25).phases()] == [
        ("play", 0.75, False), ("encode", 1.0, True),
    ]  # fmt: skip
    assert [m.trains for m in ganomaly().moves()] == [("discriminator",), ("encoder", "generator", "again")]
    assert [m.trains for m in alad().moves()] == [
        ("discriminator", "head", "doubles", "latents"), ("generator", "encoder"),
    ]  # fmt: skip
    assert not any(make().coupled for make in MADE.values())


@pytest.mark.parametrize("name", MADE)
def test_the_player_plays_them_and_all_that_they_train_moves(name: str):
    game = MADE[name]().float()
    array = np.random.default_rng(0).normal(size=(40, *SHAPE)).astype(np.float32)
    dataset = Dataset("x", "vectors", SHAPE, 40, array=array)
    penalties = {"gradient-penalty": {"weight": 10}} if name == "fanogan" else {}
    recipe = validate({"batch": 10, "images": 80, "penalties": penalties, "optimizer": {"lr": 1e-2}}, "test")
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "cpu")
    player = Player(game, dataset, recipe, torch.device("cpu"), numerics)
    before = {key: value.clone() for key, value in player.tensors().items() if key.startswith("weights.")}
    pair = None
    while player.images < player.total:
        if player.phase == "encode" and pair is None:
            pair = {
                k: v.clone() for k, v in player.tensors().items() if k.startswith("weights.") and "encoder" not in k
            }
        player.round()
    after = player.tensors()
    still = {key for key, value in before.items() if torch.equal(after[key], value)}
    # ALAD asks D_xz for features alone.
    assert {key for key in still if not key.startswith("weights.discriminator.end")} == set()
    if name == "fanogan":
        assert pair is not None
        assert all(torch.equal(after[key], value) for key, value in pair.items())
    data = torch.from_numpy(array[:4])
    shown: Any = player.shown()
    assert shown.score(data).shape == (4,)
    assert shown.reconstruct(data).shape == data.shape
    assert shown.features(data).shape == (4, 7)
    player.close()


def test_batch_norm_rests_while_the_encoder_learns():
    shape = (1, 8, 8)
    game = FAnoGan(
        dcgan.Generator(shape, NOISE, width=4), dcgan.Discriminator(shape, width=4, norm=False),
        dcgan.Encoder(shape, NOISE, width=4), loss=adversarial.wasserstein(), noise=NOISE,
    )  # fmt: skip
    game.enter("encode")
    assert not game.generator.training
    assert game.encoder.training
    game.enter("play")
    assert game.generator.training
    game.eval().enter("play")
    assert not game.generator.training


def test_it_shows_a_reconstruction_and_how_far_it_is():
    shape = (1, 8, 8)
    game = Ganomaly(
        dcgan.Encoder(shape, NOISE, width=4), dcgan.Generator(shape, NOISE, width=4),
        dcgan.Encoder(shape, NOISE, width=4), dcgan.Discriminator(shape, width=4),
        loss=adversarial.nonsaturating(), noise=NOISE,
    ).eval()  # fmt: skip
    assert game.coupled
    batch, draws = Batch(torch.rand(3, *shape) * 2 - 1), Draws(0, 0, 3)
    shown = game.pictures(batch, draws)
    assert list(shown) == ["input", "output"]
    found = game.numbers(batch, draws)
    torch.testing.assert_close(found["l1"], (shown["output"] - batch.data).abs().mean((1, 2, 3)))
    assert list(found) == list(game.better)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: fanogan(encode=1.0), "between 0 and 1"),
        (lambda: alad(classes=3), "conditional: false"),
        (
            lambda: Alad(
                **parts(), pairs=mlp.Discriminator(SHAPE), loss=adversarial.nonsaturating(), noise=NOISE
            ),
            "two examples at once",
        ),
        (
            lambda: Alad(
                **{**parts(), "encoder": mlp.Encoder(SHAPE, NOISE, moments=2)},
                pairs=packed.Discriminator(SHAPE), loss=adversarial.nonsaturating(), noise=NOISE,
            ),
            "moments: 1",
        ),
        (
            lambda: Ganomaly(
                **{**parts(), "discriminator": nn.Linear(6, 1)}, again=mlp.Encoder(SHAPE, NOISE),
                loss=adversarial.nonsaturating(),
            ),
            "does not offer",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Callable[[], Any], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        make()
