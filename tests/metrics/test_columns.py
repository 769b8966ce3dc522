from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gansmith.errors import Refused
from gansmith.metrics.columns import codes, kolmogorov_smirnov, mean, plain, shapes, total_variation, trends

RNG = np.random.default_rng(0)


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


def table(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return {
        "x": x.round(2), "y": (x * seed + rng.normal(size=n)).round(1), "n": rng.integers(0, 5 + seed, n),
        "kind": objects([["a", "b", "c", "d"][min(3, abs(int(v * seed)))] for v in x]),
        "on": rng.random(n) < 0.2 * seed,
        "day": np.datetime64("2020-01-01", "us") + rng.integers(0, 300 * seed, n) * np.timedelta64(1, "D"),
    }  # fmt: skip


REAL, FAKE = table(500, 1), table(400, 2)


def test_kolmogorov_smirnov_is_scipys():
    one, two = RNG.normal(size=300).round(1), RNG.normal(0.3, 1, 200).round(1)
    assert kolmogorov_smirnov(one, two) == pytest.approx(stats.ks_2samp(one, two).statistic, abs=1e-12)
    assert kolmogorov_smirnov(one, one) == 0
    assert np.isnan(kolmogorov_smirnov(one, one[:0]))


def test_total_variation():
    assert total_variation(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])) == pytest.approx(0.25)
    assert total_variation(np.array([0]), np.array([1])) == 1


def test_codes_are_the_same_for_the_same_kind():
    one, two, number = codes(objects(["b", None, "a"]), objects(["a", "c", None]))
    assert (one.tolist(), two.tolist(), number) == ([0, 1, 2], [2, 3, 1], 4)


def test_a_table_is_like_itself():
    assert set(shapes(REAL, REAL).values()) == {1.0}
    assert all(value == pytest.approx(1) for value in trends(REAL, REAL).values())
    assert len(trends(REAL, REAL)) == 15


def test_shapes_by_hand():
    found = shapes(REAL, FAKE)
    for name in ("x", "y", "n"):
        assert found[name] == pytest.approx(1 - stats.ks_2samp(REAL[name], FAKE[name]).statistic, abs=1e-12)
    assert found["on"] == pytest.approx(1 - abs(REAL["on"].mean() - FAKE["on"].mean()))


def test_trends_by_hand():
    found = trends(REAL, FAKE)
    rho = [np.corrcoef(t["x"], t["y"])[0, 1] for t in (REAL, FAKE)]
    assert found["x", "y"] == pytest.approx(1 - abs(rho[0] - rho[1]) / 2)
    joint = [dict.fromkeys([(k, o) for k in "abcd" for o in (True, False)], 0) for _ in range(2)]
    for counts, t in zip(joint, (REAL, FAKE), strict=True):
        for kind, on in zip(t["kind"].tolist(), t["on"].tolist(), strict=True):
            counts[kind, on] += 1 / len(t["on"])
    assert found["kind", "on"] == pytest.approx(1 - 0.5 * sum(abs(joint[0][k] - joint[1][k]) for k in joint[0]))


def test_missing_values():
    gone = {**REAL, "x": np.where(np.arange(500) % 3 == 0, np.nan, REAL["x"])}
    assert shapes(REAL, gone)["x"] == pytest.approx(1 - stats.ks_2samp(REAL["x"], gone["x"][~np.isnan(gone["x"])])[0])
    assert trends(REAL, gone)["x", "kind"] < 1 - 0.3
    constant = {**REAL, "x": np.ones(500)}
    assert np.isnan(trends(REAL, constant)["x", "y"])
    assert mean({"a": float("nan"), "b": 0.5}) == 0.5
    assert np.isnan(mean({}))
    assert np.isnan(plain(np.array(["NaT"], "datetime64[us]"))[0])


def test_refusals():
    with pytest.raises(Refused, match="no column 'on'"):
        shapes(REAL, {name: values for name, values in FAKE.items() if name != "on"})
    with pytest.raises(Refused, match="column x: float64 cannot be compared with object"):
        shapes(REAL, {**FAKE, "x": objects(["a"] * 400)})


def test_both_are_those_of_sdmetrics():
    pytest.importorskip("sdmetrics", reason="the package sdmetrics is not installed")
    import pandas as pd
    from sdmetrics.reports.single_table import QualityReport

    kinds = {"x": "numerical", "y": "numerical", "n": "numerical", "kind": "categorical", "on": "boolean"}
    metadata = {"columns": {**{name: {"sdtype": kind} for name, kind in kinds.items()}, "day": {"sdtype": "datetime"}}}
    theirs = QualityReport()
    theirs.real_correlation_threshold = theirs.real_association_threshold = 0  # all pairs, as in its first versions
    theirs.generate(pd.DataFrame(REAL), pd.DataFrame(FAKE), metadata, verbose=False)
    columns = theirs.get_details("Column Shapes").set_index("Column")["Score"]
    for name, value in shapes(REAL, FAKE).items():
        assert value == pytest.approx(columns[name], abs=1e-9), name
    pairs = theirs.get_details("Column Pair Trends")
    ours = trends(REAL, FAKE)
    for _, row in pairs.iterrows():
        assert ours[row["Column 1"], row["Column 2"]] == pytest.approx(row["Score"], abs=1e-9)
