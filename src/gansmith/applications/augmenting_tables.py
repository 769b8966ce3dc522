"""Rows made from few: the generator, the classifier that tells whether they help, and what needs no GAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.applications.benefit import PLAIN, Codes, Shares
from gansmith.applications.table import TableGAN
from gansmith.data.tables import Columns, column, listed, rows_of, taken
from gansmith.engine.listener import Listener
from gansmith.metrics.columns import numeric, plain
from gansmith.metrics.efficacy import Features

ROWS, EPOCHS = 1_200_000, (20, 300)
"""Rows that a generator's training is shown, in so many epochs at least and at most."""

TREES, NEIGHBOURS = 200, 5


class Rows:
    """Rows of a table of which one column is to be predicted.

    Args:
        target: that column; data are given without it.
        values: its values, by code.
        recipe: a method of `TableGAN`.
        epochs: passes of a generator over its rows; None is by their number.
        classifier: makes a scikit-learn classifier of a seed and whether classes are weighed; None is a random forest.
        device: where to train.
        uneven: classes are of unequal size, so that weighing them is a way.
    """

    words = "rows"

    def __init__(
        self, target: str, values: Sequence[Any], *, recipe: str = "auto", epochs: float | None = None,
        classifier: Callable[[int, bool], Any] | None = None, device: str = "auto", uneven: bool = True,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.target, self.values, self.recipe, self.epochs, self.device = target, list(values), recipe, epochs, device
        self.classifier, self.overrides = classifier or forest, dict(overrides or {})
        weights = {"class weights": None} if uneven else {}
        self.ways: Mapping[str, str | None] = {PLAIN: None, **weights, "SMOTE": None, "GAN": PLAIN}

    def take(self, data: Columns, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Some of the rows."""
        return taken(data, rows)

    def join(self, parts: Sequence[Columns]) -> dict[str, NDArray[Any]]:
        """Rows one after the other."""
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def generator(
        self, data: Columns, labels: Codes, seed: int, folder: Path, listeners: Sequence[Listener] = ()
    ) -> Callable[[int, int, int], dict[str, NDArray[Any]]]:
        """Train a table's GAN.

        Returns:
            (label, n, seed) → n rows, without the target.

        Raises:
            KeyboardInterrupt: the training was interrupted.
        """
        epochs = self.epochs or min(max(ROWS / rows_of(data), EPOCHS[0]), EPOCHS[1])
        whole = {**data, self.target: self._named(labels)}
        model = TableGAN(
            epochs=epochs, method=self.recipe, target=self.target, categories=self._kinds(whole), seed=seed,
            device=self.device, overrides={"snapshots": 1, **self.overrides},
        ).fit(whole, folder, listeners=listeners)  # fmt: skip

        def made(label: int, n: int, draw: int) -> dict[str, NDArray[Any]]:
            rows = model.columns(n, where={self.target: self._named(np.array([label])).tolist()[0]}, seed=draw)
            return {name: values for name, values in rows.items() if name != self.target}

        return made

    def _named(self, labels: Codes) -> NDArray[Any]:
        return column(self.values)[labels]

    def _kinds(self, columns: Columns) -> list[str]:
        return [self.target] if numeric(columns[self.target]) else []

    def judge(
        self, data: Columns, labels: Codes, seed: int, way: str = PLAIN, made: Columns | None = None,
        made_labels: Codes | None = None,
    ) -> Classifier:  # fmt: skip
        """Train a classifier, one of the ways; SMOTE makes as many of each class as the GAN has."""
        if way == "SMOTE" and made_labels is not None:
            made = smote(data, labels, made_labels, seed)
        if way in ("SMOTE", "GAN") and made is not None and made_labels is not None:
            data, labels = self.join([data, {name: made[name] for name in data}]), np.concatenate([labels, made_labels])
        return Classifier(self.classifier(seed, way == "class weights"), data, labels, len(self.values))


def forest(seed: int, weighed: bool) -> Any:
    """scikit-learn's random forest of 200 trees; where classes are weighed, by one over their share."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(TREES, random_state=seed, class_weight="balanced" if weighed else None)


class Classifier:
    """A classifier of scikit-learn's on rows as numbers.

    Args:
        model: not yet fitted.
        data: rows to fit it on.
        labels: their classes.
        classes: how many there are; who is shown fewer gives nought to the others.

    Attributes:
        count: rows that it was fitted on.
    """

    def __init__(self, model: Any, data: Columns, labels: Codes, classes: int) -> None:
        self.code, self.classes, self.count = Features(data, ""), classes, len(labels)
        self.model = model.fit(self.code(data), labels)

    def shares(self, data: Columns) -> Shares:
        """How sure it is of each class, [n, classes]."""
        out = np.zeros((rows_of(data), self.classes))
        out[:, self.model.classes_] = self.model.predict_proba(self.code(data))
        return out

    def features(self, data: Columns) -> NDArray[np.float64]:
        """Rows as numbers, [n, d]."""
        return self.code(data)


def smote(data: Columns, labels: Codes, wanted: Codes, seed: int) -> dict[str, NDArray[Any]]:
    """Rows between neighbours of a class: SMOTE, and SMOTE-NC where there are kinds.

    x + u (x' − x), u uniform in [0, 1], x' one of the five nearest of x's class; kinds are those of most of the five,
    and a number that one of the two has not is missing. Distances are of `Features`. Whole numbers are rounded.

    Chawla et al., 2002, Sections 4.2 and 6.1 (arXiv:1106.1813).

    Args:
        data: rows.
        labels: their classes.
        wanted: the class of each row that is to be made.
        seed: of it.
    """
    from sklearn.neighbors import NearestNeighbors

    random = np.random.default_rng(seed)
    x = Features(data, "")(data)
    out = {name: np.empty(len(wanted), values.dtype) for name, values in data.items()}
    for each in np.unique(wanted):
        mine, place = np.flatnonzero(labels == each), np.flatnonzero(wanted == each)
        k = min(NEIGHBOURS, len(mine) - 1)
        start = random.integers(len(mine), size=len(place))
        if k < 1:
            near = np.zeros((len(mine), 1), np.int64)
        else:
            near = NearestNeighbors(n_neighbors=k).fit(x[mine]).kneighbors(return_distance=False)
        end = near[start, random.integers(near.shape[1], size=len(place))]
        share = random.random(len(place))
        for name, values in data.items():
            own = values[mine]
            if numeric(values):
                a, b = plain(own)[start], plain(own)[end]
                out[name][place] = _as(a + share * (b - a), values.dtype)
            else:
                out[name][place] = _usual(own, near)[start]
    return out


def _as(numbers: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind in "iu":
        return np.rint(numbers).astype(dtype)
    if dtype.kind == "b":
        return numbers >= 0.5
    if dtype.kind == "M":
        return np.where(np.isnan(numbers), np.datetime64("NaT"), np.nan_to_num(numbers).astype("int64").astype(dtype))
    return numbers.astype(dtype)


def _usual(values: NDArray[Any], near: NDArray[np.int64]) -> NDArray[Any]:
    """The value that most of each row's neighbours have."""
    names = listed(values)
    out = np.empty(len(values), values.dtype)
    for row, those in enumerate(near):
        seen = [names[i] for i in those]
        out[row] = max(dict.fromkeys(seen), key=seen.count)
    return out
