from __future__ import annotations

import numpy as np
import pytest

from gansmith.metrics.records import closeness, closest


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


RECORDS = {"x": np.array([0.0, 10.0]), "kind": objects(["a", "b"])}


@pytest.mark.parametrize(
    ("x", "kind", "wanted"),
    [(0.0, "a", 0), (2.0, "a", 0.1), (2.0, "b", 0.4), (4.0, "c", 0.7), (99.0, "b", 0.5), (np.nan, "a", 0.5)],
)
def test_gower_by_hand(x, kind, wanted):
    assert closest({"x": np.array([x]), "kind": objects([kind])}, RECORDS)[0] == pytest.approx(wanted, abs=1e-6)


def test_missing_is_like_missing():
    records = {"x": np.array([1.0, np.nan, 3.0])}
    assert closest({"x": np.array([np.nan, 2.0])}, records).tolist() == pytest.approx([0, 0.5])


def test_against_a_plain_loop():
    rng = np.random.default_rng(0)

    def table(n):
        return {"x": rng.normal(size=n), "n": rng.integers(0, 9, n), "kind": objects(list(rng.choice(list("abc"), n)))}

    rows, records = table(20), table(50)
    wanted = [
        min(
            np.mean([
                *(min(abs(rows[c][i] - records[c][j]) / np.ptp(records[c]), 1) for c in ("x", "n")),
                rows["kind"][i] != records["kind"][j],
            ])
            for j in range(50)
        )
        for i in range(20)
    ]  # fmt: skip
    assert closest(rows, records) == pytest.approx(wanted, abs=1e-6)


def test_copies_are_seen():
    rng = np.random.default_rng(1)
    records, held = ({"x": rng.normal(size=400), "y": rng.normal(size=400)} for _ in range(2))
    own = closeness({"x": rng.normal(size=400), "y": rng.normal(size=400)}, held, records)
    assert own.nearer == pytest.approx(0.05, abs=0.04)
    assert own.copies == 0
    learnt = closeness(records, held, records)
    assert (learnt.nearer, learnt.copies, learnt.held_copies) == (1, 1, 0)
    whole = {"x": np.arange(50) % 3}
    assert closeness(whole, whole, whole).nearer == pytest.approx(0.5)  # all are copies, the held-out ones too
