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
from gansmith.fields import Data
from gansmith.games.game import Game, Move
from gansmith.recipe import Recipe

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
        Case("60 digits, patches", OVERFITS, named("digits", 60), in_pixels(1500, patches(24), optimizer=usual)),
        Case("100 digits, patches, hinge, a little R1", OVERFITS, named("digits", 100), in_pixels(2500, patches(16), loss="hinge", **r1(0.01), optimizer=usual)),
        Case("100 digits, MLP, a little R1", OVERFITS, named("digits", 100), in_pixels(2000, generator=mlp(128, 128), discriminator=mlp(256, 256), **r1(0.02), optimizer=usual)),
        Case("80 digits, R3GAN's loss", OVERFITS, named("digits", 80), in_pixels(2000, generator=mlp(128, 128), discriminator=mlp(256, 256), loss="relativistic", **r12(0.02), optimizer=usual)),
        Case("50 digits, least squares", OVERFITS, named("digits", 50), in_pixels(2000, generator=mlp(128, 128), discriminator=mlp(256, 256), loss="least_squares", **r1(0.01), optimizer=usual)),
        Case("ring: 5 generator steps", COLLAPSES, ring, in_plane(2000, **pair(adam(2e-4, 0.5), adam(1e-3, 0.5))), greedy(5)),
        Case("ring: 8 units in D", COLLAPSES, ring, in_plane(discriminator=mlp(8), optimizer=adam(2e-3, 0.5))),
        Case("ring: hardly any noise", COLLAPSES, ring, in_plane(2000, loss="relativistic", **pair(adam(2e-3, 0.5), adam(1e-4, 0.5))), timid(0.05)),
        Case("digits: WGAN without a penalty", COLLAPSES, digits, in_pixels(2000, mlp(64), loss="wasserstein", optimizer=adam(2e-4, 0.5, 0.9))),
        Case("digits: 5 generator steps", COLLAPSES, digits, in_pixels(1600, mlp(128), **pair(adam(2e-4, 0.5), adam(1e-3, 0.5))), greedy(5)),
        Case("gauss: WGAN, SGD", CYCLES, gauss, in_plane(wide=32, loss="wasserstein", optimizer=sgd(0.02), batch=64)),
        Case("gauss: WGAN, Adam", CYCLES, gauss, in_plane(wide=32, loss="wasserstein", optimizer=adam(3e-4, 0.9), batch=64)),
        Case("gauss: hinge, SGD", CYCLES, gauss, in_plane(wide=32, loss="hinge", optimizer=sgd(0.03), batch=64)),
        Case("two Gaussians: WGAN, SGD", CYCLES, mixture(np.array([[-1.0, 0.0], [1.0, 0.5]]), 0.4), in_plane(wide=32, loss="wasserstein", optimizer=sgd(0.01), batch=64)),
        Case("digits: unbounded, hinge, momentum", CYCLES, digits, in_pixels(2500, generator=mlp(32, squash=False), discriminator=mlp(32), noise=16, loss="hinge", optimizer=sgd(0.02, 0.5))),
        Case("ring: units off", DEAD, ring, in_plane(2000, generator=mlp(64, 64, slope=0.0)), mute(-20)),
        Case("digits: units off", DEAD, digits, in_pixels(1500, generator=mlp(128, slope=0.0), discriminator=mlp(128), optimizer=usual), mute(-20)),
        Case("digits: patches, tanh flat", DEAD, digits, in_pixels(1000, patches(16), **r1(0.3), optimizer=usual), saturated(40)),
        Case("digits: DCGAN, tanh flat", DEAD, digits, in_pixels(1500, dcgan, optimizer=usual), saturated(40)),
        Case("ring: a rate of 0", DEAD, ring, in_plane(2000, **r1(0.1), **pair(adam(1e-3), adam(0.0)))),
    ]  # fmt: skip
    return cases


# --- bed B: other data (points of four kinds, MNIST and CIFAR-10 at 16 pixels), networks, losses, seeds ----


def moons(draw: np.random.Generator, n: int) -> np.ndarray:
    """Two half circles, one in the other."""
    angle, side = np.pi * draw.random(n), draw.integers(2, size=n)
    x, y = np.cos(angle), np.sin(angle)
    arcs = np.where(side[:, None] == 0, np.stack([x, y], 1), np.stack([1 - x, 0.5 - y], 1))
    return arcs - [0.5, 0.25] + 0.06 * draw.normal(size=(n, 2))


def uneven() -> Source:
    """Twelve Gaussians at random places, the likeliest four times as likely as the least."""
    draw, shares = np.random.default_rng(12), np.linspace(1, 4, 12)
    return mixture(draw.uniform(-3, 3, (12, 2)), 0.15, shares / shares.sum())


def lattice() -> Source:
    """Nine wide Gaussians."""
    along = np.array([-1.5, 0.0, 1.5])
    return mixture(np.stack(np.meshgrid(along, along), -1).reshape(-1, 2), 0.2)


def away(make: Callable[[np.random.Generator, int], np.ndarray]) -> Source:
    """Points where a new generator makes none, so that they are told apart at once."""
    return points(lambda draw, n: make(draw, n) + np.array([3.0, 2.0]))


def bed_b() -> list[Case]:
    """The runs on which the rules were tried."""
    plane = {"spiral": named("spiral"), "moons": points(moons), "uneven": uneven(), "lattice": lattice()}
    mnist, cifar = (named(name, 4000, resolution=16) for name in ("mnist", "cifar10"))

    def few(name: str, n: int) -> Source:
        return named(name, n, resolution=16)

    dcgan, three = {"network": "dcgan", "width": 8}, {"wide": 80}
    usual, quick = adam(4e-4, 0.5, 0.999), adam(2e-3, 0.0, 0.99)
    cases = []
    for seed, (name, what, fields) in enumerate([
        ("spiral", "hinge, R1", {"loss": "hinge", **r1(0.1)}),
        ("spiral", "0-GP", {"loss": "nonsaturating", **gp(0.1, "zero-centred-penalty")}),
        ("spiral", "WGAN-LP, 2 steps", {"loss": "wasserstein", **gp(2.0, "lipschitz-penalty"), "discriminator_steps": 2, "rounds": 4000}),
        ("spiral", "AdamW, R3GAN's loss", {"loss": "relativistic", **r12(0.03), "optimizer": {**quick, "name": "adamw", "weight_decay": 0.01}}),
        ("moons", "DRAGAN", {"loss": "nonsaturating", "penalties": {"dragan": {"weight": 1.0}}}),
        ("moons", "relativistic average least squares, R1+R2", {"loss": "relativistic_average_least_squares", **r12(0.2)}),
        ("moons", "three layers, R1", {"generator": mlp(64, 64, 64), "discriminator": mlp(64, 64, 64), **r1(0.2)}),
        ("moons", "RMSprop, hinge, R1+R2", {"loss": "hinge", **r12(0.1), "optimizer": {"name": "rmsprop", "lr": 5e-4, "betas": [0, 0.99]}}),
        ("uneven", "Jensen-Shannon, R1", {"loss": {"name": "jensen_shannon", "saturating": False}, **r1(0.2)}),
        ("uneven", "WGAN-GP, 4 steps", {"loss": "wasserstein", **gp(1.0), "discriminator_steps": 4, "rounds": 5000}),
        ("uneven", "R3GAN's loss, batch of 256", {"loss": "relativistic", **r12(0.1), "batch": 256, "rounds": 1500}),
        ("lattice", "least squares, R1", {"loss": "least_squares", **r1(0.1)}),
        ("lattice", "relativistic average hinge, lazy R1", {"loss": "relativistic_average_hinge", "penalties": {"r1": {"weight": 0.2, "every": 4}}}),
        ("lattice", "no average of the weights", {"loss": "relativistic", **r12(0.2), "ema": None}),
    ]):  # fmt: skip
        cases.append(Case(f"{name}: {what}", HEALTHY, plane[name], in_plane(**{**three, "seed": 100 + seed, **fields})))
    grids = {"patches 4": patches(24, 4, hidden=64), "patches 2": patches(12, 2, hidden=64)}
    for seed, (name, told, what, fields) in enumerate([
        ("mnist", False, "patches, R3GAN's loss", {"generator": grids["patches 4"], "discriminator": patches(24, 4), "loss": "relativistic", **r12(0.3), "optimizer": adam(1.5e-3, 0, 0.9)}),
        ("mnist", True, "patches, lazy R1+R2", {"generator": grids["patches 4"], "discriminator": patches(24, 4), "loss": "relativistic", **r12(0.3, 4), "optimizer": adam(1e-3, 0, 0.9)}),
        ("mnist", False, "DCGAN", {"networks": dcgan, "optimizer": usual}),
        ("mnist", True, "DCGAN, hinge", {"networks": dcgan, "loss": "hinge", "optimizer": usual}),
        ("mnist", False, "perceptrons with dropout", {"networks": mlp(160, dropout=0.3), "optimizer": usual, "rounds": 3000}),
        ("mnist", True, "perceptrons, non-saturating, R1", {"networks": mlp(160, 160), **r1(2.0), "optimizer": adam(5e-4, 0, 0.99), "rounds": 2500}),
        ("mnist", False, "SNGAN", {"generator": {"network": "resnet", "width": 8}, "discriminator": {"network": "resnet", "width": 8, "spectral": True}, "loss": "hinge", "optimizer": adam(1e-3, 0, 0.9), "rounds": 900}),
        ("mnist", False, "residual generator, R3GAN's loss", {"generator": {"network": "resnet", "width": 8}, "discriminator": mlp(160, 160), "loss": "relativistic", **r12(0.3), "optimizer": adam(1e-3, 0, 0.9), "rounds": 1200}),
        ("mnist", True, "WGAN-GP, perceptrons", {"networks": mlp(160, 160), "loss": "wasserstein", **gp(10), "discriminator_steps": 2, "optimizer": adam(1e-3, 0, 0.9), "rounds": 3000}),
        ("mnist", False, "relativistic average, DCGAN", {"networks": dcgan, "loss": "relativistic_average", "optimizer": usual}),
        ("cifar10", False, "patches, R1", {"generator": grids["patches 2"], "discriminator": patches(16, 4), **r1(0.5), "optimizer": adam(1e-3, 0, 0.9), "rounds": 1100}),
        ("cifar10", True, "patches, R3GAN's loss", {"generator": grids["patches 4"], "discriminator": patches(24, 4), "loss": "relativistic", **r12(0.5), "optimizer": adam(1e-3, 0, 0.9)}),
        ("cifar10", False, "DCGAN", {"networks": dcgan, "optimizer": usual}),
        ("cifar10", False, "LSGAN", {"networks": dcgan, "loss": "least_squares", "optimizer": adam(2e-4, 0.5, 0.999)}),
        ("cifar10", False, "perceptrons, R3GAN's loss", {"networks": mlp(192, 192), "loss": "relativistic", **r12(0.5), "optimizer": adam(7e-4, 0, 0.9), "rounds": 2000}),
        ("cifar10", True, "auto, narrow", {"rule": "auto", "generator": {"widths": [24, 16]}, "discriminator": {"width": 24}, "rounds": 1100}),
    ]):  # fmt: skip
        rounds = fields.pop("rounds", 1400)
        label = f"{name}{', told of classes' if told else ''}: {what}"
        source = mnist if name == "mnist" else cifar
        cases.append(Case(label, HEALTHY, source, in_pixels(rounds, conditional=told, seed=120 + seed, **fields)))

    blob, open_ended = one_gaussian(-1.0, 2.0, 0.7), mlp(96, squash=False)
    cases += [
        Case("moons: AdamW at 0.2", DIVERGES, plane["moons"], in_plane(loss="relativistic", optimizer={**adam(0.2, 0.9), "name": "adamw"}, seed=150)),
        Case("uneven: SGD at 2, momentum", DIVERGES, plane["uneven"], in_plane(optimizer=sgd(2.0, 0.9), seed=151)),
        Case("spiral: a critic without a penalty at 0.03", DIVERGES, plane["spiral"], in_plane(generator=mlp(64, 64, 64), discriminator=mlp(64, 64, 64), loss="wasserstein", optimizer=adam(0.03, 0.9), seed=152)),
        Case("lattice: WGAN-GP of weight 1,000, SGD", DIVERGES, plane["lattice"], in_plane(loss="wasserstein", **gp(1000.0), optimizer=sgd(0.05), seed=153)),
        Case("mnist: unbounded, RMSprop at 0.1", DIVERGES, mnist, in_pixels(1200, generator=open_ended, discriminator=mlp(96), loss="wasserstein", optimizer={"name": "rmsprop", "lr": 0.1, "betas": [0.0, 0.9]}, seed=154)),
        Case("moons: three layers off", DEAD, plane["moons"], in_plane(2000, generator=mlp(64, 64, 64, slope=0.0), discriminator=mlp(64, 64, 64), loss="hinge", **r1(0.1), seed=155), mute(-30)),
        Case("uneven: a rate of 0, RMSprop", DEAD, plane["uneven"], in_plane(2000, loss="relativistic", **r12(0.1), **pair({"name": "rmsprop", "lr": 1e-3, "betas": [0, 0.99]}, {"name": "rmsprop", "lr": 0.0, "betas": [0, 0.99]}), seed=156)),
        Case("mnist: patches, tanh flat", DEAD, mnist, in_pixels(1000, generator=grids["patches 4"], discriminator=patches(24, 4), loss="relativistic", **r12(0.3), optimizer=usual, seed=157), saturated(-30)),
        Case("cifar10: DCGAN, tanh flat", DEAD, cifar, in_pixels(1000, dcgan, loss="hinge", optimizer=usual, seed=158), saturated(60)),
        Case("mnist, told of classes: units off", DEAD, mnist, in_pixels(1500, generator=mlp(128, 128, slope=0.0), discriminator=mlp(128), conditional=True, optimizer=usual, seed=159), mute(-50)),
        Case("80 of mnist, patches", OVERFITS, few("mnist", 80), in_pixels(1200, generator=grids["patches 4"], discriminator=patches(48, 4), loss="relativistic", **r12(0.01), optimizer=usual, seed=160)),
        Case("80 of mnist, perceptrons, hinge", OVERFITS, few("mnist", 80), in_pixels(2000, generator=mlp(160, 160), discriminator=mlp(320, 320), loss="hinge", **r1(0.02), optimizer=usual, seed=161)),
        Case("64 of cifar10, patches", OVERFITS, few("cifar10", 64), in_pixels(1200, generator=grids["patches 4"], discriminator=patches(48, 4), **r1(0.01), optimizer=usual, seed=162)),
        Case("100 of cifar10, least squares, R1", OVERFITS, few("cifar10", 100), in_pixels(1500, generator=mlp(160, 160), discriminator=mlp(320, 320), loss="least_squares", **r1(0.02), optimizer=usual, seed=163)),
        Case("100 of mnist, told of classes", OVERFITS, few("mnist", 100), in_pixels(1200, generator=grids["patches 4"], discriminator=patches(48, 4), loss="hinge", **r1(0.01), conditional=True, optimizer=usual, seed=164)),
        Case("moons, far away: hinge, 4 steps at 4e-3", STRONG, away(moons), in_plane(4000, loss="hinge", discriminator=mlp(128, 128, 128), **pair(adam(4e-3, 0.5), adam(5e-6)), discriminator_steps=4, seed=165)),
        Case("a square, far away: saturating, 3 steps", STRONG, away(lambda draw, n: draw.uniform(-1, 1, (n, 2))), in_plane(4000, loss="minimax", discriminator=mlp(128, 128), **pair(adam(3e-3, 0.9), adam(1e-5)), discriminator_steps=3, seed=166)),
        Case("mnist: perceptrons, 2 steps", STRONG, mnist, in_pixels(2000, generator=mlp(128), discriminator=mlp(320, 320), **pair(adam(1e-3, 0.5), adam(1e-5)), discriminator_steps=2, seed=167)),
        Case("cifar10: patches, R3GAN's loss without penalties", STRONG, cifar, in_pixels(1500, generator=grids["patches 4"], discriminator=patches(48, 4), loss="relativistic", **pair(adam(2e-3, 0.5), adam(5e-6)), discriminator_steps=2, seed=168)),
        Case("mnist, told of classes: DCGAN's generator, RMSprop", STRONG, mnist, in_pixels(2000, generator=dcgan, discriminator=mlp(256, 256), conditional=True, **pair({"name": "rmsprop", "lr": 1e-3, "betas": [0, 0.99]}, adam(3e-6)), discriminator_steps=3, seed=169)),
        Case("lattice: 8 generator steps", COLLAPSES, plane["lattice"], in_plane(1600, loss="hinge", **pair(adam(3e-4, 0.5), adam(1e-3, 0.5)), seed=170), greedy(8)),
        Case("uneven: 6 units in D, 5 generator steps", COLLAPSES, plane["uneven"], in_plane(2000, discriminator=mlp(6), loss="least_squares", optimizer=adam(1e-3, 0.5), seed=171), greedy(5)),
        Case("uneven: hardly any noise", COLLAPSES, plane["uneven"], in_plane(2000, loss="hinge", **pair(adam(3e-3, 0.5), adam(1e-4, 0.5)), seed=172), timid(0.03)),
        Case("mnist: 6 generator steps", COLLAPSES, mnist, in_pixels(1500, networks=mlp(128), loss="hinge", **pair(adam(2e-4, 0.5), adam(1e-3, 0.5)), seed=173), greedy(6)),
        Case("cifar10: 6 generator steps, patches", COLLAPSES, cifar, in_pixels(1200, generator=grids["patches 4"], discriminator=patches(16, 4), **pair(adam(2e-4, 0.5), adam(1e-3, 0.5)), seed=174), greedy(6)),
        Case("blob: R3GAN's loss, momentum", CYCLES, blob, in_plane(wide=24, loss="relativistic", optimizer=sgd(0.05, 0.7), batch=64, seed=175)),
        Case("blob: WGAN, Adam of beta 0.95", CYCLES, blob, in_plane(wide=24, loss="wasserstein", optimizer=adam(5e-4, 0.95), batch=64, seed=176)),
        Case("moons: WGAN, SGD", CYCLES, plane["moons"], in_plane(wide=32, loss="wasserstein", optimizer=sgd(0.03), seed=177)),
        Case("another blob: relativistic average hinge, SGD", CYCLES, one_gaussian(2.0, -1.5, 0.3), in_plane(wide=24, loss="relativistic_average_hinge", optimizer=sgd(0.04), batch=64, seed=178)),
        Case("mnist: unbounded, WGAN, SGD", CYCLES, mnist, in_pixels(2000, generator=mlp(48, squash=False), discriminator=mlp(48), noise=16, loss="wasserstein", optimizer=sgd(0.01), seed=179)),
    ]  # fmt: skip
    return cases
