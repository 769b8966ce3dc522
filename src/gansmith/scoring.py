"""Scores a run's data allow: the splits to score against, and a sampler as a scorer wants it.

Lies between the metrics, which know no sampler, and what trains and evaluates, which know both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith import ranking
from gansmith.data import CATALOGUE, Dataset, open_dataset
from gansmith.engine.held import Held
from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.fields import Data
from gansmith.media import slerp
from gansmith.metrics import choice
from gansmith.metrics.measure import Walk, wanted
from gansmith.metrics.score import Drawn, Sample, Scorer, numbers
from gansmith.recipe import Recipe
from gansmith.scores import Score

LOOKED_AT = 1000
"""Held-out examples of which a game's own numbers are averaged, at most."""


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


def held_out(data: Dataset, recipe: Recipe, *, opened: bool = True) -> Dataset | None:
    """The unseen split, for the watch and the duality gap, where it lies on this machine and the recipe asks for it.

    A training that adapts itself by what it sees must not see what it will be scored against, and gets none.

    Args:
        data: the training data.
        recipe: says whether either is wanted.
        opened: as of `unseen_split`.
    """
    here = recipe.data.source in CATALOGUE or Path(str(recipe.data.source)).exists()
    if not here or (recipe.on_trouble != "say" and recipe.duality_gap is None):
        return None
    return unseen_split(data, recipe.data, opened=opened)


def check_metrics(names: Sequence[str], data: Dataset) -> None:
    """Refuse metrics that do not exist, before a training begins.

    Raises:
        Refused: an unknown metric or extractor, with the nearest known one.
    """
    for name in names:
        wanted(name, choice.extractors(data))


def labels_for(sampler: Sampler, scorer: Scorer, n: int, seed: int) -> NDArray[Any] | None:
    """Labels or conditions for a generator's samples, as frequent as in the data; None where it takes none of these."""
    if sampler.conditions is not None:
        return scorer.conditions(n, seed=seed)
    return scorer.labels(n, seed=seed) if sampler.labelled else None


def samples_of(sampler: Sampler, scorer: Scorer) -> Sample:
    """Samples of a generator for a scorer, its labels as frequent as in the data."""

    def draw(n: int, seed: int) -> Drawn:
        labels = labels_for(sampler, scorer, n, seed)
        return Drawn(sampler.decode(sampler.latents(n, seed), labels), labels if sampler.labelled else None)

    return draw


def path_of(sampler: Sampler, scorer: Scorer) -> Walk:
    """Neighbours on random arcs through a generator's latent space."""

    def walk(n: int, epsilon: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = labels_for(sampler, scorer, n, seed)
        # In float32 the steps would drown in rounding; and on the sphere, since an arc between two lengths bends.
        ends = sampler.latents(2 * n, seed).astype(np.float64)
        lengths = np.linalg.norm(ends, axis=1, keepdims=True)
        start, stop = np.split(ends / lengths, 2)
        at = np.random.Generator(np.random.PCG64([seed, 2])).random((n, 1))
        one, other = ((slerp(start, stop, t) * lengths[:n]).astype(np.float32) for t in (at, at + epsilon))
        return sampler.render(one, labels), sampler.render(other, labels)

    return walk


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


def held_scores(held: Held, n: int | None = None) -> list[Score]:
    """A game's own numbers of held-out examples, as scores, the chief first.

    Args:
        held: the game and the examples.
        n: how many of them; None is all, up to a thousand.
    """
    data = held.dataset
    n = min(n or LOOKED_AT, data.count)
    card = {
        "samples": n, "reference_samples": n, "reference": data.name, "reference_split": data.split,
        "reference_fingerprint": data.fingerprint,
    }  # fmt: skip
    return [
        Score(
            name, mean.value, held.better[name], {"measure": name, "better": held.better[name], **card},
            mean.error, "standard error of the mean over examples",
        )
        for name, mean in held.numbers(n).items()
    ]  # fmt: skip


class HeldScoring:
    """Scores of a game that makes nothing of noise alone, at a snapshot: its own numbers of held-out examples.

    Args:
        recipe: says of how many examples.
        ready: told the scores' cards, by name, once there are some.
    """

    def __init__(self, recipe: Recipe, ready: Callable[[Mapping[str, Mapping[str, Any]]], None]) -> None:
        self._recipe, self._ready = recipe, ready
        self._cards: Mapping[str, Mapping[str, Any]] = {}

    def __call__(self, sampler: Sampler) -> Mapping[str, float]:
        """The numbers, the chief first."""
        assert sampler.held is not None
        found = held_scores(sampler.held, self._recipe.eval_samples)
        if found and not self._cards:
            self._cards = {score.name: score.card for score in found}
            self._ready(self._cards)
        return numbers(found)

    def cost(self, scores: Mapping[str, float]) -> float:
        """What a checkpoint's scores are ranked by, lower being better."""
        name, value = next(iter(scores.items()))
        return ranking.cost(value, self._cards.get(name))
