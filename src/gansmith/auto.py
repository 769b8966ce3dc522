"""The written rule by which `auto` chooses: network, batch, penalties, learning rate and averaging, from the data.

Every choice comes with its reason, which is printed. Knows no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seen:
    """What the rule looks at.

    Attributes:
        modality: of the data.
        shape: of one example.
        count: number of examples.
        classes: number of classes, 0 where there are no labels.
        spread: root mean square distance of a coordinate from its mean, of points.
    """

    modality: str
    shape: tuple[int, ...]
    count: int
    classes: int
    spread: float = 1.0


FEW = 10_000
"""Images below which a discriminator learns them by heart within the usual length."""


def choose(seen: Seen) -> tuple[dict[str, Any], list[str]]:
    """The recipe's fields that the rule sets, and the reasons, one line each.

    Args:
        seen: facts of the data.
    """
    if seen.modality == "points":
        return _points(seen)
    return _images(seen)


def _common() -> dict[str, Any]:
    return {
        "game": "synthesis",
        "loss": "relativistic",
        "ema": {"share": 0.1},
    }


def _points(seen: Seen) -> tuple[dict[str, Any], list[str]]:
    # Where modes lie apart, what lies between them is drawn less the steeper a generator is: deep rather than wide.
    # And twice as many steps of half the width bring more than the width.
    network = {"network": "mlp", "hidden": [64] * 5, "slope": 0.2}
    # A gradient is per unit of the data: of points twice as far apart, it is half as long.
    gamma = max(round(0.0375 * seen.spread**2, 4), 1e-4)
    # In equal ratios, so that half of the training is at little restraint: what is left between modes goes then.
    weight = {"weight": {"start": gamma, "end": gamma / 300, "shape": "exponential"}}
    fields = {
        **_common(),
        "generator": network,
        "discriminator": {**network, "hidden": [64] * 4},
        "noise": 2,
        "batch": 256,
        "penalties": {"r1": weight, "r2": weight},
        "optimizer": {"lr": {"start": 2e-3, "end": 4e-5, "hold": 0.3}, "betas": [0.0, 0.99]},
        "images": 6_000_000,
        "conditional": False,
        "precision": "fp32",
    }
    return fields, [
        f"points of spread {seen.spread:.3g}: perceptrons of layers of 64, five in the generator and four against it",
        f"gamma {gamma:.3g}, by the spread, falling to a three-hundredth in equal ratios; R1 + R2 in every step",
        "labels of points are their mode: not told to the networks",
    ]


def _networks(side: int, channels: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The two networks for images whose shorter side has so many pixels, and why these."""
    r3gan = {"network": "r3gan", "blocks": 1, "basis": "linear"}
    if side <= 40:
        patch = 1 if side < 6 else 2 if side <= 16 else 4
        grid = {"network": "patches", "width": 64, "patch": patch}
        why = f"{side} pixels a side: residual networks of 64 channels on patches of {patch}x{patch}"
        discriminator = {**grid, "blocks": 2}
        if channels == 1 or patch == 1:
            return {**grid, "blocks": 1, "hidden": 256}, discriminator, why
        # Of one channel a patch is 16 numbers, which 64 channels write well; of three it is 48.
        two = {"widths": [96, 48], "expansion": 1, "cardinality": 1, "patch": patch // 2, "squash": True}
        return {**r3gan, **two}, discriminator, f"{why}; the generator ends at twice that resolution, for colours"
    patch = 2 if side < 128 else 4
    stages = max(int(math.log2(side / patch / 4)), 0)
    widths = [max(256 >> max(i - 1, 0), 64) for i in range(stages + 1)]
    both = {**r3gan, "widths": widths, "expansion": 2, "cardinality": 4, "patch": patch}
    why = f"{side} pixels a side: {stages + 1} sizes of {widths} channels on patches of {patch}x{patch}"
    return {**both, "squash": True}, both, why


def _lazily(grey: bool, small: bool, labelled: bool) -> tuple[int, str]:
    """In how many discriminator steps penalties are taken once, and why.

    On grey images, labelled or not, lazy penalties cost little quality and buy half as many images again. On
    colours they were worse, and where no labels name many modes (Stacked MNIST) they are known to lose some.
    """
    if small and grey:
        return 4, "grey images"
    return (2, "labels name the modes") if labelled else (1, "no labels name the modes")


def _images(seen: Seen) -> tuple[dict[str, Any], list[str]]:
    side, channels = min(seen.shape[1:]), seen.shape[0]
    generator, discriminator, why = _networks(side, channels)
    # A gradient's norm adds up over pixels; below that, few examples ask for more restraint.
    gamma = round(max((side / 28) ** 2, 0.3 if seen.count < 5000 else 0.0), 4)
    weight = {"start": gamma, "end": gamma / 10}
    small, grey = side <= 40, channels == 1
    rate = 2.8e-3 if small and grey else 2e-3 if small else 5e-4
    every, because = _lazily(grey, small, seen.classes > 1)
    fields = {
        **_common(),
        "generator": generator,
        "discriminator": discriminator,
        "noise": 128 if small else 64,
        "batch": 64,
        "penalties": {name: {"weight": weight, "every": every} for name in ("r1", "r2")},
        "optimizer": {"lr": {"start": rate, "end": rate / 10, "hold": 0.3}, "betas": [0.0, 0.9]},
        "images": 300_000 if side <= 16 else 1_000_000 if small else 3_000_000,
    }
    often = "in every step" if every == 1 else f"once in {every} steps, at {every} times the weight"
    reasons = [why, f"gamma {gamma:.3g} falling to a tenth, for {side} pixels; learning rate {rate:.2g} likewise"]
    reasons.append(f"R1 + R2 {often}: {because}")
    if seen.count < FEW:
        # By as much as the discriminator overfits, so that where it does not there is none. Mirrored, turned or
        # inverted, many things are others.
        own = {"probability": {"target": 0.6, "over": 50_000}, "lumaflip": 0, "xflip": 0, "rotate90": 0}
        fields["augment"] = {"ada": own}
        reasons.append(f"{seen.count:,} images are few: ADA, by as much as the discriminator overfits")
    if seen.classes > 1:
        reasons.append(f"class-conditional: the data have {seen.classes} classes (--conditional false: not)")
    return fields, reasons
