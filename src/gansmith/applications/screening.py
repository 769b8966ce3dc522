"""Which made examples are kept: those of the class that they were made as, neither copies nor far from everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gansmith.applications.benefit import Codes, Shares

COPY, FAR = 0.01, 0.99
"""Shares of real examples that are nearer to their nearest neighbour than a copy is, and than a stray one is."""

REASONS: tuple[str, ...] = ("another class", "a copy", "far from all")


class Judge(Protocol):
    """A classifier that was trained on real examples."""

    def shares(self, data: Any) -> Shares:
        """How sure it is of each class, [n, classes]."""
        ...

    def features(self, data: Any) -> NDArray[np.float64]:
        """What distances are taken in, [n, d]."""
        ...


@dataclass(frozen=True)
class Screened:
    """What was found of made examples.

    Attributes:
        reason: 0 of those that may be used; of others the place in `REASONS`, from 1, [n].
        share: how sure the judge is of the class that each was made as, [n].
        nearest: the training example that each is nearest to, of its own class, [n].
        distance: to it, [n].
    """

    reason: NDArray[np.int64]
    share: NDArray[np.float64]
    nearest: NDArray[np.int64]
    distance: NDArray[np.float64]


class Screen:
    """Judges made examples by real ones.

    An example is of another class where p(c | x) / p(c) is largest for that (a rare class would else never be
    named); a copy where its distance to the nearest real example of its class is below the hundredth part of the
    distances of real examples to their own nearest neighbours; and far where it is above 99 of a hundred of them.

    Args:
        judge: trained on the real examples.
        data: the real examples.
        labels: their classes, int64 [n].
        classes: how many there are.
    """

    def __init__(self, judge: Judge, data: Any, labels: Codes, classes: int) -> None:
        self.judge, self.labels = judge, labels
        self.prior = np.maximum(np.bincount(labels, minlength=classes), 1) / len(labels)
        self.features = judge.features(data)
        self._known: dict[int, tuple[Any, float, float]] = {}

    def __call__(self, data: Any, labels: Codes) -> Screened:
        """Judge examples that were made as `labels` says."""
        shares = self.judge.shares(data)
        features = self.judge.features(data)
        named = (shares / self.prior).argmax(1)
        nearest, distance = np.zeros(len(labels), np.int64), np.zeros(len(labels))
        copies, strays = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
        for each in np.unique(labels):
            mine = labels == each
            tree, low, high = self._neighbours(int(each))
            found, place = tree.kneighbors(features[mine], 1)
            nearest[mine] = np.flatnonzero(self.labels == each)[place[:, 0]]
            distance[mine] = found[:, 0]
            copies[mine], strays[mine] = found[:, 0] < low, found[:, 0] > high
        reason = np.select([named != labels, copies, strays], [1, 2, 3], 0)
        return Screened(reason, shares[np.arange(len(labels)), labels], nearest, distance)

    def _neighbours(self, label: int) -> tuple[Any, float, float]:
        if label not in self._known:
            from sklearn.neighbors import NearestNeighbors

            mine = self.features[self.labels == label]
            tree = NearestNeighbors(n_neighbors=1).fit(mine)
            if len(mine) > 1:
                own = tree.kneighbors(n_neighbors=1)[0][:, 0]
                low, high = (float(np.quantile(own, q)) for q in (COPY, FAR))
            else:
                low, high = 0.0, np.inf
            self._known[label] = tree, low, high
        return self._known[label]
