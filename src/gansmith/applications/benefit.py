"""Whether made examples help a classifier: with and without, against what needs no GAN, with an interval and a verdict.

Knows neither pictures nor tables: a way of training is a name and a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Codes = NDArray[np.int64]
Shares = NDArray[np.float64]

PLAIN = "as it is"
"""The way with which all others are compared."""

DRAWS = 500
"""Times that the test examples are drawn again, for what their choice adds to an interval."""


class Gain(NamedTuple):
    """A mean difference of scores, and in what it lies with 95 %."""

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """The whole interval is above nought."""
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.mean:+.3f}, 95 % of it in {self.low:+.3f} to {self.high:+.3f}"


@dataclass(frozen=True)
class Row:
    """What one way of training gave.

    Attributes:
        way: its name.
        without: of one that was shown examples that the GAN made, the way that is the same without them; else None.
        scores: the score of each fold or seed.
        others: means of the other scores, by name.
        gain: over the plain way.
        by_made: over `without`.
    """

    way: str
    without: str | None
    scores: tuple[float, ...]
    others: Mapping[str, float]
    gain: Gain
    by_made: Gain | None = None

    @property
    def score(self) -> float:
        """The mean."""
        return float(np.mean(self.scores))


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
        by_name = {row.way: row for row in self.rows}
        made = max((row for row in self.rows if row.without is not None), key=lambda row: row.score)
        without, gain = by_name[made.without or PLAIN], made.by_made or made.gain
        plain = [row for row in self.rows[1:] if row.without is None]
        best = max(plain, key=lambda row: row.score, default=None)
        word = "helped" if gain.sure else "harmed" if gain.high < 0 else "did not surely help"
        said = f"Made examples {word}: {self.measure} {made.score:.3f} with them ({made.way}), "
        said += f"{without.score:.3f} without ({without.way}; {gain})"
        if best is None or (not gain.sure and not best.gain.sure):
            return said + ("." if gain.sure else "; nor did anything else that was tried.")
        if not gain.sure:
            return said + f"; {best.way} did: {best.score:.3f}, over {self.rows[0].score:.3f} ({best.gain})."
        if best.score < made.score:
            return said + f"; of what needs no GAN, {best.way} gave {best.score:.3f}."
        return said + f"; but {best.way}, which needs no GAN, gave {best.score:.3f}: take that."

    def __str__(self) -> str:
        others = list(self.rows[0].others)
        head = ["", self.measure, "gain", "95 %", "by the GAN", "95 %", *others]
        lines = [
            [
                row.way, f"{row.score:.3f}", *_cells(None if row is self.rows[0] else row.gain), *_cells(row.by_made),
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
                    "way": row.way, "without": row.without, "score": row.score, "scores": list(row.scores),
                    "gain": row.gain._asdict(), "by_made": row.by_made._asdict() if row.by_made else None, **row.others,
                }
                for row in self.rows
            ],
        }  # fmt: skip


def _cells(gain: Gain | None) -> list[str]:
    return ["", ""] if gain is None else [f"{gain.mean:+.3f}", f"{gain.low:+.3f} to {gain.high:+.3f}"]


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


def over_folds(gains: Sequence[float], train: int, test: int) -> Gain:
    """A mean difference over the folds of a cross-validation.

    mean ± t₀.₉₇₅(k − 1) √((1/k + n_test/n_train) s²): folds share their training examples, so that s²/k alone is too
    small (Nadeau and Bengio, 2003, Machine Learning 52, Section 4.3).

    Args:
        gains: [k], a difference for each fold.
        train: examples that are trained on, over all folds.
        test: examples that are tested on, over all folds.
    """
    return _around(gains, float(np.var(gains, ddof=1)) * (1 / len(gains) + test / train), len(gains) - 1)


def over_seeds(gains: Sequence[float], resampled: Iterable[float]) -> Gain:
    """A mean difference over seeds, on one test set; its interval is by their variance and that of the set's choice.

    s²/k + b, at the degrees of freedom of Welch and Satterthwaite, b having been estimated from many draws.

    Args:
        gains: [k], a difference for each seed.
        resampled: the mean difference over seeds, for test examples that were drawn again.
    """
    seeds, choice = float(np.var(gains, ddof=1)) / len(gains), float(np.var(list(resampled), ddof=1))
    whole = seeds + choice
    return _around(gains, whole, (len(gains) - 1) * (whole / seeds) ** 2 if seeds else np.inf)


def _around(gains: Sequence[float], variance: float, freedom: float) -> Gain:
    middle, wide = float(np.mean(gains)), float(student.ppf(0.975, freedom)) * variance**0.5
    return Gain(middle, middle - wide, middle + wide)


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
    folds: Sequence[Fold], ways: Mapping[str, str | None], scores: Mapping[str, Score], how: str, *, same: bool
) -> Trial:
    """Put what folds gave into a table.

    Args:
        folds: two or more.
        ways: the plain one first; of each that was shown made examples, the one that is the same without them.
        scores: the one first that is judged by.
        how: by what it was measured.
        same: the folds are seeds on one test set, not parts of the data.
    """
    measure, *others = scores
    found = {way: [scores[measure](fold.truth, fold.shares[way]) for fold in folds] for way in ways}
    plain = next(iter(ways))

    def over(way: str, base: str) -> Gain:
        gains = [a - b for a, b in zip(found[way], found[base], strict=True)]
        if same:
            return over_seeds(gains, _resampled(folds, way, base, scores[measure]))
        return over_folds(gains, sum(fold.train for fold in folds), sum(len(fold.truth) for fold in folds))

    rows: list[Row] = []
    for way, without in ways.items():
        rest = {o: float(np.mean([scores[o](fold.truth, fold.shares[way]) for fold in folds])) for o in others}
        gain = Gain(0.0, 0.0, 0.0) if way == plain else over(way, plain)
        rows.append(Row(way, without, tuple(found[way]), rest, gain, over(way, without) if without else None))
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
