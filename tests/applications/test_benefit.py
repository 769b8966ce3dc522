"""Scores, intervals and verdicts against scikit-learn, closed forms and simulation."""

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score

from gansmith.applications.benefit import (
    PLAIN,
    Fold,
    Gain,
    Row,
    Trial,
    accuracy,
    average_precision,
    balanced_accuracy,
    f1_of,
    judged,
    over_folds,
    over_seeds,
    scores_for,
)


def shares(n=60, classes=3, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(classes, size=n), random.dirichlet(np.ones(classes), n)


def test_scores_are_scikit_learns():
    truth, found = shares()
    assert accuracy(truth, found) == pytest.approx((found.argmax(1) == truth).mean())
    assert balanced_accuracy(truth, found) == pytest.approx(balanced_accuracy_score(truth, found.argmax(1)))
    assert average_precision(truth, found, 1) == pytest.approx(average_precision_score(truth == 1, found[:, 1]))
    assert f1_of(truth, found, 2) == pytest.approx(f1_score(truth == 2, found.argmax(1) == 2))
    assert average_precision(truth[truth != 1], found[truth != 1], 1) == 0


def test_what_is_judged_by():
    assert list(scores_for(None)) == ["balanced accuracy", "accuracy"]
    assert list(scores_for(1)) == ["average precision", "F1", "balanced accuracy"]
    assert list(scores_for(1, "F1")) == ["F1", "average precision", "balanced accuracy"]
    truth, found = shares()
    assert scores_for(2)["F1"](truth, found) == f1_of(truth, found, 2)


def test_the_interval_over_folds_is_the_published_one():
    gains = [0.02, 0.05, -0.01, 0.03, 0.04]
    wide = t.ppf(0.975, 4) * np.sqrt((1 / 5 + 20 / 80) * np.var(gains, ddof=1))
    assert over_folds(gains, 80, 20) == pytest.approx((0.026, 0.026 - wide, 0.026 + wide))


def test_the_interval_over_seeds_is_students_and_what_the_test_set_adds():
    gains = [0.1, 0.2, 0.3]
    wide = t.ppf(0.975, 2) * np.sqrt(0.01 / 3)
    assert over_seeds(gains, [0.2, 0.2]) == pytest.approx((0.2, 0.2 - wide, 0.2 + wide))
    freedom = 2 * ((0.01 / 3 + 0.02) / (0.01 / 3)) ** 2
    wide = t.ppf(0.975, freedom) * np.sqrt(0.01 / 3 + 0.02)
    assert over_seeds(gains, [0.1, 0.3]) == pytest.approx((0.2, 0.2 - wide, 0.2 + wide))


def folds(better, count=4, n=200, seed=0):
    """Two ways, of which the second is right so much more often."""
    random, out = np.random.default_rng(seed), []
    truth = random.integers(2, size=n)
    for i in range(count):
        mine = truth if i == 0 else random.permutation(truth)
        right = {PLAIN: random.random(n) < 0.7, "GAN": random.random(n) < 0.7 + better}
        given = {way: np.eye(2)[np.where(r, mine, 1 - mine)] for way, r in right.items()}
        out.append(Fold(mine, given, 800))
    return out


def test_a_trial_compares_with_the_plain_way_fold_by_fold():
    found = judged(folds(0.25, n=2000), {PLAIN: None, "GAN": PLAIN}, scores_for(None), "by 4 folds", same=False)
    plain, made = found.rows
    gains = np.subtract(made.scores, plain.scores)
    assert made.score == pytest.approx(np.mean(made.scores))
    assert made.gain == pytest.approx(over_folds(list(gains), 800, 2000))
    assert made.by_made == made.gain
    assert made.gain.mean == pytest.approx(gains.mean())
    assert made.gain.sure
    assert (plain.gain, plain.by_made) == ((0, 0, 0), None)
    assert found.plain()["rows"][1]["accuracy"] == made.others["accuracy"]
    assert str(found).splitlines()[0] == "measured by 4 folds:"
    assert "GAN" in str(found).splitlines()[3]


def test_over_seeds_the_choice_of_the_test_examples_counts():
    truth = np.random.default_rng(0).integers(2, size=50)
    right = np.random.default_rng(1).random((2, 50)) < [[0.6], [0.8]]
    one = {way: np.eye(2)[np.where(r, truth, 1 - truth)] for way, r in zip((PLAIN, "GAN"), right, strict=True)}
    # Seeds that give the same: all that is unsure is which examples are tested.
    found = judged([Fold(truth, one, 9)] * 3, {PLAIN: None, "GAN": PLAIN}, scores_for(None), "", same=True)
    _, low, high = found.rows[1].gain
    difference = right[1].astype(float) - right[0]
    spread = np.sqrt(sum(difference[truth == c].var() / (truth == c).sum() for c in (0, 1)) / 4)
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.1)


def test_what_made_examples_add_is_over_the_way_that_is_the_same_without_them():
    random, truth = np.random.default_rng(0), np.random.default_rng(1).integers(2, size=500)
    right = {PLAIN: 0.6, "shifts": 0.8, "GAN and shifts": 0.85}
    parts = [
        Fold(truth, {way: np.eye(2)[np.where(random.random(500) < p, truth, 1 - truth)] for way, p in right.items()}, 9)
        for _ in range(3)
    ]
    found = judged(parts, {PLAIN: None, "shifts": None, "GAN and shifts": "shifts"}, scores_for(None), "", same=True)
    plain, shifts, both = found.rows
    assert both.by_made.mean == pytest.approx(both.score - shifts.score)
    assert both.gain.mean == pytest.approx(both.score - plain.score)
    assert both.by_made.low < 0 < both.gain.low


def row(way, without, score, low, high):
    gain = Gain(score - 0.7, low, high)
    return Row(way, without, (score, score), {}, gain, gain if without else None)


PLAIN_ROW = row(PLAIN, None, 0.7, 0, 0)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [row("SMOTE", None, 0.72, -0.01, 0.05), row("GAN", PLAIN, 0.8, 0.05, 0.15)],
            "Made examples helped: F1 0.800 with them (GAN), 0.700 without (as it is; +0.100, 95 % of it in +0.050 to "
            "+0.150); of what needs no GAN, SMOTE gave 0.720.",
        ),
        (
            [row("shifts", None, 0.9, 0.1, 0.3), row("GAN", PLAIN, 0.8, 0.05, 0.15)],
            "Made examples helped: F1 0.800 with them (GAN), 0.700 without (as it is; +0.100, 95 % of it in +0.050 to "
            "+0.150); but shifts, which needs no GAN, gave 0.900: take that.",
        ),
        (
            [
                row("shifts", None, 0.9, 0.1, 0.3), row("GAN", PLAIN, 0.71, -0.05, 0.07),
                Row("both", "shifts", (0.91, 0.91), {}, Gain(0.21, 0.1, 0.3), Gain(0.01, -0.02, 0.04)),
            ],
            "Made examples did not surely help: F1 0.910 with them (both), 0.900 without (shifts; +0.010, 95 % of it "
            "in -0.020 to +0.040); shifts did: 0.900, over 0.700 (+0.200, 95 % of it in +0.100 to +0.300).",
        ),
        (
            [row("shifts", None, 0.71, -0.1, 0.3), row("GAN", PLAIN, 0.6, -0.15, -0.05)],
            "Made examples harmed: F1 0.600 with them (GAN), 0.700 without (as it is; -0.100, 95 % of it in -0.150 to "
            "-0.050); nor did anything else that was tried.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_is_one_sentence(rows, said):
    assert Trial("F1", (PLAIN_ROW, *rows), "by 5 folds").verdict == said
