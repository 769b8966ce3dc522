"""The runs on which the watch's rules were set (bed A) and tried (bed B): each healthy, or made to fail in a known way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gansmith import auto
from gansmith import recipe as recipes
from gansmith.data import Dataset, open_dataset
from gansmith.games.game import Game, Move
from gansmith.recipe import Data, Recipe

HEALTHY, DEAD, DIVERGES = "healthy", "dead generator", "divergence"
OVERFITS, STRONG, COLLAPSES, CYCLES = (
    "discriminator overfitting",
    "discriminator too strong",
    "mode collapse",
    "cycling",
)
KINDS = (DEAD, DIVERGES, OVERFITS, STRONG, COLLAPSES, CYCLES)

Tweak = Callable[[Game], None]
Source = Callable[[Path], tuple[Dataset, Dataset]]
"""A folder of data → examples to train on, and such that are not."""


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        name: what is special about it.
        meant: what the watch should say, or `healthy`.
        source: its data.
        recipe: its fields.
        tweak: what is done to the game before the training, or None.
    """

    name: str
    meant: str
    source: Source
    fields: dict[str, Any]
    tweak: Tweak | None = None

    def open(self, root: Path) -> tuple[Recipe, Dataset, Dataset]:
        """The recipe, what it trains on and what it does not; labels only where it is conditional."""
        data, held = self.source(root)
        fields = dict(self.fields)
        if fields.pop("rule", None):
            classes = len(data.classes or ()) if fields.get("conditional") else 0
            fields = recipes.merge(auto.choose(auto.Seen(data.modality, data.shape, data.count, classes))[0], fields)
        base = {"name": "case", "precision": "fp32", "conditional": False, "score": False, "snapshots": 12}
        recipe = recipes.validate({**base, **fields}, self.name)
        if not recipe.conditional:
            data, held = replace(data, labels=None), replace(held, labels=None)
        return recipe, data, held


# --- data ------------------------------------------------------------------------------------------


def named(name: str, limit: int | None = None, **options: Any) -> Source:
    """A dataset of the catalogue and its test split."""

    def source(root: Path) -> tuple[Dataset, Dataset]:
        train = open_dataset(Data(source=name, root=str(root), limit=limit, **options))
        return train, open_dataset(Data(source=name, root=str(root), split="test", limit=2000, **options))

    return source


def points(make: Callable[[np.random.Generator, int], np.ndarray], count: int = 20_000) -> Source:
    """Points in the plane that a function draws."""

    def source(root: Path) -> tuple[Dataset, Dataset]:
        drawn = [make(np.random.default_rng(seed), n).astype(np.float32) for seed, n in ((0, count), (1, 5000))]
        train, test = (Dataset("points", "points", (2,), len(x), array=x) for x in drawn)
        return train, test

    return source


def mixture(centres: np.ndarray, sigma: float, shares: np.ndarray | None = None) -> Source:
    """Gaussians at centres [K, 2]."""

    def make(draw: np.random.Generator, n: int) -> np.ndarray:
        return centres[draw.choice(len(centres), n, p=shares)] + sigma * draw.normal(size=(n, 2))

    return points(make)


def one_gaussian(x: float, y: float, sigma: float) -> Source:
    """One Gaussian, for the rotations that two players fall into."""
    return mixture(np.array([[x, y]]), sigma)


# --- parts of recipes ------------------------------------------------------------------------------


def mlp(*hidden: int, slope: float = 0.2, **more: Any) -> dict[str, Any]:
    """A perceptron."""
    return {"network": "mlp", "hidden": list(hidden), "slope": slope, **more}


def adam(lr: float, b1: float = 0.0, b2: float = 0.99) -> dict[str, Any]:
    """Adam."""
    return {"name": "adam", "lr": lr, "betas": [b1, b2]}


def sgd(lr: float, momentum: float = 0.0) -> dict[str, Any]:
    """Gradient descent."""
    return {"name": "sgd", "lr": lr, "betas": [momentum, 0.0]}


def pair(discriminator: dict[str, Any], generator: dict[str, Any]) -> dict[str, Any]:
    """An optimiser for each side."""
    return {"optimizers": {"discriminator": discriminator, "generator": generator}}


def r1(weight: float) -> dict[str, Any]:
    """R1."""
    return {"penalties": {"r1": {"weight": weight}}}


def r12(weight: float, every: int = 1) -> dict[str, Any]:
    """R1 and R2."""
    return {"penalties": {name: {"weight": weight, "every": every} for name in ("r1", "r2")}}


def gp(weight: float, name: str = "gradient-penalty") -> dict[str, Any]:
    """A gradient penalty between real and fake."""
    return {"penalties": {name: {"weight": weight}}}


def in_plane(rounds: int = 2500, wide: int = 64, **fields: Any) -> dict[str, Any]:
    """A recipe for points."""
    batch = fields.pop("batch", 128)
    base = {"generator": mlp(wide, wide), "discriminator": mlp(wide, wide), "noise": 4, "optimizer": adam(1e-3)}
    return {**base, "batch": batch, "images": batch * rounds, **fields}


def in_pixels(rounds: int = 1500, networks: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A recipe for images."""
    batch = fields.pop("batch", 32)
    both = {} if networks is None else {"generator": networks, "discriminator": networks}
    return {"noise": 32, "batch": batch, "images": batch * rounds, **both, **fields}


def patches(width: int, patch: int = 2, **more: Any) -> dict[str, Any]:
    """The network of patches."""
    return {"network": "patches", "width": width, "patch": patch, "blocks": 1, **more}


# --- what is done to a game ------------------------------------------------------------------------


def greedy(steps: int) -> Tweak:
    """So many generator steps for each of the discriminator's."""

    def tweak(game: Game) -> None:
        moves = (Move("discriminator", ("discriminator",), fresh=True), Move("generator", ("generator",), steps=steps))
        game.moves = lambda: moves
        game.shared_fakes = False

    return tweak


def timid(factor: float) -> Tweak:
    """A generator that hardly hears its noise at first."""

    def tweak(game: Game) -> None:
        with torch.no_grad():
            _layers(game)[0].weight.mul_(factor)

    return tweak


def mute(bias: float) -> Tweak:
    """Units that are never on: every hidden layer's biases far below zero."""

    def tweak(game: Game) -> None:
        with torch.no_grad():
            for layer in _layers(game)[:-1]:
                layer.bias.fill_(bias)

    return tweak


def saturated(bias: float) -> Tweak:
    """An output layer far out on the flat of its tanh."""

    def tweak(game: Game) -> None:
        with torch.no_grad():
            _layers(game)[-1].bias.add_(bias)

    return tweak


def _layers(game: Game) -> list[Any]:
    kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    return [m for m in game.generator.modules() if isinstance(m, kinds) and m.weight.dim() > 1]


# --- bed A: digits of 8 pixels, ring and grid, perceptrons, DCGAN and patches ------------------------


def bed_a() -> list[Case]:
    """The runs by which the rules were set."""
    ring, grid, digits = named("ring"), named("grid"), named("digits")
    dcgan, wide = {"network": "dcgan", "width": 8}, {"wide": 96}
    gauss = one_gaussian(1.5, 0.5, 0.4)
    usual, slow = adam(5e-4, 0.5, 0.999), {"start": 2e-3, "end": 4e-5, "hold": 0.3}
    cases = []
    for seed, (name, data) in enumerate({"ring": ring, "grid": grid}.items()):
        for what, fields in {
            "R3GAN's loss, R1+R2": {"loss": "relativistic", **r12(0.1)},
            "non-saturating, R1": {"loss": "nonsaturating", **r1(0.3)},
            "hinge, R1+R2": {"loss": "hinge", **r12(0.1)},
            "WGAN-GP, 3 steps": {"loss": "wasserstein", **gp(1.0), "discriminator_steps": 3},
            "lazy R1+R2": {"loss": "relativistic", **r12(0.1, 4)},
            "relativistic average, R1": {"loss": "relativistic_average", **r1(0.2)},
            "rate falling to 2%": {"loss": "relativistic", **r12(0.05), "optimizer": {"lr": slow, "betas": [0, 0.99]}},
        }.items():
            cases.append(Case(f"{name}: {what}", HEALTHY, data, in_plane(**wide, seed=seed, **fields)))
    cases.append(Case("ring: no penalty, beta 0.9", HEALTHY, ring, in_plane(optimizer=adam(1e-3, 0.9), seed=3)))
    cases.append(Case("ring: least squares, slow D", HEALTHY, ring, in_plane(
        loss="least_squares", **pair(adam(5e-4, 0.5, 0.999), adam(3e-3, 0.5, 0.999)))))  # fmt: skip
    for told in (False, True):
        for what, fields in {
            "auto, narrow": {"rule": "auto", "generator": {"width": 24}, "discriminator": {"width": 24}, "rounds": 600, "batch": 48},
            "DCGAN": {"networks": dcgan, "optimizer": usual, "rounds": 1500},
            "patches, R1": {"networks": patches(16), **r1(0.5), "optimizer": adam(1e-3, 0, 0.9), "rounds": 1000},
            "dropout": {"networks": mlp(128, dropout=0.3), "optimizer": usual, "rounds": 2500},
            "MLP, R1+R2": {"networks": mlp(128, 128), "loss": "relativistic", **r12(0.3), "optimizer": adam(1e-3, 0, 0.9), "rounds": 2000},
            "LSGAN": {"networks": dcgan, "loss": "least_squares", "optimizer": adam(3e-4, 0.5, 0.999), "rounds": 1500},
            "WGAN-GP": {"networks": mlp(128, 128), "loss": "wasserstein", **gp(10), "discriminator_steps": 3, "optimizer": adam(5e-4, 0, 0.9), "rounds": 3000},
        }.items():  # fmt: skip
            rounds = fields.pop("rounds")
            label = f"digits{', told of classes' if told else ''}: {what}"
            cases.append(Case(label, HEALTHY, digits, in_pixels(rounds, conditional=told, seed=told + 4, **fields)))

    open_ended = mlp(64, squash=False)
    cases += [
        Case("Adam at 0.1", DIVERGES, ring, in_plane(optimizer=adam(0.1, 0.9))),
        Case("a critic without a penalty at 0.05", DIVERGES, grid, in_plane(loss="wasserstein", optimizer=adam(0.05, 0.5, 0.9))),
        Case("least squares, SGD at 1", DIVERGES, grid, in_plane(loss="least_squares", optimizer=sgd(1.0, 0.9))),
        Case("R1, SGD at 0.5", DIVERGES, ring, in_plane(**r1(1.0), optimizer=sgd(0.5, 0.9))),
        Case("digits, unbounded, Adam at 0.05", DIVERGES, digits, in_pixels(1500, generator=open_ended, discriminator=mlp(64), loss="hinge", optimizer=adam(0.05, 0.9))),
        Case("ring: D of 5e-3, 5 steps", STRONG, ring, in_plane(4000, **pair(adam(5e-3, 0.5), adam(1e-5)), discriminator_steps=5)),
        Case("ring: the same, saturating", STRONG, ring, in_plane(4000, loss="minimax", **pair(adam(5e-3, 0.5), adam(1e-5)), discriminator_steps=5)),
        Case("digits: wide D, 3 steps", STRONG, digits, in_pixels(2500, generator=mlp(128), discriminator=mlp(256, 256), **pair(adam(2e-3, 0.5), adam(2e-5)), discriminator_steps=3)),
        Case("digits: the same, saturating", STRONG, digits, in_pixels(2500, generator=mlp(128), discriminator=mlp(256, 256), loss="minimax", **pair(adam(2e-3, 0.5), adam(2e-5)), discriminator_steps=3)),
        Case("digits: patches, hinge, 3 steps", STRONG, digits, in_pixels(1500, generator=patches(16), discriminator=patches(32), loss="hinge", **pair(adam(2e-3, 0.5), adam(1e-5)), discriminator_steps=3)),
        Case("60 digits, patches", OVERFITS, named("digits", 60), in_pixels(1000, patches(24), optimizer=usual)),
        Case("100 digits, patches, hinge, a little R1", OVERFITS, named("digits", 100), in_pixels(1000, patches(24), loss="hinge", **r1(0.01), optimizer=usual)),
        Case("100 digits, MLP, a little R1", OVERFITS, named("digits", 100), in_pixels(2000, generator=mlp(128, 128), discriminator=mlp(256, 256), **r1(0.02), optimizer=usual)),
        Case("80 digits, R3GAN's loss", OVERFITS, named("digits", 80), in_pixels(2000, generator=mlp(128, 128), discriminator=mlp(256, 256), loss="relativistic", **r12(0.02), optimizer=usual)),
        Case("50 digits, WGAN-LP", OVERFITS, named("digits", 50), in_pixels(2000, mlp(128, 128), loss="wasserstein", **gp(0.1, "lipschitz-penalty"), optimizer=usual)),
        Case("ring: 5 generator steps", COLLAPSES, ring, in_plane(1500, **pair(adam(2e-4, 0.5), adam(1e-3, 0.5))), greedy(5)),
        Case("ring: 8 units in D", COLLAPSES, ring, in_plane(discriminator=mlp(8), optimizer=adam(2e-3, 0.5))),
        Case("ring: hardly any noise", COLLAPSES, ring, in_plane(2000, loss="relativistic", **pair(adam(2e-3, 0.5), adam(1e-4, 0.5))), timid(0.05)),
        Case("digits: WGAN without a penalty", COLLAPSES, digits, in_pixels(2000, mlp(64), loss="wasserstein", optimizer=adam(2e-4, 0.5, 0.9))),
        Case("digits: 5 generator steps", COLLAPSES, digits, in_pixels(1000, mlp(128), **pair(adam(2e-4, 0.5), adam(1e-3, 0.5))), greedy(5)),
        Case("gauss: WGAN, SGD", CYCLES, gauss, in_plane(wide=32, loss="wasserstein", optimizer=sgd(0.02), batch=64)),
        Case("gauss: WGAN, Adam", CYCLES, gauss, in_plane(wide=32, loss="wasserstein", optimizer=adam(3e-4, 0.5, 0.9), batch=64)),
        Case("gauss: hinge, momentum", CYCLES, gauss, in_plane(wide=32, loss="hinge", optimizer=sgd(0.05, 0.5), batch=64)),
        Case("ring: WGAN, SGD", CYCLES, ring, in_plane(wide=32, loss="wasserstein", optimizer=sgd(0.02))),
        Case("digits: unbounded, WGAN, SGD", CYCLES, digits, in_pixels(2000, generator=mlp(32, squash=False), discriminator=mlp(32), noise=16, loss="wasserstein", optimizer=sgd(0.01))),
        Case("ring: units off", DEAD, ring, in_plane(2000, generator=mlp(64, 64, slope=0.0)), mute(-20)),
        Case("digits: units off", DEAD, digits, in_pixels(1500, generator=mlp(128, slope=0.0), discriminator=mlp(128), optimizer=usual), mute(-20)),
        Case("digits: patches, tanh flat", DEAD, digits, in_pixels(1000, patches(16), **r1(0.3), optimizer=usual), saturated(40)),
        Case("digits: DCGAN, tanh flat", DEAD, digits, in_pixels(1500, dcgan, optimizer=usual), saturated(40)),
        Case("ring: a rate of 0", DEAD, ring, in_plane(2000, **r1(0.1), **pair(adam(1e-3), adam(0.0)))),
    ]  # fmt: skip
    return cases


def bed_b() -> list[Case]:
    """The runs on which the rules were tried."""
    return []
