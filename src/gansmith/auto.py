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
    """

    modality: str
    shape: tuple[int, ...]
    count: int
    classes: int


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
    network = {"network": "mlp", "hidden": [128, 128, 128], "slope": 0.2}
    fields = {
        **_common(),
        "generator": network,
        "discriminator": network,
        "noise": 8,
        "batch": 256,
        "penalties": {"r1": {"weight": 0.1}, "r2": {"weight": 0.1}},
        "optimizer": {"lr": {"start": 2e-3, "end": 4e-5, "hold": 0.3}, "betas": [0.0, 0.99]},
        "images": 1_500_000,
        "conditional": False,
        "precision": "fp32",
    }
    return fields, [
        "points: perceptrons of three layers of 128, R1 + R2 at weight 0.1 in every step",
        "labels of points are their mode: not told to the networks",
    ]


def _images(seen: Seen) -> tuple[dict[str, Any], list[str]]:
    side = min(seen.shape[1:])
    reasons: list[str] = []
    network: dict[str, Any]
    if side <= 40:
        # Up to 40 pixels one grid of patches is enough, and by far the fastest.
        patch = 2 if side <= 12 else 4
        network = {"network": "r3gan", "widths": [96], "blocks": 1, "expansion": 2, "cardinality": 2}
        network |= {"patch": patch, "basis": "linear"}
        reasons.append(f"{side} pixels a side: one residual block of 96 channels on patches of {patch}x{patch}")
    else:
        patch = 2 if side < 128 else 4
        stages = max(int(math.log2(side / patch / 4)), 0)
        widths = [max(256 >> max(i - 1, 0), 64) for i in range(stages + 1)]
        network = {"network": "r3gan", "widths": widths, "blocks": 1, "expansion": 2, "cardinality": 4, "patch": patch}
        network["basis"] = "linear"
        reasons.append(f"{side} pixels a side: {stages + 1} sizes of {widths} channels on patches of {patch}x{patch}")
    gamma = 0.5 * (side / 28) ** 2 * (seen.shape[0] / 1)
    batch = 64 if seen.count >= 1000 else 32
    fields = {
        **_common(),
        "generator": network,
        "discriminator": network,
        "noise": 64,
        "batch": batch,
        "penalties": {
            name: {"weight": {"start": round(gamma, 4), "end": round(gamma / 5, 4)}, "every": 2}
            for name in ("r1", "r2")
        },
        "optimizer": {"lr": {"start": 1e-3, "end": 2e-5, "hold": 0.3}, "betas": [0.0, 0.99]},
        "images": 1_000_000 if side <= 16 else 2_000_000 if side <= 40 else 5_000_000,
    }
    reasons.append(f"gamma {gamma:.3g} falling to a fifth of it, for {seen.shape[0]} channels of {side} pixels")
    if seen.classes > 1:
        reasons.append(f"class-conditional: the data have {seen.classes} classes (--conditional false: not)")
    return fields, reasons
