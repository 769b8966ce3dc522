"""Bed C: made after the rules had been mended by what bed B showed, of data, networks, losses and seeds of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from watch_beds import (
    COLLAPSES,
    CYCLES,
    DEAD,
    DIVERGES,
    HEALTHY,
    OVERFITS,
    STRONG,
    Case,
    Source,
    adam,
    away,
    gp,
    greedy,
    in_pixels,
    in_plane,
    mlp,
    mute,
    named,
    one_gaussian,
    pair,
    patches,
    points,
    r1,
    r12,
    saturated,
    sgd,
    timid,
)

from gansmith.data import Dataset, open_dataset
from gansmith.data.finish import reserve
from gansmith.fields import Data


def circles(draw: np.random.Generator, n: int) -> np.ndarray:
    """Two rings, one in the other."""
    angle, radius = 2 * np.pi * draw.random(n), np.where(draw.random(n) < 0.4, 0.6, 1.6)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.08 * draw.normal(size=(n, 2))


def board(draw: np.random.Generator, n: int) -> np.ndarray:
    """The black squares of a board of four by four."""
    column, row, inside = draw.integers(4, size=n), draw.integers(2, size=n), draw.random((n, 2))
    return np.stack([column, 2 * row + column % 2], 1) + inside - 2.0


def pinwheel(draw: np.random.Generator, n: int) -> np.ndarray:
    """Five bent arms."""
    arm = draw.integers(5, size=n)
    along, across = 1.2 + 0.4 * draw.normal(size=n), 0.12 * draw.normal(size=n)
    angle = 2 * np.pi * arm / 5 + 0.5 * np.exp(along - 1.2)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(-1, 2, 2)
    return np.einsum("nij,nj->ni", turn, np.stack([along, across], 1))


def slope(draw: np.random.Generator, n: int) -> np.ndarray:
    """A narrow, tilted and skewed heap."""
    x = draw.exponential(1.0, n)
    return np.stack([x - 1.0, 0.5 * x - 0.5 + 0.15 * draw.normal(size=n)], 1)


def emoji(limit: int | None = None) -> Source:
    """Pictures of a folder, of which 600 are kept out of the training."""

    def source(root: Path) -> tuple[Dataset, Dataset]:
        whole = open_dataset(Data(source=str(root / "emoji"), split="all", resolution=16, channels=3, limit=3000))
        assert whole.read is not None or whole.array is not None
        array = whole.array if whole.array is not None else np.stack([whole.read(i) for i in range(whole.count)])
        rest, held = reserve(Dataset("emoji", "image", (3, 16, 16), len(array), array=array), 600)
        if limit is not None:
            rest = Dataset("emoji", "image", (3, 16, 16), limit, array=rest.array[:limit])
        return rest, held

    return source


def bed_c() -> list[Case]:
    """The runs."""
    plane = {"circles": points(circles), "board": points(board), "pinwheel": points(pinwheel), "slope": points(slope)}
    digits = named("mnist", 3000, resolution=12)
    grey = named("cifar10", 3000, resolution=16, channels=1)
    emojis = emoji()
    dcgan = {"network": "dcgan", "width": 12}
    usual, steady = adam(3e-4, 0.5, 0.99), adam(8e-4, 0.0, 0.95)
    cases = []
    for seed, (name, what, fields) in enumerate([
        ("circles", "R3GAN's loss, R1+R2", {"loss": "relativistic", **r12(0.15)}),
        ("circles", "KL, R1", {"loss": {"name": "kl", "saturating": False}, **r1(0.3)}),
        ("circles", "WGAN-GP, 4 steps", {"loss": "wasserstein", **gp(0.5), "discriminator_steps": 4, "rounds": 6000}),
        ("circles", "wide, batch of 64", {"wide": 128, "batch": 64, **r1(0.2)}),
        ("board", "hinge, 0-GP", {"loss": "hinge", **gp(0.1, "zero-centred-penalty")}),
        ("board", "least squares, lazy R1+R2", {"loss": "least_squares", **r12(0.05, 3)}),
        ("board", "relativistic average, R1+R2, AdamW", {"loss": "relativistic_average", **r12(0.1), "optimizer": {**steady, "name": "adamw"}}),
        ("pinwheel", "non-saturating, R1+R2", {**r12(0.1)}),
        ("pinwheel", "WGAN-LP, 3 steps", {"loss": "wasserstein", **gp(3.0, "lipschitz-penalty"), "discriminator_steps": 3, "rounds": 5000}),
        ("pinwheel", "four layers, R1", {"generator": mlp(48, 48, 48, 48), "discriminator": mlp(48, 48, 48, 48), **r1(0.2)}),
        ("pinwheel", "much noise, hinge, R1", {"noise": 16, "loss": "hinge", **r1(0.15)}),
        ("slope", "squared Hellinger, R1", {"loss": {"name": "squared_hellinger", "saturating": False}, **r1(0.3)}),
        ("slope", "relativistic average least squares, R1", {"loss": "relativistic_average_least_squares", **r1(0.2)}),
        ("slope", "rate falling to a tenth", {**r12(0.1), "optimizer": {"lr": {"start": 1.5e-3, "end": 1.5e-4}, "betas": [0, 0.99]}}),
    ]):  # fmt: skip
        cases.append(
            Case(f"{name}: {what}", HEALTHY, plane[name], in_plane(**{"wide": 72, "seed": 200 + seed, **fields}))
        )
    small, fine = patches(20, 4, hidden=48), patches(12, 2, hidden=48)
    for seed, (name, told, what, fields) in enumerate([
        ("digits", False, "patches, R1", {"generator": small, "discriminator": patches(20, 4), **r1(0.5)}),
        ("digits", True, "patches, R3GAN's loss, lazy", {"generator": small, "discriminator": patches(20, 4), "loss": "relativistic", **r12(0.2, 2)}),
        ("digits", False, "DCGAN", {"networks": dcgan, "optimizer": usual}),
        ("digits", True, "DCGAN", {"networks": dcgan, "optimizer": usual, "rounds": 3500}),
        ("digits", False, "DCGAN, least squares", {"networks": dcgan, "loss": "least_squares", "optimizer": adam(2e-4, 0.5, 0.99), "rounds": 3500}),
        ("digits", False, "narrow perceptrons, R3GAN's loss", {"networks": mlp(96, 96), "loss": "relativistic", **r12(0.5), "rounds": 2500}),
        ("digits", True, "perceptrons, WGAN-GP", {"networks": mlp(144, 144), "loss": "wasserstein", **gp(10), "discriminator_steps": 3, "rounds": 4000}),
        ("digits", False, "residual, spectral norm", {"generator": {"network": "resnet", "width": 8}, "discriminator": {"network": "resnet", "width": 8, "spectral": True}, "loss": "hinge", "optimizer": adam(1e-3, 0, 0.9), "rounds": 1100}),
        ("grey", False, "patches, R1+R2", {"generator": small, "discriminator": patches(20, 4), "loss": "relativistic", **r12(0.3)}),
        ("grey", False, "DCGAN, hinge", {"networks": dcgan, "loss": "hinge", "optimizer": usual}),
        ("grey", True, "DCGAN", {"networks": dcgan, "optimizer": usual}),
        ("grey", False, "perceptrons, R1", {"networks": mlp(160, 160), **r1(1.0), "rounds": 2500}),
        ("emoji", False, "patches, R3GAN's loss", {"generator": small, "discriminator": patches(24, 4), "loss": "relativistic", **r12(0.5)}),
        ("emoji", False, "fine patches, R1", {"generator": fine, "discriminator": patches(24, 4), **r1(1.0), "rounds": 2500}),
        ("emoji", False, "DCGAN", {"networks": dcgan, "optimizer": usual, "rounds": 3000}),
        ("emoji", False, "DCGAN, relativistic average, R1", {"networks": dcgan, "loss": "relativistic_average", **r1(0.5), "optimizer": usual, "rounds": 4500}),
    ]):  # fmt: skip
        rounds = fields.pop("rounds", 1400)
        label = f"{name}{', told of classes' if told else ''}: {what}"
        source = {"digits": digits, "grey": grey, "emoji": emojis}[name]
        fields = {"conditional": told, "seed": 220 + seed, "optimizer": steady, **fields}
        cases.append(Case(label, HEALTHY, source, in_pixels(rounds, **fields)))

    few = {n: named("mnist", n, resolution=12) for n in (90, 60)}
    heap, unbounded = one_gaussian(0.5, 1.5, 0.5), mlp(80, squash=False)
    rms = {"name": "rmsprop", "betas": [0.0, 0.95]}
    cases += [
        Case("circles: RMSprop at 0.5", DIVERGES, plane["circles"], in_plane(loss="hinge", optimizer={**rms, "lr": 0.5}, seed=250)),
        Case("board: R1 of weight 500, SGD", DIVERGES, plane["board"], in_plane(**r1(500.0), optimizer=sgd(0.05, 0.5), seed=251)),
        Case("pinwheel: least squares, Adam at 0.3", DIVERGES, plane["pinwheel"], in_plane(loss="least_squares", optimizer=adam(0.3, 0.5), seed=252)),
        Case("emoji: unbounded, a critic without a penalty at 0.05", DIVERGES, emojis, in_pixels(1400, generator=unbounded, discriminator=mlp(80), loss="wasserstein", optimizer=adam(0.05, 0.5, 0.9), seed=253)),
        Case("grey: unbounded, least squares, SGD at 1", DIVERGES, grey, in_pixels(1400, generator=unbounded, discriminator=mlp(80), loss="least_squares", optimizer=sgd(1.0, 0.9), seed=254)),
        Case("board: units off, WGAN-GP", DEAD, plane["board"], in_plane(2000, generator=mlp(72, 72, slope=0.0), loss="wasserstein", **gp(1.0), seed=255), mute(-25)),
        Case("slope: a rate of 0, hinge", DEAD, plane["slope"], in_plane(2000, loss="hinge", **r1(0.1), **pair(adam(2e-3), adam(0.0)), seed=256)),
        Case("digits: perceptrons, tanh flat", DEAD, digits, in_pixels(1400, mlp(96), loss="least_squares", optimizer=usual, seed=257), saturated(50)),
        Case("emoji: patches, tanh flat", DEAD, emojis, in_pixels(1000, generator=small, discriminator=patches(20, 4), **r1(0.5), seed=258), saturated(-45)),
        Case("grey, told of classes: units off", DEAD, grey, in_pixels(1400, generator=mlp(96, 96, slope=0.0), discriminator=mlp(96), loss="relativistic", **r12(0.3), conditional=True, seed=259), mute(-40)),
        Case("90 digits, patches, R3GAN's loss", OVERFITS, few[90], in_pixels(1500, generator=small, discriminator=patches(40, 4), loss="relativistic", **r12(0.01), optimizer=usual, seed=260)),
        Case("60 digits, told of classes, perceptrons", OVERFITS, few[60], in_pixels(2500, generator=mlp(144, 144), discriminator=mlp(288, 288), **r1(0.1), conditional=True, optimizer=usual, seed=261)),
        Case("80 emoji, patches", OVERFITS, emoji(80), in_pixels(1800, generator=small, discriminator=patches(40, 4), loss="relativistic", **r12(0.05), optimizer=usual, seed=262)),
        Case("60 grey pictures, least squares", OVERFITS, named("cifar10", 60, resolution=16, channels=1), in_pixels(2000, generator=mlp(144, 144), discriminator=mlp(288, 288), loss="least_squares", **r1(0.02), optimizer=usual, seed=263)),
        Case("100 emoji, perceptrons", OVERFITS, emoji(100), in_pixels(2500, generator=mlp(144, 144), discriminator=mlp(288, 288), **r1(0.05), optimizer=usual, seed=264)),
        Case("circles, far away: 5 steps at 3e-3", STRONG, away(circles), in_plane(4000, discriminator=mlp(96, 96), **pair(adam(3e-3, 0.5), adam(1e-5)), discriminator_steps=5, seed=265)),
        Case("board, far away: saturating, AdamW", STRONG, away(lambda draw, n: 0.4 * board(draw, n)), in_plane(3000, loss="minimax", **pair({**adam(2e-3, 0.5), "name": "adamw"}, adam(2e-5)), discriminator_steps=2, seed=266)),
        Case("emoji: perceptrons, 3 steps", STRONG, emojis, in_pixels(2500, generator=mlp(96), discriminator=mlp(256, 256), loss="hinge", **pair(adam(1e-3, 0.5), adam(8e-6)), discriminator_steps=3, seed=267)),
        Case("digits: patches, RMSprop, R3GAN's loss", STRONG, digits, in_pixels(1800, generator=small, discriminator=patches(40, 4), loss="relativistic", **pair({**rms, "lr": 2e-3}, adam(4e-6)), discriminator_steps=2, seed=268)),
        Case("grey, told of classes: DCGAN's generator", STRONG, grey, in_pixels(2000, generator=dcgan, discriminator=mlp(256, 256), conditional=True, **pair(adam(1e-3, 0.9), adam(3e-6)), discriminator_steps=2, seed=269)),
        Case("circles: 6 generator steps", COLLAPSES, plane["circles"], in_plane(1800, loss="least_squares", **pair(adam(2e-4, 0.5), adam(1e-3, 0.5)), seed=270), greedy(6)),
        Case("pinwheel: 5 units in D, 4 generator steps", COLLAPSES, plane["pinwheel"], in_plane(2000, discriminator=mlp(5), optimizer=adam(1.5e-3, 0.5), seed=271), greedy(4)),
        Case("ring: hardly any noise, hinge", COLLAPSES, named("ring"), in_plane(2200, loss="hinge", **pair(adam(3e-3, 0.5), adam(2e-4, 0.5)), seed=272), timid(0.02)),
        Case("digits: 5 generator steps, R3GAN's loss", COLLAPSES, digits, in_pixels(1600, mlp(112), loss="relativistic", **pair(adam(2e-4, 0.5), adam(1e-3, 0.5)), seed=273), greedy(5)),
        Case("emoji: 6 generator steps", COLLAPSES, emojis, in_pixels(1400, mlp(112), loss="hinge", **pair(adam(2e-4, 0.5), adam(1e-3, 0.5)), seed=274), greedy(6)),
        Case("heap: WGAN, SGD, momentum", CYCLES, heap, in_plane(wide=28, loss="wasserstein", optimizer=sgd(0.015, 0.5), batch=64, seed=275)),
        Case("heap: hinge, Adam of beta 0.95", CYCLES, heap, in_plane(wide=28, loss="hinge", optimizer=adam(5e-4, 0.95), batch=64, seed=276)),
        Case("circles: WGAN, SGD", CYCLES, plane["circles"], in_plane(wide=28, loss="wasserstein", optimizer=sgd(0.02), batch=64, seed=277)),
        Case("slope: relativistic average hinge, SGD, momentum", CYCLES, plane["slope"], in_plane(wide=28, loss="relativistic_average_hinge", optimizer=sgd(0.05, 0.5), batch=64, seed=278)),
        Case("pinwheel: hinge, SGD, momentum", CYCLES, plane["pinwheel"], in_plane(wide=28, loss="hinge", optimizer=sgd(0.04, 0.6), batch=64, seed=279)),
    ]  # fmt: skip
    return cases
