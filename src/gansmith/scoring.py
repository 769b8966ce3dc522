"""Scores a run's data allow: the splits to score against, and a sampler as a scorer wants it.

Lies between the metrics, which know no sampler, and what trains and evaluates, which know both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gansmith import ranking
from gansmith.data import Dataset, open_dataset
from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.metrics import choice
from gansmith.metrics.measure import Walk, wanted
from gansmith.metrics.score import Drawn, Sample, Scorer, numbers
from gansmith.recipe import Data, Recipe


def unseen_split(data: Dataset, spec: Data, *, opened: bool = True) -> Dataset | None:
    """The split that a training on these data never saw; None where there is none.

    Args:
        data: the training data.
        spec: the recipe's data options.
        opened: whether the data are what the options open to. A Python user's own dataset may bear the name of
            another: only that one's test split is meant.
    """
    if spec.split != "train":
        return None
    try:
        if not opened and open_dataset(spec).fingerprint != data.fingerprint:
            return None
        test = open_dataset(spec.model_copy(update={"split": "test", "limit": None, "mirror": False}))
    except Refused:  # most folders know no splits
        return None
    return None if test.fingerprint == data.fingerprint else test


def check_metrics(names: Sequence[str], data: Dataset) -> None:
    """Refuse metrics that do not exist, before a training begins.

    Raises:
        Refused: an unknown metric or extractor, with the nearest known one.
    """
    for name in names:
        wanted(name, choice.extractors(data))


def samples_of(sampler: Sampler, scorer: Scorer) -> Sample:
    """Samples of a generator for a scorer, its labels as frequent as in the data."""

    def draw(n: int, seed: int) -> Drawn:
        labels = scorer.labels(n, seed=seed) if sampler.classes is not None else None
        return Drawn(sampler.decode(sampler.latents(n, seed), labels), labels)

    return draw


def path_of(sampler: Sampler, scorer: Scorer) -> Walk:
    """Neighbours on random arcs through a generator's latent space."""

    def walk(n: int, epsilon: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = scorer.labels(n, seed=seed) if sampler.classes is not None else None
        ends = sampler.latents(2 * n, seed).astype(np.float64)
        at = np.random.Generator(np.random.PCG64([seed, 2])).random((n, 1))
        one, other = (_arc(ends[:n], ends[n:], t) for t in (at, at + epsilon))
        return sampler.render(one, labels), sampler.render(other, labels)

    return walk


def _arc(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Spherical interpolation of normal vectors, row by row (White, 2016, arXiv:1609.04468), in float64.

    In float32 the steps of a path length would drown in rounding.
    """
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    angle = np.arccos(np.clip((one * other).sum(1, keepdims=True), -1, 1))
    mixed = (np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle)
    return (mixed * np.linalg.norm(a, axis=1, keepdims=True)).astype(np.float32)


class Scoring:
    """Scores snapshots: makes its scorer at the first one, since fitting a classifier takes a while.

    Args:
        recipe: says which metrics, of how many samples.
        data: the training data, with the labels that the networks may not be told of.
        opened: whether they are what the recipe's data open to.
        conditional: whether samples come with labels.
        device: where features are computed.
        ready: told the scores' cards, by name, once there are some.
        failed: told why there can be no scores.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        *,
        opened: bool,
        conditional: bool,
        device: torch.device,
        ready: Callable[[Mapping[str, Mapping[str, Any]]], None],
        failed: Callable[[str], None],
    ) -> None:
        self._recipe, self._data, self._opened = recipe, data, opened
        self._conditional, self._device = conditional, device
        self._ready, self._failed = ready, failed
        self._scorer: Scorer | None = None
        self._cards: Mapping[str, Mapping[str, Any]] = {}
        self._off = False

    def __call__(self, sampler: Sampler) -> Mapping[str, float]:
        """The scores of a snapshot; none where the data allow none."""
        if self._off:
            return {}
        try:
            if self._scorer is None:
                self._scorer = self._make()
            found = self._scorer.evaluate(samples_of(sampler, self._scorer), path=path_of(sampler, self._scorer))
            if found and not self._cards:
                self._cards = {score.name: score.card for score in found}
                self._ready(self._cards)
            return numbers(found)
        except Refused as error:
            self._off = True
            self._failed(error.what)
            return {}

    def cost(self, scores: Mapping[str, float]) -> float:
        """What a checkpoint's scores are ranked by, lower being better."""
        name, value = next(iter(scores.items()))
        return ranking.cost(value, self._cards.get(name))

    def _make(self) -> Scorer:
        recipe = self._recipe
        test = unseen_split(self._data, recipe.data, opened=self._opened)
        return Scorer(
            self._data, test, metrics=recipe.metrics, labelled=self._conditional, n=recipe.eval_samples,
            device=self._device,
        )  # fmt: skip
