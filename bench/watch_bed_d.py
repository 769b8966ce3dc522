"""Bed D: made after the rules had been mended by what beds B and C showed, of data, networks, losses and seeds of its own."""

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
    mixture,
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
from gansmith.fields import Data

SIDE = 12


def cross(draw: np.random.Generator, n: int) -> np.ndarray:
    """Two bars, one across the other."""
    along, across, turned = draw.uniform(-1.8, 1.8, n), 0.12 * draw.normal(size=n), draw.random(n) < 0.5
    return np.where(turned[:, None], np.stack([along, across], 1), np.stack([across, along], 1))


def eye(draw: np.random.Generator, n: int) -> np.ndarray:
    """A heap in a ring."""
    angle, inner = 2 * np.pi * draw.random(n), draw.random(n) < 0.3
    radius = np.where(inner, 0.0, 1.5)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.15 * draw.normal(size=(n, 2))


def triangle() -> Source:
    """Three Gaussians, of which one is twice as likely."""
    return mixture(np.array([[0.0, 1.6], [-1.4, -0.8], [1.4, -0.8]]), 0.45, np.array([0.5, 0.25, 0.25]))


def photos(limit: int | None = None) -> Source:
    """Squares cut from photographs, in grey, of which 1,200 are kept out of the training."""

    def source(root: Path) -> tuple[Dataset, Dataset]:
        whole = open_dataset(Data(source=str(root / "superres" / "T91"), split="all", resolution=96, channels=1))
        read = whole.read
        array = whole.array if whole.array is not None else np.stack([read(i) for i in range(whole.count)])  # type: ignore[misc]
        squares = array.reshape(len(array), 1, 96 // SIDE, SIDE, 96 // SIDE, SIDE).transpose(0, 2, 4, 1, 3, 5)
        parts = np.random.default_rng(0).permutation(squares.reshape(-1, 1, SIDE, SIDE))
        train, test = parts[:-1200], parts[-1200:]
        train = train if limit is None else train[:limit]
        made, held = (Dataset("photos", "image", x.shape[1:], len(x), array=x) for x in (train, test))
        return made, held

    return source


def bed_d() -> list[Case]:
    """The runs."""
    return [*healthy_points(), *healthy_pictures(), *failing_points(), *failing_pictures()]


def healthy_points() -> list[Case]:
    """Points in the plane, well learnt."""
    plane = {"cross": points(cross), "eye": points(eye), "triangle": triangle()}
    cases = []
    for seed, (name, what, fields) in enumerate([
        ("cross", "non-saturating, R1+R2", {**r12(0.1)}),
        ("cross", "Pearson, R1", {"loss": {"name": "pearson", "saturating": False}, **r1(0.3), "optimizer": adam(5e-4)}),
        ("cross", "WGAN-GP, 3 steps", {"loss": "wasserstein", **gp(0.5), "discriminator_steps": 3, "rounds": 5000}),
        ("cross", "R3GAN's loss, lazy R1+R2", {"loss": "relativistic", **r12(0.1, 2)}),
        ("cross", "hinge, R1, batch of 200", {"loss": "hinge", **r1(0.2), "batch": 200}),
        ("eye", "R3GAN's loss, one layer more", {"generator": mlp(56, 56, 56), "discriminator": mlp(56, 56, 56), "loss": "relativistic", **r12(0.15)}),
        ("eye", "least squares, R1+R2", {"loss": "least_squares", **r12(0.1)}),
        ("eye", "WGAN-LP, 4 steps", {"loss": "wasserstein", **gp(1.0, "lipschitz-penalty"), "discriminator_steps": 4, "rounds": 6000}),
        ("eye", "relativistic average hinge, R1+R2", {"loss": "relativistic_average_hinge", **r12(0.1)}),
        ("eye", "reverse KL, R1", {"loss": {"name": "reverse_kl", "saturating": False}, **r1(0.3), "optimizer": adam(5e-4)}),
        ("triangle", "non-saturating, 0-GP", {**gp(0.1, "zero-centred-penalty"), "rounds": 4000}),
        ("triangle", "hinge, R1+R2, RMSprop", {"loss": "hinge", **r12(0.1), "optimizer": {"name": "rmsprop", "lr": 5e-4, "betas": [0, 0.99]}}),
        ("triangle", "relativistic average, R1", {"loss": "relativistic_average", **r1(0.2), "rounds": 4000}),
        ("triangle", "much noise, R3GAN's loss", {"noise": 12, "loss": "relativistic", **r12(0.1), "rounds": 4000}),
    ]):  # fmt: skip
        cases.append(
            Case(f"{name}: {what}", HEALTHY, plane[name], in_plane(**{"wide": 68, "seed": 300 + seed, **fields}))
        )
    return cases


def healthy_pictures() -> list[Case]:
    """Digits, colours and photographs, well learnt."""
    sources = {
        "digits": named("mnist", 3000, resolution=14),
        "colours": named("cifar10", 3000, resolution=12),
        "photos": photos(),
    }
    dcgan, usual, steady = {"network": "dcgan", "width": 12}, adam(3e-4, 0.5, 0.99), adam(8e-4, 0.0, 0.95)
    halves, thirds = patches(20, 2, hidden=48), patches(20, 3, hidden=48)
    cases = []
    for seed, (name, told, what, fields) in enumerate([
        ("digits", False, "patches, R3GAN's loss", {"generator": halves, "discriminator": patches(20, 2), "loss": "relativistic", **r12(0.3)}),
        ("digits", True, "patches, hinge, R1", {"generator": halves, "discriminator": patches(20, 2), "loss": "hinge", **r1(0.3)}),
        ("digits", False, "DCGAN, R1", {"networks": dcgan, **r1(0.3), "optimizer": usual, "rounds": 2500}),
        ("digits", True, "DCGAN, relativistic average", {"networks": dcgan, "loss": "relativistic_average", **r1(0.3), "optimizer": usual, "rounds": 3500}),
        ("digits", False, "perceptrons, R1+R2", {"networks": mlp(128, 128), **r12(0.5), "rounds": 3000}),
        ("digits", True, "perceptrons, R3GAN's loss", {"networks": mlp(128, 128), "loss": "relativistic", **r12(0.5), "rounds": 3000}),
        ("colours", False, "patches of 3, R3GAN's loss", {"generator": thirds, "discriminator": patches(24, 3), "loss": "relativistic", **r12(0.5)}),
        ("colours", True, "patches of 3, R1", {"generator": thirds, "discriminator": patches(24, 3), **r1(0.5)}),
        ("colours", False, "DCGAN, hinge, R1", {"networks": dcgan, "loss": "hinge", **r1(0.3), "optimizer": usual, "rounds": 2500}),
        ("colours", True, "DCGAN", {"networks": dcgan, "optimizer": usual, "rounds": 2000}),
        ("colours", False, "perceptrons, lazy R1+R2", {"networks": mlp(160, 160), "loss": "relativistic", **r12(0.5, 2), "rounds": 2500}),
        ("photos", False, "patches of 3, R1+R2", {"generator": thirds, "discriminator": patches(20, 3), **r12(0.3)}),
        ("photos", False, "patches of 3, hinge, R1", {"generator": thirds, "discriminator": patches(20, 3), "loss": "hinge", **r1(0.5), "rounds": 2800}),
        ("photos", False, "DCGAN", {"networks": dcgan, "optimizer": usual, "rounds": 4000}),
        ("photos", False, "perceptrons, R3GAN's loss", {"networks": mlp(144, 144), "loss": "relativistic", **r12(0.5), "rounds": 5000}),
        ("photos", False, "residual generator, R1+R2", {"generator": {"network": "resnet", "width": 8}, "discriminator": mlp(128, 128), **r12(0.3), "rounds": 1200}),
    ]):  # fmt: skip
        rounds = fields.pop("rounds", 1500)
        label = f"{name}{', told of classes' if told else ''}: {what}"
        fields = {"conditional": told, "seed": 320 + seed, "optimizer": steady, **fields}
        cases.append(Case(label, HEALTHY, sources[name], in_pixels(rounds, **fields)))
    return cases


def failing_points() -> list[Case]:
    """Points in the plane, made to fail."""
    crossed, eyed, three = points(cross), points(eye), triangle()
    ten = mixture(2.5 * np.stack([np.cos(np.arange(10) * np.pi / 5), np.sin(np.arange(10) * np.pi / 5)], 1), 0.1)
    low, high = one_gaussian(-2.0, -1.0, 0.6), one_gaussian(1.0, 2.5, 0.4)
    slow, over = adam(2e-4, 0.5), adam(1e-3, 0.5)
    return [
        Case("cross: Adam at 0.4", DIVERGES, crossed, in_plane(loss="hinge", optimizer=adam(0.4, 0.9), seed=350)),
        Case("triangle: hinge, SGD at 3", DIVERGES, three, in_plane(loss="hinge", optimizer=sgd(3.0, 0.5), seed=351)),
        Case("eye: R1+R2 of weight 800, SGD", DIVERGES, eyed, in_plane(**r12(800.0), optimizer=sgd(0.05, 0.5), seed=352)),
        Case("triangle: three layers off", DEAD, three, in_plane(2000, generator=mlp(56, 56, 56, slope=0.0), loss="relativistic_average_hinge", **r1(0.1), seed=353), mute(-25)),
        Case("cross: a rate of 0, least squares", DEAD, crossed, in_plane(2000, loss="least_squares", **r12(0.05), **pair(adam(1e-3), adam(0.0)), seed=354)),
        Case("eye, far away: R3GAN's loss, 4 steps", STRONG, away(eye), in_plane(4000, discriminator=mlp(96, 96), loss="relativistic", **pair(adam(3e-3, 0.5), adam(5e-6)), discriminator_steps=4, seed=355)),
        Case("cross, far away: AdamW, 3 steps", STRONG, away(cross), in_plane(4000, discriminator=mlp(96, 96), **pair({**adam(3e-3, 0.5), "name": "adamw"}, adam(8e-6)), discriminator_steps=3, seed=356)),
        Case("cross: 7 generator steps, R3GAN's loss", COLLAPSES, crossed, in_plane(1800, loss="relativistic", **pair(slow, over), seed=357), greedy(7)),
        Case("eye: 6 units in D, 5 generator steps", COLLAPSES, eyed, in_plane(2000, discriminator=mlp(6), loss="hinge", optimizer=over, seed=358), greedy(5)),
        Case("ten heaps: hardly any noise, relativistic average", COLLAPSES, ten, in_plane(2200, loss="relativistic_average", **pair(adam(3e-3, 0.5), adam(1e-4, 0.5)), seed=359), timid(0.02)),
        Case("a low heap: WGAN, SGD", CYCLES, low, in_plane(wide=30, loss="wasserstein", optimizer=sgd(0.015), batch=64, seed=360)),
        Case("a high heap: relativistic average, SGD", CYCLES, high, in_plane(wide=30, loss="relativistic_average", optimizer=sgd(0.06, 0.5), batch=64, seed=361)),
        Case("eye: WGAN, SGD", CYCLES, eyed, in_plane(wide=30, loss="wasserstein", optimizer=sgd(0.025), batch=64, seed=362)),
        Case("a third heap: WGAN, Adam of beta 0.9", CYCLES, one_gaussian(0.5, -2.0, 0.5), in_plane(wide=30, loss="wasserstein", optimizer=adam(4e-4, 0.9), batch=64, seed=363)),
    ]  # fmt: skip


def failing_pictures() -> list[Case]:
    """Digits, colours and photographs, made to fail."""
    digits, colours, crops = named("mnist", 3000, resolution=14), named("cifar10", 3000, resolution=12), photos()
    halves, thirds, unbounded = patches(20, 2, hidden=48), patches(20, 3, hidden=48), mlp(80, squash=False)
    dcgan, usual, slow, over = (
        {"network": "dcgan", "width": 12},
        adam(3e-4, 0.5, 0.99),
        adam(2e-4, 0.5),
        adam(1e-3, 0.5),
    )
    small = {"generator": mlp(144, 144), "discriminator": mlp(288, 288), "optimizer": usual}
    return [
        Case("photos: unbounded, Adam at 0.1", DIVERGES, crops, in_pixels(1400, generator=unbounded, discriminator=mlp(80), loss="relativistic", optimizer=adam(0.1, 0.5), seed=370)),
        Case("digits: unbounded, least squares, RMSprop at 0.1", DIVERGES, digits, in_pixels(1400, generator=unbounded, discriminator=mlp(80), loss="least_squares", optimizer={"name": "rmsprop", "lr": 0.1, "betas": [0.0, 0.95]}, seed=371)),
        Case("photos: DCGAN, tanh flat", DEAD, crops, in_pixels(1200, dcgan, optimizer=usual, seed=372), saturated(55)),
        Case("digits, told of classes: patches, tanh flat", DEAD, digits, in_pixels(1000, generator=halves, discriminator=patches(20, 2), **r1(0.3), conditional=True, seed=373), saturated(-50)),
        Case("colours: units off", DEAD, colours, in_pixels(1400, generator=mlp(112, slope=0.0), discriminator=mlp(112), loss="hinge", optimizer=usual, seed=374), mute(-35)),
        Case("70 digits, patches, hinge", OVERFITS, named("mnist", 70, resolution=14), in_pixels(1800, generator=halves, discriminator=patches(40, 2), loss="hinge", **r1(0.01), optimizer=usual, seed=375)),
        Case("80 photos, R3GAN's loss", OVERFITS, photos(80), in_pixels(2500, **small, loss="relativistic", **r12(0.05), seed=376)),
        Case("90 colours, least squares", OVERFITS, named("cifar10", 90, resolution=12), in_pixels(2000, **small, loss="least_squares", **r1(0.02), seed=377)),
        Case("100 digits, told of classes, R3GAN's loss", OVERFITS, named("mnist", 100, resolution=14), in_pixels(2500, **small, loss="relativistic", **r12(0.05), conditional=True, seed=378)),
        Case("60 colours, patches", OVERFITS, named("cifar10", 60, resolution=12), in_pixels(1800, generator=thirds, discriminator=patches(40, 3), **r1(0.02), optimizer=usual, seed=379)),
        Case("digits: DCGAN's generator, 3 steps, hinge", STRONG, digits, in_pixels(2200, generator=dcgan, discriminator=mlp(256, 256), loss="hinge", **pair(over, adam(4e-6)), discriminator_steps=3, seed=380)),
        Case("photos: patches, relativistic average", STRONG, crops, in_pixels(1800, generator=thirds, discriminator=patches(40, 3), loss="relativistic_average", **pair(adam(2e-3, 0.5), adam(4e-6)), discriminator_steps=2, seed=381)),
        Case("colours, told of classes: saturating", STRONG, colours, in_pixels(2200, generator=mlp(112), discriminator=mlp(256, 256), loss="minimax", conditional=True, **pair(over, adam(8e-6)), discriminator_steps=2, seed=382)),
        Case("digits: 6 generator steps, least squares", COLLAPSES, digits, in_pixels(1500, mlp(112), loss="least_squares", **pair(slow, over), seed=383), greedy(6)),
        Case("photos: 7 generator steps, patches", COLLAPSES, crops, in_pixels(1200, generator=thirds, discriminator=patches(16, 3), **pair(slow, over), seed=384), greedy(7)),
        Case("photos: unbounded, WGAN, SGD", CYCLES, crops, in_pixels(2200, generator=mlp(40, squash=False), discriminator=mlp(40), noise=16, loss="wasserstein", optimizer=sgd(0.012, 0.3), seed=385)),
    ]  # fmt: skip
