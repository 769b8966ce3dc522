"""Which extractor, and which metrics, where none are asked for: by what the data and the machine allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from gansmith.data.dataset import Dataset
from gansmith.errors import Refused
from gansmith.metrics.domain import fit_domain
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.pixels import PixelExtractor
from gansmith.metrics.points import PointExtractor
from gansmith.metrics.reading import BYTES, READ, array, some

FEWEST_A_CLASS = 10
CHEAP = ("domain", "pixels", "points")
"""Extractors that are quick enough to measure real examples with as well, and to score during a training."""

Say = Callable[[str], None]


class Making(NamedTuple):
    """How an extractor is made.

    Attributes:
        seed: of a classifier that is fitted.
        cache: keep that, and look for it first.
        device: where features are computed.
        say: told of work that takes long.
        weights: where published weights lie, by extractor, if not in the usual places.
        download: published weights may be downloaded.
    """

    seed: int = 0
    cache: bool = True
    device: torch.device | str = "cpu"
    say: Say | None = None
    weights: Mapping[str, str] = {}
    download: bool = False


class Chosen(NamedTuple):
    """An extractor, what names take from it, and why it was chosen."""

    extractor: Extractor
    tag: str
    reason: str


def extractors(train: Dataset) -> Mapping[str, str]:
    """The extractors that metrics of these data may name, and which each name means."""
    if train.modality == "points":
        return {"points": "points"}
    named = {name: name for name in ("inception", "dinov2", "pixels", "domain", "lpips")}
    return {**named, train.name.lower(): "domain"}


def default(train: Dataset, *, quick: bool = False, weights: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The extractor for these data, and the reason.

    Colour images go to Inception where its weights are on this machine, since that is what the field compares
    by; else images go to a classifier of their own labels, and those without labels to coarse pixels.

    Args:
        train: the data.
        quick: only one that is quick enough to score during a training.
        weights: where published weights lie, by extractor.
    """
    if train.modality == "points":
        return "points", "points need no features"
    if not quick and train.shape[0] == 3 and _has_inception((weights or {}).get("inception")):
        return "inception", "the images are in colour, and Inception's weights are here"
    why_not = _why_no_classifier(train)
    if why_not:
        return "pixels", f"in coarse pixels, since {why_not}"
    return "domain", "since there are labels"


def metrics(train: Dataset, extractor: str, *, labelled: bool, quick: bool = False) -> tuple[str, ...]:
    """The metrics for these data; the first one is the chief.

    Args:
        train: the data.
        extractor: the extractor in whose features they are taken.
        labelled: whether samples come with the labels that were asked for.
        quick: only the chief, as during a training.
    """
    if extractor == "points":
        return ("sw2", "modes") if train.modes is not None else ("sw2",)
    if quick:
        return ("fd",)
    if train.stack:
        return ("stacked", "fd", "kd")
    own = ("cs",) if extractor == "inception" else ("accuracy",) if extractor == "domain" and labelled else ()
    return ("fd", "kd", "prdc", "vendi", *own)


def make(kind: str, train: Dataset, test: Dataset | None, how: Making) -> Chosen:
    """Make an extractor.

    Args:
        kind: `domain`, `pixels`, `inception`, `dinov2`, `lpips` or `points`.
        train: what a classifier of the data's own labels is fitted to.
        test: what it is tried on.
        how: where, and from what.

    Raises:
        Refused: where the data or the machine do not allow it.
    """
    if kind == "points":
        return Chosen(PointExtractor(train.shape), "", "points need no features")
    if train.modality == "points":
        raise Refused(f"{train.name}: points need no extractor, so {kind} does not apply")
    if kind == "pixels":
        return Chosen(PixelExtractor(train.shape), "pixels", "in coarse pixels")
    path = how.weights.get(kind)
    if kind == "inception":
        from gansmith.metrics.inception import InceptionExtractor

        return Chosen(
            InceptionExtractor(path, download=how.download, device=how.device), "inception", "in Inception's features"
        )
    if kind == "dinov2":
        from gansmith.metrics.dinov2 import Dinov2Extractor

        made = Dinov2Extractor(path, download=how.download, device=how.device)
        return Chosen(made, made.name, "in DINOv2's features")
    if kind == "lpips":
        from gansmith.metrics.lpips import LpipsExtractor, check

        check((1, *train.shape))
        made = LpipsExtractor(path, download=how.download, device=how.device)
        return Chosen(made, made.name, "by LPIPS on VGG-16")
    why_not = _why_no_classifier(train)
    if why_not:
        raise Refused(f"{train.name}: no classifier can be fitted to it, since {why_not}")
    return _domain(train, test, how)


def _has_inception(path: str | None) -> bool:
    from gansmith.metrics import inception

    return inception.found(path) is not None


def _domain(train: Dataset, test: Dataset | None, how: Making) -> Chosen:
    assert train.labels is not None
    chosen = some(train, max(1, min(60_000, 4 * BYTES // int(np.prod(train.shape)))), how.seed)
    held_out = None
    if test is not None and test.labels is not None:
        held = some(test, READ, how.seed)
        held_out = (array(test, held), test.labels[held])
    fitted = fit_domain(
        array(train, chosen), train.labels[chosen], test=held_out, seed=how.seed, classes=_class_count(train, test),
        fingerprint=f"{train.fingerprint} {len(chosen)}" if train.fingerprint else None,
        cache=how.cache, device=how.device, say=how.say,
    )  # fmt: skip
    return Chosen(fitted, train.name, f"in a classifier of its own labels ({fitted.accuracy:.1%} right)")


def _class_count(train: Dataset, test: Dataset | None) -> int:
    known = [len(train.classes)] if train.classes else []
    return max(known + [int(d.labels.max()) + 1 for d in (train, test) if d is not None and d.labels is not None])


def _why_no_classifier(train: Dataset) -> str | None:
    if train.labels is None:
        return "there are no labels"
    if train.stack:
        return "its labels number combinations"
    present = len(np.unique(train.labels))
    if present < 2:
        return "all examples have one label"
    if train.count < FEWEST_A_CLASS * present:
        return f"there are fewer than {FEWEST_A_CLASS} examples a class"
    if min(train.shape[1:]) < 4:
        return "the images are smaller than 4x4"
    return None
