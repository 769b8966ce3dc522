"""Modes of known mixtures: counted by hand, the floor by simulation."""

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics import domain
from gansmith.metrics.measure import Materials, Side, measures
from gansmith.metrics.modes import mode_coverage, mode_shares

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_coverage_by_hand():
    points = np.array([[0.1, 0], [0, 0.29], [10, 0.4], [5, 5], [-0.2, 0.1]])
    assert mode_coverage(points, CENTRES, 0.1) == (1, 3, pytest.approx(3 / 5))
    assert mode_coverage(points, CENTRES, 0.1, within=5) == (2, 3, pytest.approx(4 / 5))


def test_coverage_of_the_mixture_itself():
    r = np.random.RandomState(0)
    points = CENTRES[r.randint(3, size=20000)] + 0.1 * r.randn(20000, 2)
    found = mode_coverage(points, CENTRES, 0.1)
    assert found.covered == 3
    assert found.good == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # within three deviations, in two dimensions


def test_shares_against_uniform():
    assert mode_shares(np.arange(8), 8) == (8, pytest.approx(0, abs=1e-12))
    assert mode_shares(np.array([2, 2, 5, 5]), 8) == (2, pytest.approx(np.log(4)))


def test_the_floor_of_a_thousand_equal_modes():
    found = [mode_shares(np.random.RandomState(i).randint(1000, size=26_000), 1000) for i in range(20)]
    # (K - 1) / 2N to first order, 0.0192, and a little more.
    assert np.mean([each.divergence for each in found]) == pytest.approx(0.0195, abs=2e-4)
    assert all(each.covered == 1000 for each in found)


def test_refuses():
    with pytest.raises(Refused, match="2 dimensions and centres has 3"):
        mode_coverage(np.zeros((4, 2)), np.zeros((4, 3)), 1)
    with pytest.raises(Refused, match="from 0 to 2"):
        mode_shares(np.array([0, 3]), 3)


def test_stacked_digits_are_named_channel_by_channel(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(domain, "LEAST_STEPS", 100)
    monkeypatch.setattr(domain, "EPOCHS", 1)
    r = np.random.RandomState(0)

    def stacks(digits):
        level = (digits * 80).astype(np.uint8)[:, :, None, None]
        images = level + r.randint(40, size=(*digits.shape, 8, 8), dtype=np.uint8)
        return Side(np.zeros((len(digits), 2), np.float32), None, (digits * [9, 3, 1]).sum(1), images)

    real, fake = r.randint(3, size=(1000, 3)), r.randint(3, size=(1200, 3))
    fake[:, 0] = 2  # one channel never changes: 9 of 27 modes
    told = measures()["stacked"].compute(Materials(stacks(real), stacks(fake), stack=3))
    assert told["stacked-modes"].value == 9
    expected = mode_shares((fake * [9, 3, 1]).sum(1), 27).divergence
    assert told["stacked-kl"].value == pytest.approx(expected, abs=0.01)
    assert expected == pytest.approx(np.log(3), abs=0.01)
    with pytest.raises(Refused, match="stacked in channels"):
        measures()["stacked"].compute(Materials(stacks(real), stacks(fake)))
