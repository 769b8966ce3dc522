"""A small table and a quick training of it."""

from __future__ import annotations

import numpy as np

QUICK = {
    "generator.hidden": [16], "discriminator.hidden": [16], "batch": 40, "noise": 8, "compile": "off", "snapshots": 2,
    "precision": "fp32",
}  # fmt: skip


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


def people(n=120, seed=0):
    """Columns of each kind, with a rule between them."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 9, n)
    town = rng.integers(0, 3, n)
    return {
        "low": low, "high": low + rng.integers(0, 9, n),
        "town": objects([["Rome", "Paris", None][k] for k in town]),
        "country": objects([["Italy", "France", None][k] for k in town]),
        "pay": np.where(rng.random(n) < 0.2, np.nan, (low + rng.random(n)).round(1)),
        "rich": objects(["yes" if v > 5 else "no" for v in low]),
    }  # fmt: skip
