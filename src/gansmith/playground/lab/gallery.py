"""Failures that GANs are known for and what cures each: settings that show them, tried by the tests.

What is to be said of each is in the page's words, by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gansmith.playground.lab.settings import Settings


@dataclass(frozen=True)
class Exhibit:
    """A failure, and its cure.

    Attributes:
        name: by which the page finds its words.
        fails: settings that fail.
        cured: the same with what helps.
        rounds: after which it is to be seen.
        trouble: what the watch calls it.
    """

    name: str
    fails: Settings
    cured: Settings
    rounds: int
    trouble: str


def _pair(name: str, rounds: int, trouble: str, fails: dict[str, Any], cure: dict[str, Any]) -> Exhibit:
    failing = Settings.model_validate({"penalties": {}, **fails})
    return Exhibit(name, failing, Settings.model_validate({**failing.model_dump(), **cure}), rounds, trouble)


_R12 = {"loss": "relativistic", "penalties": {"r1": 0.05, "r2": 0.05}, "beta1": 0.0}

EXHIBITS = (
    _pair(
        "collapse", 1000, "mode collapse",
        {"data": "ring", "loss": "nonsaturating", "d_lr": 2e-4, "g_lr": 1e-3, "beta1": 0.5, "g_steps": 5},
        {**_R12, "d_lr": 1e-3, "g_lr": 1e-3, "g_steps": 1},
    ),
    _pair(
        "cycling", 1400, "cycling",
        {"data": "two-gaussians", "loss": "wasserstein", "optimizer": "sgd", "d_lr": 0.005, "g_lr": 0.005,
         "d_width": 32, "g_width": 32},
        {"penalties": {"r1": 1.0}, "d_lr": 0.02, "g_lr": 0.02},
    ),
    _pair(
        "overpowered", 900, "discriminator too strong",
        {"data": "ring", "loss": "nonsaturating", "d_lr": 5e-3, "g_lr": 1e-5, "beta1": 0.5, "d_steps": 5},
        {**_R12, "d_lr": 1e-3, "g_lr": 1e-3, "d_steps": 1},
    ),
    _pair(
        "vanishing", 900, "discriminator too strong",
        {"data": "disjoint", "loss": "minimax", "d_lr": 5e-3, "g_lr": 1e-4, "beta1": 0.5, "d_steps": 5},
        {"loss": "nonsaturating", "penalties": {"r1": 0.1}, "g_lr": 2e-3, "d_steps": 1},
    ),
)  # fmt: skip
"""What the gallery shows."""


def plain() -> list[dict[str, Any]]:
    """As JSON."""
    return [
        {
            "name": each.name, "rounds": each.rounds, "trouble": each.trouble,
            "fails": each.fails.model_dump(), "cured": each.cured.model_dump(),
        }
        for each in EXHIBITS
    ]  # fmt: skip
