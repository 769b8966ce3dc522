"""Which modes of a known mixture are there, and in what shares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused
from gansmith.metrics.domain import fit_domain
from gansmith.metrics.frechet import Features, as_pair
from gansmith.metrics.measure import Materials, Measure, Value

TAUGHT = 20_000
"""Pictures of one channel that the classifier of stacked ones is fitted to."""


class Coverage(NamedTuple):
    """Modes with at least one good sample, the number of modes, and the share of samples that are good."""

    covered: int
    modes: int
    good: float


class Shares(NamedTuple):
    """Modes that occur, and KL(their shares ‖ uniform) in nats."""

    covered: int
    divergence: float


def mode_coverage(points: Features, centres: Features, deviation: float, *, within: float = 3.0) -> Coverage:
    """Count the modes of a mixture of equal Gaussians that samples cover, and the samples of high quality.

    A sample is good within three deviations of its nearest centre, and a mode is covered by one good sample
    (Srivastava et al., 2017, Section 4.1, arXiv:1705.07761).

    Args:
        points: generated points, [N, d].
        centres: of the modes, [K, d].
        deviation: of each mode, in the points' units.
        within: how many deviations away a sample is still good.

    Raises:
        Refused: not a finite [N, d] each, or unlike d.
    """
    x, c = as_pair(points, centres, "points", "centres")
    gaps = (x[:, None] - c[None]).norm(dim=2)
    nearest, which = gaps.min(1)
    good = nearest <= within * deviation
    return Coverage(len(which[good].unique()), len(c), float(good.double().mean()))


def mode_shares(labels: NDArray[np.integer], modes: int) -> Shares:
    """Count the modes that occur among labels, and how far their shares are from equal.

        KL(p ‖ u) = Σ p log(p K)

    Of Stacked MNIST, K = 1000 and 26,000 samples are usual (Metz et al., 2017, Section 3.3, arXiv:1611.02163);
    so few of equal modes give about (K − 1) / 2N = 0.019 by chance alone.

    Args:
        labels: the mode of each sample, int [N], from 0.
        modes: number of modes, K.

    Raises:
        Refused: no labels, or some out of range.
    """
    found = np.asarray(labels)
    if found.ndim != 1 or not len(found) or found.min() < 0 or found.max() >= modes:
        raise Refused(f"labels: expected whole numbers [N] from 0 to {modes - 1}")
    shares = np.bincount(found, minlength=modes) / len(found)
    there = shares[shares > 0]
    return Shares(len(there), float((there * np.log(there * modes)).sum()))


def _measured(materials: Materials) -> dict[str, Value]:
    assert materials.modes is not None
    points = materials.fake.features
    found = mode_coverage(points, materials.modes.centres, materials.modes.sigma)
    error = (found.good * (1 - found.good) / len(points)) ** 0.5
    return {"modes": Value(found.covered), "quality": Value(found.good, error, "standard error of a share")}


def _stacked(materials: Materials) -> dict[str, Value]:
    """Name each channel by a classifier of the reference's channels, and count the numbers that they spell."""
    real, fake, classes = materials.real, materials.fake, materials.stack
    if classes is None:
        raise Refused("stacked: counts pictures stacked in channels", "Such data are stacked-mnist.")
    assert real.images is not None
    assert real.labels is not None
    assert fake.images is not None
    channels = fake.images.shape[1]
    powers = classes ** np.arange(channels - 1, -1, -1)
    images = real.images[: TAUGHT // channels]
    digits = real.labels[: len(images), None] // powers % classes
    fitted = fit_domain(
        images.reshape(-1, 1, *images.shape[2:]), digits.reshape(-1), seed=materials.seed, classes=classes
    )
    verdicts = fitted.logits(fake.images.reshape(-1, 1, *fake.images.shape[2:])).argmax(1)
    found = mode_shares((verdicts.reshape(-1, channels) * powers).sum(1), classes**channels)
    return {"stacked-modes": Value(found.covered, better="higher"), "stacked-kl": Value(found.divergence)}


MEASURES = (
    Measure(
        "modes", _measured, "modes of the mixture that are there, and the share of samples within 3 deviations of one",
        "higher", frozenset({"features", "modes"}), least=1, settings={"within": 3.0}, bare=True,
    ),
    Measure(
        "stacked", _stacked, "numbers that stacked digits spell: how many occur, and KL against equal shares in nats",
        "lower", frozenset({"images"}), least=1000, settings={"taught": TAUGHT}, bare=True, slow=True,
    ),
)  # fmt: skip
