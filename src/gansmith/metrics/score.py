"""Score a generator: which metrics, in which features, against what, with which card."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset
from gansmith.errors import Refused
from gansmith.metrics import choice, reading, stored
from gansmith.metrics.choice import Chosen
from gansmith.metrics.extractor import Classifies, Extractor
from gansmith.metrics.frechet import floor
from gansmith.metrics.measure import (
    APART,
    Materials,
    Measure,
    Side,
    Value,
    Walk,
    check,
    looks_at_features,
    needed,
    needs_of,
    title,
    wanted,
)
from gansmith.metrics.reading import array, parts, read, some
from gansmith.scores import Score

KEPT_BYTES = 1 << 30
"""Bytes of images kept on either side, for measures that look at images themselves."""


class Drawn(NamedTuple):
    """Generated examples, and the labels that they were asked for, if any."""

    examples: NDArray[Any]
    labels: NDArray[np.int64] | None = None


Sample = Callable[[int, int], Drawn | NDArray[Any]]
"""(n, seed) to n examples in the dataset's form: uint8 [n, C, H, W] of images, float32 [n, d] of points."""


@dataclass
class _Pass:
    """One extractor, and what is measured in its features."""

    kind: str
    chosen: Chosen
    measures: list[Measure]
    real: Side
    values: dict[str, dict[str, float]]
    """What real examples score in the generator's place, by measure and part."""
    values_are: dict[str, str]

    @property
    def needs(self) -> frozenset[str]:
        return needs_of(self.measures)

    @property
    def looks(self) -> bool:
        """Whether anything is measured in features of examples; else none are made."""
        return bool(self.needs & {"features", "logits"})

    @property
    def classifies(self) -> bool:
        """Whether logits are wanted, and can be had."""
        return "logits" in self.needs and isinstance(self.chosen.extractor, Classifies)


class Scorer:
    """Scores a generator against a data set.

    The reference is the test split where there is one, else the training data; a classifier of the data's own
    labels is fitted to the training data only. One pass of features serves all metrics, and what the reference
    comes to is kept for next time.

    Args:
        train: what the generator is trained on.
        test: the other split, never trained on; None where there is none, or the reference shall be `train`.
        metrics: names of metrics (`fid`, `kd`, `prdc-pixels`); None chooses by data and machine. The first is
            the chief, by which the best checkpoint is told.
        labelled: whether samples come with the labels that were asked for.
        quick: choose as during a training: the chief metric alone, in features that are quick to make.
        seed: of the classifier, of the subsets that metrics draw, and of which examples are taken.
        n: samples to score; None is 10,000, or as many as the reference holds where it holds fewer.
        cache: keep the fitted classifier and the reference's features for next time.
        device: where to compute features.
        say: told, in one line, of work that takes long.
        weights: where published weights lie (`inception`, `dinov2`, `lpips`), if not in the usual places.
        download: published weights may be downloaded.

    Attributes:
        metric: name of the chief score.
        reason: why these features, in one line.
        n: samples that a scoring takes.
        floor: what real data scores by chance alone on the chief metric; None where that is not known.
        extractor: what makes the chief's features; coarse pixels where the chief has none that can be kept.
        card: of the chief score.
        cards: of each measure, by the name of its score.

    Raises:
        Refused: where train and test hold unlike examples or fewer than two, or a metric cannot be had.
    """

    def __init__(
        self,
        train: Dataset,
        test: Dataset | None = None,
        *,
        metrics: Sequence[str] | None = None,
        labelled: bool = False,
        quick: bool = True,
        seed: int = 0,
        n: int | None = None,
        cache: bool = True,
        device: torch.device | str = "cpu",
        say: Callable[[str], None] | None = None,
        weights: Mapping[str, str] | None = None,
        download: bool = False,
    ) -> None:
        if test is not None and (test.shape, test.modality) != (train.shape, train.modality):
            raise Refused(f"{test.name}: the test split's examples are {test.shape}, but the training's {train.shape}")
        self._train, self._test, self._seed, self._say, self._cache = train, test, seed, say, cache
        self._labelled = labelled
        self._choose_reference(n)
        usual, why = choice.default(train, quick=quick, weights=weights)
        names = metrics or choice.metrics(train, usual, labelled=labelled, quick=quick)
        asked = [wanted(name, choice.extractors(train)) for name in names]
        if not any(looks_at_features(measure) for measure, kind in asked if kind is None):
            usual = "points" if usual == "points" else "pixels"  # nobody looks at the features, so quick ones do
        by_kind: dict[str, list[Measure]] = {}
        for measure, kind in asked:
            mine = by_kind.setdefault(kind or usual, [])
            if measure not in mine:
                mine.append(measure)
        how = choice.Making(seed, cache, device, say, weights or {}, download)
        self._passes: list[_Pass] = []
        for kind, measures in by_kind.items():
            if metrics is None:
                measures = [m for m in measures if m.least <= min(self.n, len(self._rows))] or measures[:1]
            self._check_counts(measures, 0)
            chosen = choice.make(kind, train, test, how)
            self._check_counts(measures, chosen.extractor.dims)
            if metrics is None:
                chosen = chosen._replace(reason=f"{chosen.reason}, {why}" if kind == "domain" else why)
            self._passes.append(self._prepare(kind, chosen, measures))
        self._chief = self._passes[0]
        if self._chief.kind in APART:
            pixels = choice.make("pixels", train, test, how)
            self._chief = _Pass("pixels", pixels, [], self._chief.real, {}, {})
        self.extractor = self._chief.chosen.extractor
        self.cards = {self._title(p, m): self._card(p, m) for p in self._passes for m in p.measures}
        self.card = next(iter(self.cards.values()))
        self.metric, self.reason = self.card["metric"], self.card["reason"]
        self.floor: float | None = self.card["floor"]

    def score(self, sample: Sample, *, seed: int | None = None, path: Walk | None = None) -> dict[str, float]:
        """Score a generator.

        Args:
            sample: draws n examples of a seed; asked for all at once, or in parts of 64 MiB with seeds that follow.
            seed: of the samples; the scorer's own unless given.
            path: neighbours in the generator's latent space, for metrics of smoothness.

        Returns:
            The scores by name, and their spreads as `name/spread`; nothing where samples are not finite.

        Raises:
            Refused: where the samples have another shape than the data, or a metric cannot work with them.
        """
        return numbers(self.evaluate(sample, seed=seed, path=path))

    def evaluate(
        self,
        sample: Sample,
        *,
        seed: int | None = None,
        path: Walk | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Score]:
        """Score a generator, with cards; arguments as of `score`.

        Args:
            sample: draws n examples of a seed.
            seed: of the samples.
            path: neighbours in its latent space, for metrics of smoothness.
            progress: told of samples done, and in all.
        """
        start, began = self._seed if seed is None else seed, time.perf_counter()
        sides = self._sides(self._drawn(sample, start, progress))
        if sides is None:
            return []
        made = {"sample_seed": start, "feature_seconds": round(time.perf_counter() - began, 3)}
        out = []
        for one, side in zip(self._passes, sides, strict=True):
            shared: dict[str, Any] = {}
            for measure in one.measures:
                began = time.perf_counter()
                values = self._measured(one, measure, side, path, shared)
                seconds = {**made, "seconds": round(time.perf_counter() - began, 3)}
                out += [self._score(one, measure, part, value, seconds) for part, value in values.items()]
        return out

    def labels(self, n: int, *, seed: int = 0) -> NDArray[np.int64] | None:
        """Labels as frequent as in the training data, int64 [n]; None where there are none.

        A class-conditional generator is scored with these: a data set's classes are seldom equally frequent,
        and a score would take the difference for the generator's fault.
        """
        if self._train.labels is None:
            return None
        draws = np.random.Generator(np.random.PCG64([seed, 1])).integers(self._train.count, size=n)
        return self._train.labels[draws]

    def conditions(self, n: int, *, seed: int = 0) -> NDArray[np.float32]:
        """Conditions of the training data, drawn as `labels` are, float32 [n, V].

        Raises:
            Refused: the data have none.
        """
        if self._train.conditions is None:
            raise Refused(f"{self._train.name}: has no conditions, and the model makes samples of such")
        draws = np.random.Generator(np.random.PCG64([seed, 1])).integers(self._train.count, size=n)
        return self._train.conditions[draws]

    # --- the reference -----------------------------------------------------------------------------

    def _choose_reference(self, n: int | None) -> None:
        train, test, seed = self._train, self._test, self._seed
        self._reference = reference = train if test is None else test
        if reference.count < 2:
            raise Refused(f"{reference.name}: a score needs at least 2 examples, not {reference.count}")
        most = reading.HELD if reference.array is not None else reading.READ
        count = min(reference.count, most)
        self.n = min(10_000, count) if n is None else n
        if self.n < 2:
            raise Refused(f"a score needs at least 2 samples, not {self.n}")
        others = np.zeros(0, np.int64)
        if train.modality == "points" and test is None:
            # Real points for the floor must be others than the reference's, and as many.
            self.n = max(1, min(self.n, train.count // 2))
            taken = some(train, 2 * self.n, seed, shuffled=True)
            self._rows, others = taken[: self.n], taken[self.n :]
        elif train.modality == "points":
            self.n = min(self.n, train.count, count)  # pairs of points: as many on either side
            self._rows, others = some(reference, self.n, seed), some(train, self.n, seed)
        else:
            self._rows = some(reference, most, seed)
            if test is not None:
                others = some(train, train.count, seed, shuffled=True)
        self._others = others

    def _check_counts(self, measures: Sequence[Measure], dims: int) -> None:
        """Refuse too few samples before any work is done."""
        for measure in measures:
            for count, whose in ((self.n, "samples"), (len(self._rows), "reference examples")):
                if count < (wants := needed(measure, dims)):
                    raise Refused(f"{measure.name}: needs {wants:,} {whose}, and there are {count:,}")

    def _prepare(self, kind: str, chosen: Chosen, measures: list[Measure]) -> _Pass:
        one = _Pass(kind, chosen, measures, Side(np.zeros((0, chosen.extractor.dims), np.float32)), {}, {})
        one.real = self._real_side(one)
        draws = self._draws_of_reals(kind)
        self._values_of_reals(one, [m for m in measures if "path" not in m.needs], draws)
        for measure in measures:
            if measure.name == "fd" and measure.name not in one.values:
                m = len(one.real.features)
                one.values["fd"] = {"": floor(one.real.moments.cov, self.n, m)}
                one.values_are["fd"] = "expected of two draws from one Gaussian of the reference's covariance"
        return one

    def features_of(self, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The chief's features of these examples, float32 [N, dims]; kept for next time where the scorer keeps any."""
        return self._kept(self._chief, dataset, rows)[0]

    def _real_side(self, one: _Pass) -> Side:
        reference, rows = self._reference, self._rows
        features, logits = self._kept(one, reference, rows) if one.looks else _unlooked(len(rows))
        labels = None if reference.labels is None else reference.labels[rows]
        return Side(features, logits, labels, self._images(one, reference, rows))

    def _kept(
        self, one: _Pass, dataset: Dataset, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Features and logits of real examples, from the cache or into it."""
        extractor = one.chosen.extractor
        key = [extractor.checksum, extractor.version, dataset.fingerprint, hashlib.sha256(rows.tobytes()).hexdigest()]
        file = stored.file_of("features", key) if self._cache and dataset.fingerprint else None
        held = stored.read(file)
        if held is not None and ("logits" in held[0] or not one.classifies):
            return held[0]["features"].numpy(), held[0]["logits"].numpy() if "logits" in held[0] else None
        if self._say and one.kind not in choice.CHEAP:
            self._say(f"Making {one.kind}'s features of {len(rows):,} real examples; they are kept for later.")
        features, logits = _extracted(one, read(dataset, rows))
        tensors = {"features": torch.from_numpy(features)}
        if logits is not None:
            tensors["logits"] = torch.from_numpy(logits)
        stored.write(file, tensors, {})
        return features, logits

    def _images(self, one: _Pass, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        if "images" not in one.needs:
            return None
        return array(dataset, rows[: max(1, KEPT_BYTES // int(np.prod(dataset.shape)))])

    def _draws_of_reals(self, kind: str) -> int:
        """How many draws of real examples, other than the reference, there are to measure."""
        if kind not in choice.CHEAP or not len(self._others):
            return 0
        return max(1, len(self._others) // self.n)

    def _values_of_reals(self, one: _Pass, measures: Sequence[Measure], draws: int) -> None:
        """What real examples score: a mean over draws that share no example, since one is uncertain by a tenth."""
        kept = self._cache and bool(self._train.fingerprint and self._reference.fingerprint)
        size = min(self.n, len(self._others))
        side = functools.cache(lambda i: self._others_side(one, self._others[i * size : (i + 1) * size]))
        shared: list[dict[str, Any]] = [{} for _ in range(draws)]
        for measure in measures:
            number = 1 if measure.alone else min(draws, measure.draws)
            labelled = self._reference if measure.alone else self._train
            if not number or ("labels" in measure.needs and labelled.labels is None):
                continue
            key = self._key(
                one, "values", self._labelled, self.n, number, measure.name, measure.version, dict(measure.settings)
            )
            file = stored.file_of("values", key) if kept else None
            held = stored.read(file)
            if held is None:
                if measure.alone:
                    found = [self._measured(one, measure, self._alone(one.real, measure), None, {})]
                else:
                    found = [self._measured(one, measure, side(i), None, shared[i]) for i in range(number)]
                held = ({}, {part: float(np.mean([f[part].value for f in found])) for part in found[0]})
                stored.write(file, {}, held[1])
            one.values[measure.name] = {part: float(value) for part, value in held[1].items()}
            mean = f"the mean of {number} x " if number > 1 else ""
            told = f"{mean}{size} training examples against the reference"
            told = f"{min(self.n, len(self._rows))} reference examples" if measure.alone else told
            one.values_are[measure.name] = f"measured: {told}"

    def _alone(self, real: Side, measure: Measure) -> Side:
        """As many reference examples as there are samples, told of their classes where the samples are."""
        some = real.some(self.n, self._seed)
        return some if self._labelled or "labels" in measure.needs else replace(some, labels=None)

    def _others_side(self, one: _Pass, rows: NDArray[np.int64]) -> Side:
        train, rows = self._train, np.sort(rows)
        features, logits = _extracted(one, read(train, rows)) if one.looks else _unlooked(len(rows))
        labels = None if train.labels is None else train.labels[rows]
        return Side(features, logits, labels, self._images(one, train, rows))

    def _key(self, one: _Pass, *more: Any) -> list[Any]:
        decides = [one.chosen.extractor.checksum, one.chosen.extractor.version, len(self._rows), self._seed]
        decides += [d.fingerprint for d in (self._train, self._reference)]
        return [*decides, self._train.split, self._reference.split, self._test is None, *more]

    # --- the generator -----------------------------------------------------------------------------

    def _drawn(self, sample: Sample, seed: int, progress: Callable[[int, int], None] | None) -> Iterator[Drawn]:
        done = 0
        for i, count in enumerate(parts(self.n, self._train.shape)):
            drawn = sample(count, seed + i)
            yield drawn if isinstance(drawn, Drawn) else Drawn(drawn)
            done += count
            if progress:
                progress(done, self.n)

    def _sides(self, drawn: Iterator[Drawn]) -> list[Side] | None:
        """Each extractor's features of the same samples; None where samples are not finite."""
        made: list[list[tuple[NDArray, NDArray | None]]] = [[] for _ in self._passes]
        labels: list[NDArray[np.int64] | None] = []
        images: list[NDArray[np.uint8]] = []
        room = KEPT_BYTES // int(np.prod(self._train.shape))
        for part in drawn:
            if self._train.modality == "points" and not np.isfinite(part.examples).all():
                return None
            shape = part.examples.shape[1:]
            if self._train.modality == "image" and shape != tuple(self._train.shape):
                raise Refused(f"these images are {shape}, but the reference's are {tuple(self._train.shape)}")
            for found, one in zip(made, self._passes, strict=True):
                found.append(_extracted(one, iter([part.examples])) if one.looks else _unlooked(len(part.examples)))
            labels.append(part.labels)
            if any("images" in one.needs for one in self._passes) and room > 0:
                images.append(part.examples[:room])
                room -= len(images[-1])
        kept = np.concatenate(images) if images else None
        return [
            Side(np.concatenate([f for f, _ in found]), _joined([g for _, g in found]), _joined(labels), kept)
            for found in made
        ]

    def _measured(
        self, one: _Pass, measure: Measure, fake: Side, path: Walk | None, shared: dict[str, Any]
    ) -> Mapping[str, Value]:
        name, train, asked = self._title(one, measure), self._train, frozenset(each.name for each in one.measures)
        materials = Materials(
            one.real, fake, self._seed, one.chosen.extractor, path, train.modes, train.stack, asked, shared
        )
        check(measure, materials, name)
        try:
            return measure.compute(materials)
        except Refused as error:
            raise error if error.what.startswith(name) else Refused(f"{name}: {error.what}", error.remedy) from None

    # --- cards -------------------------------------------------------------------------------------

    def _title(self, one: _Pass, measure: Measure, part: str = "") -> str:
        return title(measure, part, one.kind, one.chosen.tag)

    def _score(self, one: _Pass, measure: Measure, part: str, value: Value, made: Mapping[str, Any]) -> Score:
        name, better = self._title(one, measure, part), value.better or measure.better
        of_reals = one.values.get(measure.name, {}).get(part)
        card = {**self.cards[self._title(one, measure)], "metric": name, "better": better, "floor": of_reals}
        return Score(name, value.value, better, card, value.spread, value.spread_is, made)

    def _card(self, one: _Pass, measure: Measure) -> dict[str, Any]:
        name, train = self._title(one, measure), self._train
        return {
            "metric": name,
            "metric_version": measure.version,
            "measure": measure.name,
            "better": measure.better,
            "leaning": measure.leaning if measure.better == "real" else None,
            **measure.settings,
            **(_extractor_card(one.chosen.extractor) if looks_at_features(measure) else {"extractor": None}),
            "reason": f"{name}, {one.chosen.reason}" if looks_at_features(measure) else name,
            "shape": list(train.shape),
            "samples": self.n,
            "reference": train.name,
            "reference_split": self._reference.split,
            "reference_is_training_data": self._test is None,
            "reference_samples": len(self._rows),
            "reference_fingerprint": self._reference.fingerprint,
            "seed": self._seed,
            "floor": one.values.get(measure.name, {}).get(""),
            "floor_is": one.values_are.get(measure.name),
        }


def numbers(scores: Sequence[Score]) -> dict[str, float]:
    """The scores by name, and their spreads as `name/spread`."""
    out: dict[str, float] = {}
    for score in scores:
        out[score.name] = score.value
        if score.spread is not None:
            out[f"{score.name}/spread"] = score.spread
    return out


def _extractor_card(extractor: Extractor) -> dict[str, Any]:
    about = {f"extractor_{k}" if k not in ("range", "resize") else k: v for k, v in extractor.card.items()}
    named = {"extractor": extractor.name, "extractor_version": extractor.version}
    return {**named, "extractor_checksum": extractor.checksum, "dims": extractor.dims, **about}


def _joined(pieces: Sequence[NDArray | None]) -> NDArray | None:
    """One array of all, or None where any is missing."""
    there = [piece for piece in pieces if piece is not None]
    return np.concatenate(there) if there and len(there) == len(pieces) else None


def _unlooked(count: int) -> tuple[NDArray[np.float32], None]:
    """In place of features that nobody looks at: as many vectors, of no length."""
    return np.zeros((count, 0), np.float32), None


def _extracted(one: _Pass, examples: Iterator[NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Features, and logits where a measure needs them and the extractor classifies."""
    extractor, features, logits = one.chosen.extractor, [], []
    for part in examples:
        if one.classifies and isinstance(extractor, Classifies):
            found, verdicts = extractor.features_and_logits(part)
            logits.append(verdicts)
        else:
            found = extractor.features(part)
        features.append(found)
    return np.concatenate(features), np.concatenate(logits) if logits else None
