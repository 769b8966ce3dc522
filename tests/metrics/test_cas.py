"""The classification accuracy score."""

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics import domain
from gansmith.metrics.measure import Materials, Side, measures


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(domain, "LEAST_STEPS", 60)
    monkeypatch.setattr(domain, "EPOCHS", 1)


def side(seed, n=400, shuffled=False):
    r = np.random.RandomState(seed)
    kind = r.randint(3, size=n).astype(np.int64)
    images = r.randint(60, size=(n, 1, 8, 8), dtype=np.uint8) + (kind * 80).astype(np.uint8)[:, None, None, None]
    return Side(np.zeros((n, 2), np.float32), None, r.permutation(kind) if shuffled else kind, images)


def test_fakes_with_right_labels_teach_what_reals_are_and_others_do_not():
    cas = measures()["cas"].compute
    good, bad = (cas(Materials(side(0), side(1, shuffled=wrong)))[""] for wrong in (False, True))
    assert good.value > 0.95
    assert bad.value < 0.6
    assert good.spread == pytest.approx((good.value * (1 - good.value) / 400) ** 0.5)


def test_a_reference_without_labels_is_refused():
    real = side(0)
    with pytest.raises(Refused, match="no labels"):
        measures()["cas"].compute(Materials(Side(real.features, None, None, real.images), side(1)))
