"""Whether made examples help a classifier: with and without, against what needs no GAN, with an interval and a verdict.

Knows neither pictures nor tables: a way of training is a name and a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Codes = NDArray[np.int64]
Shares = NDArray[np.float64]

PLAIN = "as it is"
"""The way with which all others are compared."""

DRAWS = 500
"""Times that the test examples are drawn again, for what their choice adds to an interval."""


@dataclass(frozen=True)
class Row:
    """What one way of training gave.

    Attributes:
        way: its name.
        made: it was shown examples that the GAN made.
        scores: the score of each fold or seed.
        others: means of the other scores, by name.
        gain: the mean difference from the plain way.
        interval: in which that difference lies with 95 %.
    """

    way: str
    made: bool
    scores: tuple[float, ...]
    others: Mapping[str, float]
    gain: float
    interval: tuple[float, float]

    @property
    def score(self) -> float:
        """The mean."""
        return float(np.mean(self.scores))

    @property
    def helps(self) -> bool:
        """The interval is above nought."""
        return self.interval[0] > 0


@dataclass(frozen=True)
class Trial:
    """Ways of training a classifier, by the same folds.

    Attributes:
        measure: what the score is.
        rows: the plain way's first.
        how: by what it was measured, for people.
    """

    measure: str
    rows: tuple[Row, ...]
    how: str

    @property
    def verdict(self) -> str:
        """One sentence: how much the made examples helped, or that they did not, and what did."""
        base = self.rows[0]
        made = max((row for row in self.rows if row.made), key=lambda row: row.score)
        rest = [row for row in self.rows[1:] if not row.made]
        best = max(rest, key=lambda row: row.score, default=None)
        if not made.helps:
            worse = "harmed" if made.interval[1] < 0 else "did not surely help"
            said = f"Made examples {worse}: {self.measure} {made.score:.3f} with them ({made.way}), "
            said += f"{base.score:.3f} without ({_difference(made)})"
            if best is None or not best.helps:
                return said + "; nor did anything else that was tried."
            return said + f"; {best.way} did: {best.score:.3f} ({_difference(best)})."
        said = f"Made examples helped: {self.measure} {made.score:.3f} with them ({made.way}), "
        said += f"{base.score:.3f} without ({_difference(made)})"
        if best is None or best.score < made.score:
            return said + ("." if best is None else f"; of what needs no GAN, {best.way} gave {best.score:.3f}.")
        return said + f"; but {best.way}, which needs no GAN, gave {best.score:.3f}: take that."

    def __str__(self) -> str:
        others = list(self.rows[0].others)
        head = ["", self.measure, "gain", "95 %", *others]
        lines = [
            [
                row.way, f"{row.score:.3f}", "" if row is self.rows[0] else f"{row.gain:+.3f}",
                "" if row is self.rows[0] else f"{row.interval[0]:+.3f} to {row.interval[1]:+.3f}",
                *(f"{row.others[name]:.3f}" for name in others),
            ]
            for row in self.rows
        ]  # fmt: skip
        widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
        said = ["  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in (head, *lines)]
        return "\n".join([f"measured {self.how}:", *said])

    def plain(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "measure": self.measure, "how": self.how, "verdict": self.verdict,
            "rows": [
                {
                    "way": row.way, "score": row.score, "scores": list(row.scores), "gain": row.gain,
                    "interval": list(row.interval), **row.others,
                }
                for row in self.rows
            ],
        }  # fmt: skip


def _difference(row: Row) -> str:
    return f"{row.gain:+.3f}, 95 % of it in {row.interval[0]:+.3f} to {row.interval[1]:+.3f}"


# --- scores ----------------------------------------------------------------------------------------


def accuracy(truth: Codes, shares: Shares) -> float:
    """Share of examples that are named rightly."""
    return float((shares.argmax(1) == truth).mean())


def balanced_accuracy(truth: Codes, shares: Shares) -> float:
    """Mean over classes of the share of a class that is named rightly; classes without an example are left out."""
    right = shares.argmax(1) == truth
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


def average_precision(truth: Codes, shares: Shares, focus: int) -> float:
    """Average precision of finding one class, by its share."""
    from sklearn.metrics import average_precision_score

    is_it = truth == focus
    return float(average_precision_score(is_it, shares[:, focus])) if is_it.any() else 0.0


def f1_of(truth: Codes, shares: Shares, focus: int) -> float:
    """F1 of one class."""
    from gansmith.metrics.efficacy import f1

    return f1(truth == focus, shares.argmax(1) == focus)


Score = Callable[[Codes, Shares], float]


def scores_for(focus: int | None, name: str | None = None) -> dict[str, Score]:
    """The scores that a trial tells, the one first by which it judges.

    A rare class is judged by its average precision, which no moving of a threshold changes; several classes by the
    balanced accuracy.

    Args:
        focus: the class that matters; None where all do.
        name: the score that is judged by, of those below.
    """
    known: dict[str, Score]
    if focus is None:
        known = {"balanced accuracy": balanced_accuracy, "accuracy": accuracy}
    else:
        known = {
            "average precision": lambda truth, shares: average_precision(truth, shares, focus),
            "F1": lambda truth, shares: f1_of(truth, shares, focus),
            "balanced accuracy": balanced_accuracy,
        }
    if name is not None:
        known = {name: known[name], **known}
    return known


# --- intervals -------------------------------------------------------------------------------------


def over_folds(gains: Sequence[float], train: int, test: int) -> tuple[float, float]:
    """95 % interval of a mean difference over the folds of a cross-validation.

    mean ± t₀.₉₇₅(k − 1) √((1/k + n_test/n_train) s²): folds share their training examples, so that s²/k alone is too
    small (Nadeau and Bengio, 2003, Machine Learning 52, Section 4.3).

    Args:
        gains: [k], a difference for each fold.
        train: examples that are trained on, over all folds.
        test: examples that are tested on, over all folds.
    """
    return _around(gains, float(np.var(gains, ddof=1)) * (1 / len(gains) + test / train))


def over_seeds(gains: Sequence[float], resampled: Iterable[float]) -> tuple[float, float]:
    """95 % interval of a mean difference over seeds, on one test set: that of the seeds and that of its choice, summed.

    Args:
        gains: [k], a difference for each seed.
        resampled: the mean difference over seeds, for test examples that were drawn again.
    """
    return _around(gains, float(np.var(gains, ddof=1)) / len(gains) + float(np.var(list(resampled), ddof=1)))


def _around(gains: Sequence[float], variance: float) -> tuple[float, float]:
    middle, wide = float(np.mean(gains)), float(student.ppf(0.975, len(gains) - 1)) * variance**0.5
    return middle - wide, middle + wide


@dataclass(frozen=True)
class Fold:
    """What the ways gave on one set of test examples.

    Attributes:
        truth: codes of the classes, int64 [n].
        shares: of each way, how sure it is of each class, [n, classes].
        train: examples that were trained on.
    """

    truth: Codes
    shares: Mapping[str, Shares]
    train: int


def judged(
    folds: Sequence[Fold], made: Mapping[str, bool], scores: Mapping[str, Score], how: str, *, same: bool
) -> Trial:
    """Put what folds gave into a table.

    Args:
        folds: two or more.
        made: the ways, and whether each was shown made examples; the plain one first.
        scores: the one first that is judged by.
        how: by what it was measured.
        same: the folds are seeds on one test set, not parts of the data.
    """
    measure, *others = scores
    found = {way: [scores[measure](fold.truth, fold.shares[way]) for fold in folds] for way in made}
    base = next(iter(made))
    rows: list[Row] = []
    for way, is_made in made.items():
        gains = [a - b for a, b in zip(found[way], found[base], strict=True)]
        if way == base:
            between = (0.0, 0.0)
        elif same:
            between = over_seeds(gains, _resampled(folds, way, base, scores[measure]))
        else:
            between = over_folds(gains, sum(f.train for f in folds), sum(len(f.truth) for f in folds))
        rest = {o: float(np.mean([scores[o](fold.truth, fold.shares[way]) for fold in folds])) for o in others}
        rows.append(Row(way, is_made, tuple(found[way]), rest, float(np.mean(gains)), between))
    return Trial(measure, tuple(rows), how)


def _resampled(folds: Sequence[Fold], way: str, base: str, score: Score) -> list[float]:
    random = np.random.default_rng(0)
    truth = folds[0].truth
    classes = [np.flatnonzero(truth == c) for c in np.unique(truth)]
    out: list[float] = []
    for _ in range(DRAWS):
        rows = np.concatenate([random.choice(each, len(each)) for each in classes])
        both = [[score(truth[rows], fold.shares[each][rows]) for fold in folds] for each in (way, base)]
        out.append(float(np.mean(both[0]) - np.mean(both[1])))
    return out
