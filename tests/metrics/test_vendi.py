"""The Vendi score against its published value and closed forms."""

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.vendi import vendi_score


def test_golden_value():
    assert vendi_score(np.random.RandomState(0).randn(500, 16)) == pytest.approx(15.765377, abs=5e-7)


def test_counts_unlike_directions():
    assert vendi_score(np.eye(7)) == pytest.approx(7)
    assert vendi_score(np.repeat(np.eye(3, 10), 40, 0) * 5) == pytest.approx(3)
    assert vendi_score(np.ones((20, 6))) == pytest.approx(1)
    # Shares of 3/4 and 1/4: exp of their entropy.
    assert vendi_score(np.eye(2)[[0, 0, 0, 1]]) == pytest.approx(4 / 3**0.75)


def test_the_smaller_matrix_has_the_same_eigenvalues():
    x = np.random.RandomState(1).randn(30, 30)
    wide = np.concatenate([x, np.zeros((30, 5))], 1)
    assert vendi_score(wide) == pytest.approx(vendi_score(x), rel=1e-12)


def test_refuses_a_vector_without_direction():
    with pytest.raises(Refused, match="zero"):
        vendi_score(np.zeros((4, 3)))
