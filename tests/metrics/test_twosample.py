"""The two-sample test: uniform p-values between equal laws, power between unlike ones, the best accuracy known."""

import math

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.twosample import two_sample_test


@pytest.mark.parametrize("classifier", ["neighbours", "linear"])
def test_between_equal_laws_it_seldom_says_that_they_differ(classifier):
    r = np.random.RandomState(0)
    found = [two_sample_test(r.randn(200, 3), r.randn(200, 3), classifier=classifier, seed=i) for i in range(60)]
    assert np.mean([each.accuracy for each in found]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([each.p_value < 0.05 for each in found]) < 0.15
    assert found[0].held_out == 200


def test_a_shift_is_told_as_well_as_it_can_be():
    r = np.random.RandomState(1)
    x, y = r.randn(4000, 2), r.randn(4000, 2) + np.array([2.0, 0.0])
    best = 0.5 * (1 + math.erf(1 / math.sqrt(2)))  # the better half-plane, one deviation from each mean
    for classifier in ("neighbours", "linear"):
        found = two_sample_test(x, y, classifier=classifier)
        assert found.accuracy == pytest.approx(best, abs=0.02)
        assert found.p_value < 1e-12
        assert found == two_sample_test(x, y, classifier=classifier)


def test_a_linear_classifier_is_blind_to_spread():
    r = np.random.RandomState(2)
    x, y = r.randn(1500, 2), 3 * r.randn(1500, 2)
    assert two_sample_test(x, y, classifier="linear").accuracy < 0.56
    assert two_sample_test(x, y).accuracy > 0.7


def test_the_larger_set_is_cut_and_a_constant_feature_does_no_harm():
    r = np.random.RandomState(3)
    x, y = np.c_[r.randn(500, 2), np.ones(500)], np.c_[r.randn(80, 2), np.ones(80)]
    assert two_sample_test(x, y).held_out == 80


def test_refuses():
    with pytest.raises(Refused, match="20 samples a side or more, not 19"):
        two_sample_test(np.zeros((19, 2)), np.zeros((50, 2)))
    with pytest.raises(Refused, match="2 dimensions and fake has 3"):
        two_sample_test(np.zeros((30, 2)), np.zeros((30, 3)))
    with pytest.raises(ValueError, match="classifier is"):
        two_sample_test(np.zeros((30, 2)), np.zeros((30, 2)), classifier="forest")  # type: ignore[arg-type]
