"""Train on synthetic, test on real: what classifiers learn from made rows, in the words of the real task."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.tables import Columns, listed, named
from gansmith.errors import Refused
from gansmith.metrics.columns import numeric, plain

CLASSIFIERS = ("AdaBoost", "decision tree", "logistic regression", "MLP")
"""scikit-learn's, at its defaults."""


class Features:
    """Columns as numbers for a classifier: numbers standardised, kinds one-hot, what is missing a number of its own.

    Everything is learnt from the rows that a classifier is trained on; a kind that they have not is all zeros.

    Args:
        columns: those rows.
        target: the column that is left out.
    """

    def __init__(self, columns: Columns, target: str) -> None:
        self.parts: list[tuple[str, Any]] = []
        for name, values in columns.items():
            if name == target:
                continue
            if numeric(values):
                x = plain(values)
                there = x[~np.isnan(x)]
                scale = float(there.std()) if len(there) else 1.0
                self.parts.append((name, (float(there.mean()) if len(there) else 0.0, scale or 1.0)))
            else:
                kinds = dict.fromkeys(listed(values))
                self.parts.append((name, {kind: i for i, kind in enumerate(kinds)}))

    def __call__(self, columns: Columns) -> NDArray[np.float64]:
        """[N, features]."""
        out: list[NDArray[np.float64]] = []
        for name, code in self.parts:
            values = columns[name]
            if isinstance(code, tuple):
                x = plain(values)
                lost = np.isnan(x)
                out += [np.where(lost, 0.0, (x - code[0]) / code[1])[:, None], lost[:, None].astype(np.float64)]
            else:
                index = np.array([code.get(value, len(code)) for value in listed(values)], np.int64)
                out.append(np.eye(len(code) + 1, len(code))[index])
        return np.hstack(out)


def efficacy(
    train: Columns, test: Columns, target: str, positive: Any, *, classifiers: tuple[str, ...] = CLASSIFIERS
) -> dict[str, float]:
    """F1 of one class of real rows, by each of four classifiers that were trained on other rows.

    Xu et al., 2019, Section 5.1 (arXiv:1907.00503), with scikit-learn's defaults and `random_state=0`; columns as of
    `Features`.

    Args:
        train: rows to train on, synthetic ones for the most part.
        test: real rows that nothing was trained on.
        target: the column to predict.
        positive: the class that F1 is of.
        classifiers: which.

    Raises:
        Refused: no such column or class, or one class only to train on.
    """
    named(train, [target], "target")
    named(test, [target], "target")
    y, truth = (np.array([v == positive for v in columns[target].tolist()]) for columns in (train, test))
    if not truth.any():
        raise Refused(f"target: no row to test with has {target} = {positive!r}")
    if y.all() or not y.any():
        return dict.fromkeys(classifiers, 0.0)  # who has seen one class only never finds the other
    features = Features(train, target)
    x, x_test = features(train), features(test)
    known = _known()
    return {name: f1(truth, _fitted(known[name](), x, y).predict(x_test)) for name in classifiers}


def f1(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """2 TP / (2 TP + FP + FN), 0 where nothing is right."""
    hit = int((truth & found).sum())
    return 2 * hit / max(int(truth.sum()) + int(found.sum()), 1)


def _known() -> dict[str, Callable[[], Any]]:
    # Imported here: scikit-learn takes a second to load.
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.tree import DecisionTreeClassifier

    makes = (
        lambda: AdaBoostClassifier(random_state=0),
        lambda: DecisionTreeClassifier(random_state=0),
        lambda: LogisticRegression(random_state=0),
        lambda: MLPClassifier(random_state=0),
    )
    return dict(zip(CLASSIFIERS, makes, strict=True))


def _fitted(classifier: Any, x: NDArray[np.float64], y: NDArray[np.bool_]) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at its defaults an MLP stops after 200 rounds
        return classifier.fit(x, y)
