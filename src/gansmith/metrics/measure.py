"""What a measure is: a metric that an evaluation can be asked for by name.

Each file of this room that holds one lists it in `MEASURES`; nothing else needs to know of it. A measure sees
features, logits, labels or images of both sides, as it needs, and gives numbers with their spread.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.data.dataset import Modes
from gansmith.errors import Refused, nearest
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.frechet import Gaussian, moments_of
from gansmith.own import module_of

Need = Literal["features", "logits", "labels", "images", "path", "modes"]


class Value(NamedTuple):
    """A number.

    Attributes:
        value: the number.
        spread: how far it is uncertain, in its own units; None where that is not known.
        spread_is: what the spread is.
        better: of this part, where it is not what the measure says.
    """

    value: float
    spread: float | None = None
    spread_is: str = ""
    better: Literal["lower", "higher", "real"] | None = None


@dataclass(frozen=True)
class Side:
    """One side of a comparison: of its N examples as much as is needed.

    Attributes:
        features: float32 [N, d].
        logits: float32 [N, classes], or None.
        labels: int64 [N], or None where there are none.
        images: uint8 [M, C, H, W], the first M ≤ N of them, or None.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    images: NDArray[np.uint8] | None = None

    def some(self, n: int, seed: int) -> Side:
        """`n` of its examples that a seed chooses, in their order, or all where there are fewer.

        Where images are kept of the first M alone, of these: data may lie in the order of their classes.
        """
        if n >= len(self.features):
            return self
        among = len(self.features) if self.images is None else len(self.images)
        rows = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(among)[:n])
        logits = None if self.logits is None else self.logits[rows]
        labels = None if self.labels is None else self.labels[rows]
        return Side(self.features[rows], logits, labels, None if self.images is None else self.images[rows])

    @cached_property
    def finite(self) -> bool:
        """Whether all features are."""
        return bool(np.isfinite(self.features).all())

    @cached_property
    def constant(self) -> bool:
        """Whether all examples have the same features."""
        return len(self.features) > 1 and bool((self.features == self.features[0]).all())

    @cached_property
    def moments(self) -> Gaussian:
        """Mean and covariance of the features, float64."""
        return moments_of(self.features)


class Walk(Protocol):
    """Neighbours in a generator's latent space, for smoothness."""

    def __call__(self, n: int, epsilon: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images at t and at t + ε of n random latent paths: float, 0 to 255 and not rounded, [n, C, H, W] each."""
        ...


@dataclass(frozen=True)
class Materials:
    """What a measure may look at.

    Attributes:
        real: reference examples.
        fake: generated examples.
        seed: of whatever the measure draws.
        extractor: that made the features.
        path: neighbours in latent space; None where only examples are at hand.
        modes: the truth about a mixture that the real examples are drawn from, where it is known.
        stack: classes of one channel, where the real examples stack a picture in each.
        asked: names of all measures that will look at these.
        shared: what one measure leaves for another that would compute it again, by a name of their own.
    """

    real: Side
    fake: Side
    seed: int = 0
    extractor: Extractor | None = None
    path: Walk | None = None
    modes: Modes | None = None
    stack: int | None = None
    asked: frozenset[str] = frozenset()
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """A metric by name.

    Attributes:
        name: at the prompt, in lower case (`prdc`).
        compute: materials in; numbers by the name of their part out (`precision`, …; an empty name is the
            measure's own).
        what: one line on what it tells.
        better: `lower`, `higher`, or `real`: the nearer to what real examples score, the better.
        needs: what it looks at on either side.
        least: examples on the smaller side that it needs.
        rows_a_dimension: samples that it needs for each dimension of a feature vector.
        draws: sets of real examples over which its value for real examples is averaged.
        alone: looks at samples alone; its value for real examples is then that of the reference itself.
        settings: constants that decide the number (k, subsets), for its card.
        version: raised whenever the same materials would give another number.
        leaning: what is better where it should be as of real examples, and there are none to tell.
        bare: the name does not take the extractor's, since features do not enter.
        slow: takes long, so only on demand.
        only: the one extractor that it is taken with; None for any.
    """

    name: str
    compute: Callable[[Materials], Mapping[str, Value]]
    what: str
    better: Literal["lower", "higher", "real"] = "lower"
    needs: frozenset[Need] = frozenset({"features"})
    least: int = 2
    rows_a_dimension: int = 0
    draws: int = 1
    alone: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    leaning: Literal["lower", "higher"] = "lower"
    bare: bool = False
    slow: bool = False
    only: str | None = None


class Wanted(NamedTuple):
    """A measure, and the extractor in whose features it is asked for; None is the default one."""

    measure: Measure
    extractor: str | None


PUBLISHED = {"fid": ("fd", "inception"), "kid": ("kd", "inception"), "inception-score": ("cs", "inception")}
"""Names that mean the published Inception weights, and nothing else."""

SHORT = {"is": "inception-score"}

APART = frozenset({"lpips"})
"""Extractors that tell pairs of images apart, in vectors that are too long for any other use."""


@cache
def measures() -> Mapping[str, Measure]:
    """All measures of this package, by name."""
    room = importlib.import_module("gansmith.metrics")
    found: dict[str, Measure] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(room.__path__)):
        for each in getattr(importlib.import_module(f"gansmith.metrics.{module}"), "MEASURES", ()):
            found[each.name] = each
    return found


def wanted(text: str, extractors: Mapping[str, str]) -> Wanted:
    """Find the measure that a name means: `prdc`, `prdc-pixels`, `fid`, `fd-mnist`, `mine.py:MEASURE`.

    Args:
        text: the name.
        extractors: names of extractors as they may follow a measure's, and which extractor each means.

    Raises:
        Refused: no such measure, or no such extractor.
    """
    if ".py" in text:
        return Wanted(_of_file(text.strip()), None)
    name = SHORT.get(text.strip().lower(), text.strip().lower())
    if name in PUBLISHED:
        measure, extractor = PUBLISHED[name]
        return Wanted(measures()[measure], extractor)
    if name in measures():
        return Wanted(measures()[name], measures()[name].only)
    for measure in sorted(measures(), key=len, reverse=True):
        if name.startswith(f"{measure}-"):
            rest = name[len(measure) + 1 :]
            if rest in extractors:
                return _fitting(measures()[measure], extractors[rest])
            known = ", ".join(dict.fromkeys(extractors))
            raise Refused(f"metrics: no extractor {rest!r} for {measure}", f"There are {known}.")
    known = [*PUBLISHED, *SHORT, *measures()]
    near = nearest(name, known)
    hint = f"; did you mean {near}?" if near else ""
    raise Refused(f"metrics: no metric {text!r}{hint}", f"There are {', '.join(sorted(known))}.")


def _fitting(measure: Measure, extractor: str) -> Wanted:
    """The two together, where they go together."""
    if measure.only not in (None, extractor):
        raise Refused(f"metrics: {measure.name} is taken with {measure.only} alone, and not with {extractor}")
    if extractor in APART and measure.needs & {"features", "logits"}:
        what = f"metrics: {extractor} tells pairs of images apart, and gives no features for {measure.name}"
        raise Refused(what, f"It serves {extractor} and ppl-{extractor}.")
    return Wanted(measure, extractor)


def _of_file(text: str) -> Measure:
    """The measure that a user's own file holds; the file's sum goes into its card."""
    stem, colon, name = text.rpartition(":")
    file, wanted_name = (Path(stem), name) if colon else (Path(text), "MEASURE")
    found = getattr(module_of(file), wanted_name, None)
    if not isinstance(found, Measure):
        raise Refused(f"{text}: has no Measure {wanted_name!r}", "Write it as file.py:NAME.")
    return replace(found, settings={**found.settings, "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest()})


def needed(measure: Measure, dims: int) -> int:
    """Examples on the smaller side that a measure needs, in features of so many dimensions."""
    return max(measure.least, measure.rows_a_dimension * dims)


def title(measure: Measure, part: str, extractor: str, tag: str) -> str:
    """Name a number: `fd-mnist`, `precision-mnist`, `fid`.

    Args:
        measure: that made it.
        part: of the measure; empty for its own name.
        extractor: the extractor's name.
        tag: what a name takes from the extractor; empty for none.
    """
    for name, pair in PUBLISHED.items():
        if pair == (measure.name, extractor) and not part:
            return name
    stem = part or measure.name
    return stem if measure.bare or not tag else f"{stem}-{tag}"


def looks_at_features(measure: Measure) -> bool:
    """Whether an extractor decides its numbers."""
    return measure.only is not None or bool(measure.needs & {"features", "logits", "path"})


def jackknife(
    compute: Callable[[NDArray[np.float32]], float], rows: NDArray[np.float32], groups: int = 10, seed: int = 0
) -> float:
    """Estimate the standard error of a smooth statistic by leaving out one group of rows at a time.

        SE² = (g − 1) / g · Σ_i (θ₋ᵢ − θ̄)²

    Efron and Stein, 1981, Annals of Statistics 9(3). The rows are put into groups at random.

    Args:
        compute: the statistic of some rows.
        rows: [N, d].
        groups: g.
        seed: of the groups.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))
    left = np.array([compute(np.delete(rows, part, 0)) for part in np.array_split(order, groups)])
    return float(np.sqrt((groups - 1) / groups * ((left - left.mean()) ** 2).sum()))


def check(measure: Measure, materials: Materials, name: str) -> None:
    """Refuse materials that a measure cannot work with.

    Raises:
        Refused: too few samples, features that are not finite or all alike, no labels, no classifier, no known
            modes, or no generator to walk in.
    """
    real, fake = materials.real, materials.fake
    least, wanted_count = min(len(real.features), len(fake.features)), needed(measure, real.features.shape[1])
    if least < wanted_count:
        raise Refused(f"{name}: needs {wanted_count:,} samples on either side, and there are {least:,}")
    for whose, side in (("the reference's features", real), ("the samples' features", fake)):
        if not side.finite:
            raise Refused(f"{name}: {whose} are not finite (NaN or infinity)")
    if real.constant and real.features.shape[1]:  # else nobody looks at them, and none were made
        raise Refused(f"{name}: the reference's features are all alike, so nothing can be measured in them")
    if "labels" in measure.needs and fake.labels is None:
        raise Refused(f"{name}: needs labelled samples, and these have no labels")
    if "modes" in measure.needs and materials.modes is None:
        raise Refused(f"{name}: needs a mixture whose modes are known", "Such are ring and grid.")
    if "logits" in measure.needs and fake.logits is None:
        remedy = "The extractors `domain` and `inception` classify."
        raise Refused(f"{name}: needs a classifier, and these features come from none", remedy)
    if "path" in measure.needs and materials.path is None:
        raise Refused(f"{name}: walks through a generator's latent space, so it needs a run and not pictures")


def needs_of(found: Sequence[Measure]) -> frozenset[str]:
    """All that some measures look at."""
    return frozenset().union(*(measure.needs for measure in found))
