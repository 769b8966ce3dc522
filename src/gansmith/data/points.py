"""Toy sets of points in the plane, on which one sees a GAN drop modes.

Each is drawn once, by a fixed key, in the coordinates of the paper; nothing is rescaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset, Modes
from gansmith.data.order import POINTS, normal, uniform

COUNTS = {"train": 50_000, "test": 10_000}
"""Points in each split."""

_SPLIT_KEYS = {"train": 0, "test": 1}


def ring(split: str = "train") -> Dataset:
    """Eight Gaussians of sigma 0.02, their centres evenly on a circle of radius 2.

    From Metz et al. (2017), "Unrolled generative adversarial networks", appendix A; VEEGAN (Srivastava
    et al., 2017) and PacGAN (Lin et al., 2018) use the same at half the scale.
    """
    angle = 2 * np.pi * np.arange(8) / 8
    return _mixture("ring", split, 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.02)


def grid(split: str = "train") -> Dataset:
    """Twenty-five Gaussians of sigma 0.05, their centres at (-4, -2, 0, 2, 4) squared.

    From VEEGAN (Srivastava et al., 2017) and PacGAN (Lin et al., 2018, section 4.1).
    """
    along = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
    return _mixture("grid", split, np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2), 0.05)


def spiral(split: str = "train") -> Dataset:
    """Two arms of an Archimedean spiral, r = 2 t at the angle 3 pi t (+ pi), even along t^2, sigma 0.02.

    With t the root of a uniform number, the density along an arm is near even; t starts at 0.1. The
    labels are the arms.
    """
    count, key = _drawn(split, 3)
    t = np.sqrt(0.01 + 0.99 * uniform((*key, 0), 0, count))
    arm = (uniform((*key, 1), 0, count) * 2).astype(np.int64)
    angle = 3 * np.pi * t + np.pi * arm
    points = (2 * t)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _dataset("spiral", split, points + 0.02 * _noise(key, count), arm, ("arm 0", "arm 1"), None)


def two_gaussians(split: str = "train") -> Dataset:
    """Two Gaussians of sigma 0.2, their centres at (-1.5, 0) and (1.5, 0)."""
    return _mixture("two-gaussians", split, np.array([[-1.5, 0.0], [1.5, 0.0]]), 0.2)


def line(split: str = "train") -> Dataset:
    """A straight line from (-2, -1) to (2, 1), even along it, sigma 0.02; the labels are its halves."""
    count, key = _drawn(split, 5)
    t = 2 * uniform((*key, 0), 0, count) - 1
    points = t[:, None] * np.array([2.0, 1.0]) + 0.02 * _noise(key, count)
    return _dataset("line", split, points, (t >= 0).astype(np.int64), ("left", "right"), None)


def disjoint(split: str = "train") -> Dataset:
    """Two even squares of side 1 that lie apart, their middles at (-1.5, -1) and (1.5, 1)."""
    count, key = _drawn(split, 6)
    which = (uniform((*key, 0), 0, count) * 2).astype(np.int64)
    inside = np.stack([uniform((*key, 1), 0, count), uniform((*key, 2), 0, count)], axis=1) - 0.5
    points = np.array([[-1.5, -1.0], [1.5, 1.0]])[which] + inside
    return _dataset("disjoint", split, points, which, ("lower", "upper"), None)


def moons(split: str = "train") -> Dataset:
    """Two half circles of radius 1 that reach into each other, around the origin, sigma 0.05.

    In the form that scikit-learn's `make_moons` made common, moved by (-0.5, -0.25). The labels are the moons.
    """
    count, key = _drawn(split, 7)
    angle = np.pi * uniform((*key, 0), 0, count)
    which = (uniform((*key, 1), 0, count) * 2).astype(np.int64)
    side = 1.0 - 2.0 * which[:, None]
    points = side * (np.stack([np.cos(angle), np.sin(angle)], axis=1) - np.array([0.5, 0.25]))
    return _dataset("moons", split, points + 0.05 * _noise(key, count), which, ("upper", "lower"), None)


def _mixture(name: str, split: str, centres: NDArray[np.float64], sigma: float) -> Dataset:
    count, key = _drawn(split, {"ring": 1, "grid": 2, "two-gaussians": 4}[name])
    mode = (uniform((*key, 0), 0, count) * len(centres)).astype(np.int64)
    points = centres[mode] + sigma * _noise(key, count)
    classes = tuple(f"mode {i}" for i in range(len(centres)))
    return _dataset(name, split, points, mode, classes, Modes(centres.astype(np.float32), sigma))


def _drawn(split: str, number: int) -> tuple[int, tuple[int, ...]]:
    return COUNTS[split], (POINTS, number, _SPLIT_KEYS[split])


def _noise(key: tuple[int, ...], count: int) -> NDArray[np.float64]:
    return np.stack([normal((*key, 2), count), normal((*key, 3), count)], axis=1)


def _dataset(
    name: str,
    split: str,
    points: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    modes: Modes | None,
) -> Dataset:
    array = points.astype(np.float32)
    return Dataset(name, "points", (2,), len(array), array, labels=labels, classes=classes, split=split, modes=modes)
