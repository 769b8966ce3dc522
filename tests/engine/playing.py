"""Tiny data, recipes and players, for the tests of the engine."""

import numpy as np
import torch

from gansmith import recipe as recipes
from gansmith.build import Facts, build
from gansmith.data.dataset import Dataset
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player

MLP = {"network": "mlp", "hidden": [16]}
TINY = {"network": "r3gan", "widths": [8], "blocks": 1, "cardinality": 2, "patch": 4, "basis": "linear"}
PAIR = {"r1": {"weight": {"start": 0.5, "end": 0.1}, "every": 2}, "r2": {"weight": 0.3, "every": 3}}

RECIPES = {
    "gan": {
        "generator": {**MLP, "dropout": 0.3}, "discriminator": {**MLP, "dropout": 0.3},
        "optimizer": {"betas": [0.5, 0.999]}, "conditional": False,
    },
    "dcgan": {
        "generator": {"network": "dcgan", "width": 4}, "discriminator": {"network": "dcgan", "width": 4},
        "optimizer": {"betas": [0.5, 0.999]},
    },
    "r3gan": {
        "generator": TINY, "discriminator": TINY, "loss": "relativistic", "penalties": PAIR,
        "optimizer": {"lr": {"start": 1e-3, "end": 1e-4}, "betas": [0.0, {"start": 0.9, "end": 0.99}]},
    },
    "ada": {
        "generator": TINY, "discriminator": TINY, "loss": "relativistic", "penalties": {"r1": {"weight": 0.5}},
        "augment": {"ada": {"probability": {"start": 0.2, "end": 0.8, "over": 60}}},
        "game": {"name": "synthesis", "shared_fakes": False}, "data": {"mirror": True},
    },
    "ada-adaptive": {
        "generator": TINY, "discriminator": TINY, "loss": "relativistic", "penalties": {"r1": {"weight": 0.5}},
        "augment": {
            "ada": {
                "probability": {"target": 0.3, "start": 0.4, "over": 200, "every": 2}, "filter": 1, "additive_noise": 1,
            },
            "diffaugment": {"probability": 0.5},
        },
    },
    "r3gan-mlp": {
        "generator": MLP, "discriminator": MLP, "loss": "relativistic",
        "penalties": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}}, "optimizer": {"name": "adamw"},
    },
    "wgan-gp": {
        "generator": MLP, "discriminator": MLP, "loss": "wasserstein", "discriminator_steps": 2,
        "penalties": {"gradient-penalty": {"weight": 10}}, "optimizer": {"name": "rmsprop", "betas": [0.0, 0.9]},
    },
    "hinge-r1": {
        "generator": {**MLP, "dropout": 0.2}, "discriminator": MLP, "loss": "hinge",
        "penalties": {"r1": {"weight": 1.0, "every": 4}}, "optimizer": {"name": "sgd", "betas": [0.9, 0.0], "lr": 1e-2},
        "game": {"name": "synthesis", "shared_fakes": False}, "clip": 1.0,
    },
    "vae": {
        "generator": MLP, "networks": {"encoder": {**MLP, "moments": 2, "dropout": 0.2}}, "game": "autoencoding",
    },
    "vae-gan": {
        "generator": MLP, "discriminator": MLP, "networks": {"encoder": {**MLP, "moments": 2}},
        "game": "autoencoding:VaeGan",
    },
    "bigan": {
        "generator": {**MLP, "dropout": 0.2}, "discriminator": MLP, "networks": {"encoder": MLP},
        "game": "bidirectional",
    },
    "sngan": {
        "generator": {"network": "resnet", "width": 4},
        "discriminator": {"network": "resnet", "width": 4, "spectral": True},
        "loss": "hinge", "discriminator_steps": 2, "optimizer": {"name": "sgd", "betas": [0.5, 0.0], "lr": 1e-2},
    },
    "reacgan": {
        "generator": {"network": "resnet", "width": 4},
        "discriminator": {"network": "resnet", "width": 4, "spectral": True, "classes": 0},
        "game": {"name": "contrastive", "embedding": 5, "spectral": True, "fakes": True}, "loss": "hinge",
        "optimizer": {"name": "sgd", "betas": [0.5, 0.0], "lr": 1e-2},
    },
    "infogan": {
        "generator": MLP, "discriminator": MLP, "conditional": False, "noise": 8,
        "game": {"name": "information", "categorical": [3], "continuous": 2, "hidden": [4], "learned_variance": True},
        "optimizer": {"betas": [0.5, 0.999]},
    },
    "sagan": {
        "generator": {"network": "resnet", "width": 4, "spectral": True, "attention": 8},
        "discriminator": {"network": "resnet", "width": 4, "spectral": True, "attention": 8},
        "loss": "hinge", "penalties": {"r1": {"weight": 0.1}},
        "optimizers": {"generator": {"lr": 1e-4}, "discriminator": {"lr": 4e-4}},
    },
    "pggan": {
        "game": {"name": "growing"}, "generator": {"network": "pggan", "width": 4},
        "discriminator": {"network": "pggan", "width": 4}, "loss": "wasserstein",
        "penalties": {"gradient-penalty": {"weight": 10}, "drift": {"weight": 1e-3}}, "optimizer": {"lr": 1e-3},
    },
}  # fmt: skip
"""Small forms of the zoo's recipes, and others that use what those do not."""


def pictures(count=120, side=16, classes=3, seed=0):
    """Blobs whose place is their label's, uint8."""
    draw = np.random.Generator(np.random.PCG64(seed))
    labels = draw.integers(classes, size=count)
    array = draw.integers(0, 60, size=(count, 1, side, side)).astype(np.uint8)
    for row, label in enumerate(labels):
        array[row, 0, 2 * label : 2 * label + side // 2] += 150
    return Dataset(
        "blobs", "image", (1, side, side), count, array=array, labels=labels.astype(np.int64),
        classes=tuple("abcdefgh"[:classes]), fingerprint=f"blobs {count} {side} {classes} {seed}",
    )  # fmt: skip


def make_recipe(name="gan", **fields):
    base = {"name": name, "noise": 6, "batch": 8, "images": 400, "seed": 3, "score": False, "precision": "fp32"}
    return recipes.validate(recipes.merge({**base, **RECIPES.get(name, {})}, fields), "test")


def numerics(precision="fp32"):
    return Numerics("cpu", precision, "highest", 1, False, torch.__version__, 1, "test")


def make_player(recipe, dataset=None, game=None):
    """A player on the CPU; labels are withheld where the recipe is unconditional."""
    dataset = pictures() if dataset is None else dataset
    if recipe.conditional is False:
        from dataclasses import replace

        dataset = replace(dataset, labels=None)
    if game is None:
        game = build(recipe, Facts(dataset.shape, len(dataset.classes) if dataset.labels is not None else 0))
    return Player(game, dataset, recipe, torch.device("cpu"), numerics(recipe.precision))


def play(player, rounds):
    for _ in range(rounds):
        player.round()
    return player


def state(player):
    return {name: value.detach().clone() for name, value in player.tensors().items()}


def unlike(one, other):
    """Names of the tensors that are not bit-equal."""
    a, b = state(one) if isinstance(one, Player) else one, state(other) if isinstance(other, Player) else other
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]


def furthest(one, other):
    """The largest difference between two states."""
    a, b = state(one) if isinstance(one, Player) else one, state(other) if isinstance(other, Player) else other
    assert a.keys() == b.keys()
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)
