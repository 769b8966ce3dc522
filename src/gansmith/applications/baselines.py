"""Detectors of anomalies that need no GAN, to be compared with those that do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

Scores = NDArray[np.float64]
Baseline = Callable[[NDArray[Any], NDArray[Any], int], Scores]
"""(normal examples [n, D], examples [m, D], seed) → how anomalous each of the latter is, [m]."""


def isolation_forest(fit: NDArray[Any], test: NDArray[Any], seed: int) -> Scores:
    """scikit-learn's, at its defaults."""
    return -IsolationForest(random_state=seed).fit(fit).score_samples(test)


def nearest_neighbours(fit: NDArray[Any], test: NDArray[Any], seed: int) -> Scores:
    """Distance to the fifth nearest normal example."""
    return NearestNeighbors(n_neighbors=min(5, len(fit))).fit(fit).kneighbors(test)[0][:, -1]


def principal_components(fit: NDArray[Any], test: NDArray[Any], seed: int) -> Scores:
    """Squared distance from the plane that holds 90 % of the variance."""
    plane = PCA(0.9, svd_solver="full").fit(fit)
    return np.square(test - plane.inverse_transform(plane.transform(test))).sum(1)


BASELINES: dict[str, Baseline] = {
    "isolation forest": isolation_forest, "k nearest neighbours": nearest_neighbours, "PCA": principal_components,
}  # fmt: skip


def beside(
    fit: NDArray[Any], test: NDArray[Any], seed: int = 0, names: Collection[str] = tuple(BASELINES)
) -> dict[str, Scores]:
    """The baselines' scores of examples [m, …]: of tables with columns standardised, of images not."""
    one, other = (part.reshape(len(part), -1).astype(np.float64) for part in (fit, test))
    if fit.ndim == 2:
        scaler: Any = StandardScaler().fit(one)
        one, other = scaler.transform(one), scaler.transform(other)
    return {name: BASELINES[name](one, other, seed) for name in names}


class Row(NamedTuple):
    """A detector's line in a comparison: area under the ROC curve, and average precision."""

    detector: str
    auroc: float
    ap: float


@dataclass(frozen=True)
class Comparison:
    """Detectors on the same data.

    Attributes:
        rows: the GAN's first.
        verdict: one sentence: which is better, or that none is surely so.
        of: what they were compared on.
    """

    rows: tuple[Row, ...]
    verdict: str
    of: str

    def __str__(self) -> str:
        width = max(len(row.detector) for row in self.rows)
        lines = [
            f"{'':{width}}  AUROC     AP",
            *(f"{r.detector:{width}}  {r.auroc:.3f}  {r.ap:.3f}" for r in self.rows),
        ]
        return "\n".join([f"compared on {self.of}:", *lines, self.verdict])


def compare(name: str, own: Scores, others: dict[str, Scores], anomalous: NDArray[np.bool_], of: str) -> Comparison:
    """Compare scores of the same examples, higher being more anomalous.

    Args:
        name: of the GAN's method.
        own: its scores [n].
        others: the baselines' scores by name.
        anomalous: which examples are, [n].
        of: what the examples are, for people.
    """
    every = {f"GAN ({name})": own, **others}
    rows = tuple(
        Row(who, float(roc_auc_score(anomalous, s)), float(average_precision_score(anomalous, s)))
        for who, s in every.items()
    )
    best = max(rows[1:], key=lambda row: row.auroc)
    low, high = _difference(own, others[best.detector], anomalous)
    between = f"AUROC {rows[0].auroc:.3f} against {best.auroc:.3f}, 95 % of the difference in {low:+.3f} to {high:+.3f}"
    if low > 0:
        verdict = f"The GAN is better than each baseline here ({best.detector} is next: {between})."
    elif high < 0:
        verdict = f"A baseline is better here: {best.detector} ({between}). It is simpler too: take it."
    else:
        verdict = f"The GAN and {best.detector} cannot be told apart here ({between}); the baseline is the simpler one."
    return Comparison(rows, verdict, of)


def _difference(own: Scores, other: Scores, anomalous: NDArray[np.bool_], draws: int = 200) -> tuple[float, float]:
    """An interval of the difference of two areas, by drawing normal and anomalous examples again."""
    random = np.random.default_rng(0)
    normal, odd = np.flatnonzero(~anomalous), np.flatnonzero(anomalous)
    found: list[float] = []
    for _ in range(draws):
        rows = np.concatenate([random.choice(normal, len(normal)), random.choice(odd, len(odd))])
        truth = anomalous[rows]
        found.append(float(roc_auc_score(truth, own[rows]) - roc_auc_score(truth, other[rows])))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def exchanged(data: NDArray[Any], seed: int) -> NDArray[Any]:
    """Made anomalies: rows whose columns are those of other rows; images with a quarter that is another's."""
    random = np.random.default_rng(seed)
    made = data.copy()
    if data.ndim == 2:
        for column in range(data.shape[1]):
            made[:, column] = made[random.permutation(len(data)), column]
        return made
    height, width = data.shape[2] // 2, data.shape[3] // 2
    for i, other in enumerate(random.permutation(len(data))):
        top, left = random.integers(data.shape[2] - height + 1), random.integers(data.shape[3] - width + 1)
        made[i, :, top : top + height, left : left + width] = data[other, :, top : top + height, left : left + width]
    return made
