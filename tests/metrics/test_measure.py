"""Measures: each is found by its name, says what it needs, and works on the materials that it asks for."""

import numpy as np
import pytest

from gansmith.data.dataset import Modes
from gansmith.errors import Refused
from gansmith.metrics import measure as room
from gansmith.metrics.measure import Materials, Side, check, jackknife, measures, title, wanted

KNOWN = {"domain": "domain", "toy": "domain", "pixels": "pixels", "inception": "inception"}


def side(seed, n=400, d=6, classes=3, images=True):
    r = np.random.RandomState(seed)
    labels = r.randint(classes, size=n).astype(np.int64)
    made = r.randint(256, size=(n, 1, 12, 12), dtype=np.uint8) if images else None
    features = (r.randn(n, d) + labels[:, None]).astype(np.float32)
    return Side(features, r.randn(n, classes).astype(np.float32), labels, made)


def test_all_measures_are_found_by_unlike_names():
    assert {"fd", "kd", "prdc", "cs", "accuracy", "vendi", "c2st", "sw2", "mind", "ms-ssim", "modes", "ppl", "cas"} <= {
        *measures()
    }
    for name, measure in measures().items():
        assert measure.name == name == name.lower()
        assert measure.what
        assert measure.better in ("lower", "higher", "real")


@pytest.mark.parametrize("name", sorted({*measures()} - {"ppl", "lpips", "modes", "cas", "stacked"}))
def test_each_gives_finite_numbers_and_repeats_itself(name):
    found = [measures()[name].compute(Materials(side(0), side(1), 3, None)) for _ in range(2)]
    assert found[0] == found[1]
    for value in found[0].values():
        assert np.isfinite(value.value)
        assert value.spread is None or (value.spread >= 0 and value.spread_is)


def test_modes_are_counted_by_the_truth():
    centres = np.array([[0, 0], [5, 0], [0, 5]], np.float32)
    r = np.random.RandomState(0)
    points = (centres[r.randint(2, size=200)] + 0.1 * r.randn(200, 2)).astype(np.float32)
    found = measures()["modes"].compute(Materials(Side(points), Side(points), modes=Modes(centres, 0.1)))
    assert found["modes"].value == 2
    assert found["quality"].value > 0.95


@pytest.mark.parametrize(
    ("text", "measure", "extractor"),
    [
        ("fd", "fd", None),
        (" FD-Toy ", "fd", "domain"),
        ("fd-infinity", "fd-infinity", None),
        ("fd-infinity-pixels", "fd-infinity", "pixels"),
        ("fid", "fd", "inception"),
        ("kid", "kd", "inception"),
        ("is", "cs", "inception"),
        ("ms-ssim", "ms-ssim", None),
    ],
)
def test_names(text, measure, extractor):
    found = wanted(text, KNOWN)
    assert (found.measure.name, found.extractor) == (measure, extractor)


@pytest.mark.parametrize(
    ("text", "says"), [("prcd", "mean prdc"), ("fd-", "no extractor ''"), ("kd-x", "toy"), ("", "no")]
)
def test_names_that_are_none(text, says):
    with pytest.raises(Refused) as told:
        wanted(text, KNOWN)
    assert says in str(told.value)


def test_titles():
    fd, prdc, cas = (measures()[name] for name in ("fd", "prdc", "cas"))
    assert title(fd, "", "inception", "inception") == "fid"
    assert title(fd, "", "domain", "toy") == "fd-toy"
    assert title(fd, "", "points", "") == "fd"
    assert title(prdc, "recall", "inception", "inception") == "recall-inception"
    assert title(cas, "", "domain", "toy") == "cas"


def test_a_new_measure_is_one_file(monkeypatch):
    from gansmith.metrics import vendi

    mine = vendi.MEASURES[0].__class__("mine", lambda m: {"": room.Value(1.0)}, "always one")
    monkeypatch.setattr(vendi, "MEASURES", (mine,))
    measures.cache_clear()
    try:
        assert wanted("mine-toy", KNOWN).measure is mine
    finally:
        monkeypatch.undo()
        measures.cache_clear()


def test_the_jackknife_of_a_mean_is_its_standard_error():
    rows = np.random.RandomState(0).randn(50, 1).astype(np.float32)
    exact = rows.std(ddof=1) / np.sqrt(50)
    assert jackknife(lambda x: float(x.astype(np.float64).mean()), rows, groups=50) == pytest.approx(exact, rel=1e-6)
    grouped = [jackknife(lambda x: float(x.mean()), rows, seed=i) for i in range(40)]
    assert np.mean(grouped) == pytest.approx(exact, rel=0.1)


def test_materials_that_do_not_do():
    real, fake = side(0), side(1)
    bare = Side(fake.features)
    for name, materials, says in [
        ("prdc", Materials(real, side(1, n=5)), "needs 6 samples on either side, and there are 5"),
        ("accuracy", Materials(real, bare), "no labels"),
        ("cs", Materials(real, bare), "needs a classifier"),
        ("ppl", Materials(real, fake), "latent space"),
        ("modes", Materials(real, fake), "modes are known"),
        ("fd", Materials(Side(np.ones((9, 3), np.float32)), fake), "all alike"),
        ("fd", Materials(real, Side(np.full((9, 6), np.nan, np.float32))), "not finite"),
    ]:
        with pytest.raises(Refused, match=f"{name}-toy: .*{says}"):
            check(measures()[name], materials, f"{name}-toy")


def test_a_measure_of_ones_own_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from gansmith.metrics.measure import Measure, Value\n"
        "MEASURE = Measure('mine', lambda m: {'': Value(1.0)}, 'always one')\n"
        "OTHER = Measure('other', lambda m: {'': Value(2.0)}, 'always two')\nNONE = 3\n"
    )
    assert wanted(str(file), KNOWN).measure.name == "mine"
    found = wanted(f"{file}:OTHER", KNOWN).measure
    assert found.name == "other"
    assert len(found.settings["file_sha256"]) == 64
    for name in (f"{file}:NONE", f"{file}:MISSING"):
        with pytest.raises(Refused, match="no Measure"):
            wanted(name, KNOWN)
    with pytest.raises(Refused, match="no such file"):
        wanted("nowhere.py", KNOWN)


def test_some_of_a_side_are_of_all_of_it_and_the_parts_keep_together():
    n = 1000
    features = np.arange(n, dtype=np.float32)[:, None]
    images = np.arange(600, dtype=np.float32)[:, None]
    side = Side(features, features, np.arange(n), None)
    some = side.some(100, 0)
    assert len(some.features) == 100
    assert np.array_equal(some.features[:, 0], some.labels)
    assert np.array_equal(some.features, some.logits)
    assert some.labels[0] < 50 < 900 < some.labels[-1]  # not the first hundred
    assert np.array_equal(side.some(100, 0).labels, some.labels)
    assert not np.array_equal(side.some(100, 1).labels, some.labels)
    assert side.some(n, 0) is side
    seen = Side(features, None, np.arange(n), images).some(100, 0)
    assert np.array_equal(seen.images[:, 0], seen.labels)
