"""The classifier score against closed forms and a plain computation."""

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.classifier import classifier_score


def plainly(logits):
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return np.exp((p * np.log(p / p.mean(0))).sum(1).mean())


def test_sure_and_even_scores_the_number_of_classes():
    sure = np.tile(np.eye(5) * 1000, (20, 1))
    assert classifier_score(sure) == pytest.approx((5, 0))
    assert classifier_score(np.zeros((50, 5))) == pytest.approx((1, 0))


def test_agrees_with_the_formula_on_each_split():
    logits = np.random.RandomState(0).randn(103, 7)
    parts = [plainly(part) for part in np.array_split(logits, 10)]
    assert classifier_score(logits) == pytest.approx((np.mean(parts), np.std(parts)), rel=1e-12)
    assert classifier_score(logits, splits=1).mean == pytest.approx(plainly(logits), rel=1e-12)


def test_a_seed_shuffles():
    sorted_by_class = np.repeat(np.eye(10) * 50, 30, 0)
    assert classifier_score(sorted_by_class).mean == pytest.approx(1, abs=1e-6)  # each split sees one class
    assert classifier_score(sorted_by_class, seed=0).mean > 8


def test_refuses_more_splits_than_samples():
    with pytest.raises(Refused, match="10 splits need as many samples"):
        classifier_score(np.zeros((9, 3)))
