"""One number for a generator, with the card that says what the number is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset
from gansmith.errors import Refused
from gansmith.metrics import stored
from gansmith.metrics.domain import DomainExtractor, fit_domain
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.frechet import Gaussian, Moments, floor, frechet_of
from gansmith.metrics.pixels import PixelExtractor
from gansmith.metrics.wasserstein import sliced_wasserstein

Sample = Callable[[int, int], NDArray[Any]]
"""(n, seed) to n examples in the dataset's form: uint8 [n, C, H, W] of images, float32 [n, d] of points."""

FEWEST_A_CLASS = 10
MOST_REFERENCE = 50_000
MOST_READ = 10_000
FLOOR_DRAWS = 4
BYTES = 1 << 26


class Scorer:
    """Scores a generator against a data set; lower is better.

    Images with labels get the Fréchet distance in a domain classifier's features (`fd-<data>`), those without
    get it in coarse pixels (`fd-pixels`), and points the sliced Wasserstein distance (`sw2`: a Gaussian fit
    does not see which modes of a ring are there). The reference is the test split where there is one, else
    the training data; the classifier is fitted to the training data only.

    Args:
        train: what the generator is trained on.
        test: the other split, never trained on.
        seed: of the classifier, and of which examples are taken where not all are.
        n: samples to score; fewer where the reference holds fewer.
        cache: keep the fitted classifier and the reference's statistics for next time.
        device: where to compute features.
        say: told, in one line, of work that takes long.

    Attributes:
        metric: name of the score.
        reason: why this metric, in one line.
        n: samples that a scoring takes.
        floor: what real data scores by chance alone; no generator can be told apart from data below it.
        extractor: what makes the features; None for points.
        card: all that decides the number, plain JSON; scores of unlike cards cannot be compared.

    Raises:
        Refused: where train and test hold unlike examples, or fewer than two.
    """

    def __init__(
        self,
        train: Dataset,
        test: Dataset | None = None,
        *,
        seed: int = 0,
        n: int = 10_000,
        cache: bool = True,
        device: torch.device | str = "cpu",
        say: Callable[[str], None] | None = None,
    ) -> None:
        if test is not None and (test.shape, test.modality) != (train.shape, train.modality):
            raise Refused(f"{test.name}: the test split's examples are {test.shape}, but the training's {train.shape}")
        self._train, self._seed = train, seed
        reference = train if test is None else test
        if reference.count < 2:
            raise Refused(f"{reference.name}: a score needs at least 2 examples, not {reference.count}")
        self.n = min(n, reference.count)
        self.extractor: Extractor | None = None
        if train.modality == "points":
            self.metric, self.reason = "sw2", "sw2, since points need no features: the sliced Wasserstein distance"
            self._prepare_points(train, test)
        else:
            self.extractor, self.metric, self.reason = _choose(train, test, seed, cache, device, say)
            self._prepare_features(train, reference, cache)
        self.card: dict[str, Any] = {
            "metric": self.metric,
            "metric_version": 1,
            "reason": self.reason,
            "extractor": getattr(self.extractor, "name", None),
            "extractor_version": getattr(self.extractor, "version", None),
            "extractor_checksum": getattr(self.extractor, "checksum", None),
            "extractor_accuracy": getattr(self.extractor, "accuracy", None),
            "dims": self.extractor.dims if self.extractor else train.shape[0],
            "range": "uint8, 0 to 255" if train.modality == "image" else "float32, as given",
            "resize": None,
            "samples": self.n,
            "reference": train.name,
            "reference_split": reference.split,
            "reference_is_training_data": test is None,
            "reference_samples": self._reference_count,
            "reference_fingerprint": reference.fingerprint,
            "seed": seed,
            "floor": self.floor,
            "floor_is": self._floor_is,
        }

    def score(self, sample: Sample, *, seed: int | None = None) -> dict[str, float]:
        """Score a generator.

        Args:
            sample: draws n examples of a seed; asked for all at once, or in parts of 64 MiB with seeds that follow.
            seed: of the samples; the scorer's own unless given.

        Returns:
            The score by the metric's name; nothing where samples are not finite.

        Raises:
            Refused: where the samples have another shape than the data.
        """
        start = self._seed if seed is None else seed
        parts = (sample(count, start + i) for i, count in enumerate(_parts(self.n, self._train.shape)))
        if self.extractor is None:
            drawn = np.concatenate([np.asarray(part, np.float32) for part in parts])
            if not np.isfinite(drawn).all():
                return {}
            return {self.metric: sliced_wasserstein(drawn, self._points, seed=self._seed)}
        return {self.metric: frechet_of(_moments(self.extractor, parts), self._reference)}

    def labels(self, n: int, *, seed: int = 0) -> NDArray[np.int64] | None:
        """Labels as frequent as in the training data, int64 [n]; None where there are none.

        A class-conditional generator is scored with these: a data set's classes are seldom equally frequent,
        and a score would take the difference for the generator's fault.
        """
        if self._train.labels is None:
            return None
        draws = np.random.Generator(np.random.PCG64([seed, 1])).integers(self._train.count, size=n)
        return self._train.labels[draws]

    def _prepare_features(self, train: Dataset, reference: Dataset, cache: bool) -> None:
        assert self.extractor is not None
        most = MOST_REFERENCE if reference.array is not None else MOST_READ
        self._reference_count = min(reference.count, most)
        self.n = min(self.n, self._reference_count)
        file = self._cache_file(train, reference) if cache else None
        held = stored.read(file)
        if held is not None:
            tensors, rest = held
            self._reference = Gaussian(tensors["mean"], tensors["cov"], self._reference_count)
            self.floor, self._floor_is = rest["floor"], rest["floor_is"]
            return
        self._reference = _moments(self.extractor, _read(reference, _some(reference, most, self._seed)))
        if reference is train:
            self.floor = floor(self._reference.cov, self.n, self._reference_count)
            self._floor_is = "expected of two draws from one Gaussian of the reference's covariance"
        else:
            # One draw's floor is uncertain by a tenth; draws that share no example are averaged.
            draws = max(1, min(FLOOR_DRAWS, train.count // self.n))
            taken = _some(train, draws * self.n, self._seed, shuffled=True)
            apart = [
                frechet_of(_moments(self.extractor, _read(train, np.sort(part))), self._reference)
                for part in np.array_split(taken, draws)
            ]
            self.floor = float(np.mean(apart))
            self._floor_is = (
                f"measured: the mean of {draws} x {len(taken) // draws} training examples against the reference"
            )
        tensors = {"mean": self._reference.mean, "cov": self._reference.cov.contiguous()}
        stored.write(file, tensors, {"floor": self.floor, "floor_is": self._floor_is})

    def _cache_file(self, train: Dataset, reference: Dataset) -> Path | None:
        if self.extractor is None or not (train.fingerprint and reference.fingerprint):
            return None
        decides = [self.extractor.checksum, self.n, self._reference_count, self._seed, FLOOR_DRAWS]
        decides += [d.fingerprint for d in (train, reference)] + [d.split for d in (train, reference)]
        return stored.file_of("reference", decides)

    def _prepare_points(self, train: Dataset, test: Dataset | None) -> None:
        if test is None:
            # Real points for the floor must be others than the reference's, and as many.
            self.n = max(1, min(self.n, train.count // 2))
            chosen = _some(train, 2 * self.n, self._seed, shuffled=True)
            self._points, others = (_array(train, part) for part in (chosen[: self.n], chosen[self.n :]))
        else:
            self.n = min(self.n, train.count)
            self._points = _array(test, _some(test, self.n, self._seed))
            others = _array(train, _some(train, self.n, self._seed))
        self._reference_count = self.n
        self.floor = sliced_wasserstein(others, self._points, seed=self._seed)
        self._floor_is = f"measured: {self.n} other examples against the reference"


def _choose(
    train: Dataset,
    test: Dataset | None,
    seed: int,
    cache: bool,
    device: torch.device | str,
    say: Callable[[str], None] | None,
) -> tuple[Extractor, str, str]:
    why_not = _why_no_classifier(train)
    if why_not:
        return PixelExtractor(train.shape), "fd-pixels", f"fd-pixels, in coarse pixels, since {why_not}"
    assert train.labels is not None
    chosen = _some(train, max(1, min(60_000, 4 * BYTES // int(np.prod(train.shape)))), seed)
    held_out = None
    if test is not None and test.labels is not None:
        held = _some(test, MOST_READ, seed)
        held_out = (_array(test, held), test.labels[held])
    fitted: DomainExtractor = fit_domain(
        _array(train, chosen),
        train.labels[chosen],
        test=held_out,
        seed=seed,
        classes=_class_count(train, test),
        fingerprint=f"{train.fingerprint} {len(chosen)}" if train.fingerprint else None,
        cache=cache,
        device=device,
        say=say,
    )
    metric = f"fd-{train.name}"
    return (
        fitted,
        metric,
        f"{metric}, in a classifier of its own labels ({fitted.accuracy:.1%} right), since there are some",
    )


def _class_count(train: Dataset, test: Dataset | None) -> int:
    known = [len(train.classes)] if train.classes else []
    return max(known + [int(d.labels.max()) + 1 for d in (train, test) if d is not None and d.labels is not None])


def _why_no_classifier(train: Dataset) -> str | None:
    if train.labels is None:
        return "there are no labels"
    present = len(np.unique(train.labels))
    if present < 2:
        return "all examples have one label"
    if train.count < FEWEST_A_CLASS * present:
        return f"there are fewer than {FEWEST_A_CLASS} examples a class"
    if min(train.shape[1:]) < 4:
        return "the images are smaller than 4x4"
    return None


# --- reading ----------------------------------------------------------------------------------------


def _some(dataset: Dataset, most: int, seed: int, *, shuffled: bool = False) -> NDArray[np.int64]:
    """Choose indices of all examples, or of a seeded choice of `most` of them, in order unless shuffled."""
    if dataset.count <= most and not shuffled:
        return np.arange(dataset.count)
    order = np.random.Generator(np.random.PCG64([seed, dataset.count])).permutation(dataset.count)[:most]
    return order if shuffled else np.sort(order)


def _array(dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[Any]:
    if dataset.array is not None:
        # All of them in order: the array itself, not a copy of it.
        return dataset.array if len(indices) == dataset.count and _in_order(indices) else dataset.array[indices]
    assert dataset.read is not None
    return np.stack([dataset.read(int(i)) for i in indices])


def _in_order(indices: NDArray[np.int64]) -> bool:
    return bool((indices[1:] > indices[:-1]).all())


def _read(dataset: Dataset, indices: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    at = 0
    for count in _parts(len(indices), dataset.shape):
        yield _array(dataset, indices[at : at + count])
        at += count


def _parts(n: int, shape: tuple[int, ...]) -> Iterator[int]:
    size = max(1, BYTES // int(np.prod(shape)))
    while n > 0:
        yield min(n, size)
        n -= size


def _moments(extractor: Extractor, parts: Iterator[NDArray[Any]]) -> Gaussian:
    moments = Moments()
    for examples in parts:
        moments.update(extractor.features(examples))
    return moments.compute()
