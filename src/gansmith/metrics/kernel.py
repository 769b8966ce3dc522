"""Kernel distances between two sets of features: MMD, and KID as it is published."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_pair
from gansmith.metrics.measure import Materials, Measure, Value


class Spread(NamedTuple):
    """A mean over subsets or splits, and their standard deviation (not the mean's error)."""

    mean: float
    deviation: float


def kernel_distance(x: Features, y: Features, *, subsets: int = 100, size: int = 1000, seed: int = 0) -> Spread:
    """Compute the kernel distance (KID, in Inception's features): the unbiased MMD² with a cubic kernel.

        MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y),   k(x, y) = (x·y / d + 1)³

    Bińkowski et al., 2018, Section 4 (arXiv:1801.01401). Unbiased, so it may be negative; 0 for equal laws.

    Args:
        x: features of one set, [N, d].
        y: features of the other, [M, d].
        subsets: random subsets over which the mean and the deviation are taken.
        size: vectors of each set in a subset; fewer where a set holds fewer.
        seed: of the subsets.

    Returns:
        Mean and standard deviation over the subsets.

    Raises:
        Refused: not a finite [N, d] each, unlike d, or fewer than two vectors.
    """
    a, b = _pair(x, y)
    size = min(size, len(a), len(b))
    draw = np.random.Generator(np.random.PCG64(seed))
    values = [
        _mmd(a[draw.choice(len(a), size, replace=False)], b[draw.choice(len(b), size, replace=False)])
        for _ in range(subsets)
    ]
    return Spread(float(np.mean(values)), float(np.std(values)))


def squared_mmd(x: Features, y: Features) -> float:
    """Compute the unbiased MMD² of two whole sets, with KID's kernel; see `kernel_distance`.

    Raises:
        Refused: not a finite [N, d] each, unlike d, or fewer than two vectors.
    """
    return _mmd(*_pair(x, y))


def _pair(x: Features, y: Features) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = as_pair(x, y)
    if min(len(a), len(b)) < 2:
        raise Refused(f"an unbiased MMD needs at least 2 samples a side, not {min(len(a), len(b))}")
    return a, b


def _kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    base = (x @ y.T).div_(x.shape[1]).add_(1)
    return (base * base).mul_(base)


BLOCK = 256
"""Vectors whose products with those before them are taken at a time."""


def _within(x: torch.Tensor) -> torch.Tensor:
    """Mean of the kernel over pairs of two different rows, of which each is computed once."""
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for at in range(0, len(x), BLOCK):
        part = x[at : at + BLOCK]
        own = _kernel(part, part)
        total += own.sum() - own.diagonal().sum()
        if at:
            total += 2 * _kernel(part, x[:at]).sum()
    return total / (len(x) * (len(x) - 1))


def _mmd(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(_within(x) + _within(y) - 2 * _kernel(x, y).mean())


SUBSETS, SIZE = 100, 1000


def _measured(materials: Materials) -> dict[str, Value]:
    real, fake = materials.real.features, materials.fake.features
    # A subset that is nearly the whole set would show no spread.
    size = min(SIZE, min(len(real), len(fake)) // 2)
    found = kernel_distance(fake, real, subsets=SUBSETS, size=size, seed=materials.seed)
    return {"": Value(found.mean, found.deviation, f"standard deviation over {SUBSETS} subsets")}


MEASURES = (
    Measure(
        "kd", _measured, "kernel distance: unbiased MMD² with a cubic kernel",
        settings={"kernel": "(x·y / d + 1)³", "subsets": SUBSETS, "size": f"{SIZE}, at most half"}, least=4,
    ),
)  # fmt: skip
