"""The detector: scikit-learn's own checks, the threshold's law, what it finds, and what it refuses."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gansmith
from gansmith.applications.anomaly import AnomalyDetector, labels_of, threshold
from gansmith.applications.normality import tensor
from gansmith.data.dataset import Dataset
from gansmith.errors import Refused


def quick(**given: Any) -> AnomalyDetector:
    return AnomalyDetector(**{"members": 1, "examples": 256, "alarm_rate": 0.4, "held_out": 0.3, **given})


@parametrize_with_checks([quick()])
def test_it_passes_scikit_learns_checks(estimator: Any, check: Any):
    check(estimator)


def normals(n: int, seed: int = 0) -> np.ndarray:
    """Points near a curve."""
    random = np.random.default_rng(seed)
    t = random.normal(size=n)
    return np.stack([t, t**2, np.sin(2 * t)], 1) * [1, 10, 0.1] + 0.01 * random.normal(size=(n, 3))


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    return AnomalyDetector(members=2, examples=6400, alarm_rate=0.05).fit(normals(400))


def test_it_finds_what_is_off_the_curve(fitted: AnomalyDetector):
    assert gansmith.AnomalyDetector is AnomalyDetector
    new = normals(200, 1)
    odd = new[:, [0, 1, 2]].copy()
    odd[:, 2] = -odd[:, 2] + 0.1
    scores = fitted.score_samples(np.concatenate([new, odd]))
    assert roc_auc_score(np.repeat([True, False], 200), scores) > 0.85
    np.testing.assert_array_equal(
        fitted.predict(odd), np.where(fitted.score_samples(odd) < fitted.offset_, -1, 1)
    )  # fmt: skip
    np.testing.assert_allclose(fitted.decision_function(new), fitted.score_samples(new) - fitted.offset_)


def test_a_score_does_not_depend_on_what_it_is_scored_with(fitted: AnomalyDetector):
    new = normals(30, 2)
    far = np.concatenate([new, 1e9 * np.ones((5, 3))])
    np.testing.assert_allclose(fitted.score_samples(far)[:30], fitted.score_samples(new), rtol=1e-9)
    assert np.isfinite(fitted.score_samples(far)).all()
    assert (fitted.predict(far)[30:] == -1).all()


def test_false_alarms_are_as_often_as_it_says(fitted: AnomalyDetector):
    share = (fitted.predict(normals(2000, 3)) == -1).mean()
    low, high = fitted.threshold_.interval
    assert low - 0.02 < share < high + 0.02
    assert fitted.threshold_.examples == 80
    assert fitted.threshold_.rate == 4 / 81


def test_equal_seeds_give_equal_scores_and_what_is_saved_scores_alike(fitted: AnomalyDetector, tmp_path: Any):
    new = normals(20, 4)
    wanted = fitted.score_samples(new)
    again = clone(fitted).fit(normals(400))
    np.testing.assert_array_equal(again.score_samples(new), wanted)
    saved = AnomalyDetector.load(fitted.save(tmp_path / "run"))
    np.testing.assert_array_equal(saved.score_samples(new), wanted)
    assert saved.threshold_ == fitted.threshold_
    assert saved.get_params() == fitted.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(new), wanted)
    with pytest.raises(ValueError, match="keeps no training data"):
        saved.compared(new, np.repeat([1, -1], 10))
    assert clone(fitted).set_params(random_state=1).fit(normals(400)).score_samples(new)[0] != wanted[0]


def test_it_works_in_a_pipeline():
    made = make_pipeline(MinMaxScaler(), quick()).fit(normals(60))
    assert set(made.predict(normals(50, 1))) <= {1, -1}


@pytest.mark.parametrize("method", ["fanogan", "ganomaly", "alad"])
def test_each_method_scores_vectors_and_images(method: str):
    detector = quick(method=method).fit(normals(40))
    assert np.isfinite(detector.score_samples(normals(5, 1))).all()
    assert detector.reconstruct(normals(5, 1)).shape == (5, 3)
    images = np.random.default_rng(0).integers(256, size=(12, 8, 8), dtype=np.uint8)
    detector = quick(method=method, examples=64, held_out=0.5).fit(images)
    assert np.isfinite(detector.score_samples(images)).all()
    assert detector.heat(images).shape == (12, 8, 8)
    assert detector.reconstruct(images).dtype == np.uint8


@pytest.mark.parametrize(("n", "rate", "k"), [(100, 0.05, 5), (20, 0.01, 1), (199, 0.01, 2)])
def test_the_thresholds_interval_is_that_of_an_order_statistic(n: int, rate: float, k: int):
    scores = np.random.default_rng(0).permutation(np.arange(n, dtype=float))
    found = threshold(scores, rate)
    assert found.offset == k - 1
    assert found.rate == k / (n + 1)
    # P(share below the k-th lowest ≤ p) = P(at least k of n lie below the p-quantile).
    for p, tail in zip(found.interval, (0.025, 0.975), strict=True):
        assert binom.sf(k - 1, n, p) == pytest.approx(tail, abs=1e-9)


def test_too_few_rows_for_the_alarm_rate_are_told():
    with pytest.warns(
        UserWarning, match="6 held-out examples cannot set an alarm rate of 0.01, only 0.14; that takes 100"
    ):
        quick(alarm_rate=0.01, held_out=0.2).fit(normals(30))


def test_a_column_that_never_moved_counts_once_it_does():
    data = normals(60)
    data[:, 1] = 3
    detector = quick(examples=2560).fit(data)
    moved = data[:5].copy()
    moved[:, 1] = 30
    assert (detector.score_samples(moved) < detector.score_samples(data[:5])).all()


def test_baselines_stand_beside_it_and_the_verdict_is_theirs_where_they_are_better(capsys: Any):
    random = np.random.default_rng(0)
    plane = random.normal(size=(300, 2)) @ random.normal(size=(2, 4)) + 0.001 * random.normal(size=(300, 4))
    detector = quick(compare=True).fit(plane)
    told = capsys.readouterr().out
    assert "A baseline is better here: PCA" in told
    assert "made anomalies" in told
    assert str(detector.comparison_) in told
    new = np.concatenate([plane[:50], random.normal(size=(50, 4))])
    found = detector.compared(new, np.repeat([0, 1], 50))
    assert [row.detector for row in found.rows] == [
        "GAN (auto)", "isolation forest", "k nearest neighbours", "PCA",
    ]  # fmt: skip
    assert found.of == "100 examples, 50 of them anomalous"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"method": "anogan"}, "method must be auto, critic"),
        ({"alarm_rate": 0}, "alarm_rate must be between 0 and 1"),
        ({"held_out": 1.0}, "held_out must be between 0 and 1"),
        ({"members": 0}, "members must be 1 or more"),
    ],
)
def test_wrong_parameters_are_refused_as_it_is_fitted(given: dict[str, Any], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        AnomalyDetector(**given).fit(normals(20))


def test_nan_is_refused_in_scikit_learns_words(fitted: AnomalyDetector):
    data = normals(20)
    data[3, 1] = np.nan
    for what in (quick().fit, fitted.score_samples):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            what(data)


def test_a_run_of_ones_own_becomes_a_detector(tmp_path: Any):
    images = np.random.default_rng(0).integers(256, size=(24, 1, 8, 8), dtype=np.uint8)
    data = Dataset("noise", "image", (1, 8, 8), 24, array=images)
    narrow = {f"{of}.width": 4 for of in ("generator", "discriminator", "networks.encoder", "networks.again")}
    over = {**narrow, "batch": 8, "snapshots": 1, "score": False, "on_trouble": "ignore"}
    run = gansmith.train("ganomaly", data, tmp_path / "run", images=32, device="cpu", overrides=over)
    made = AnomalyDetector.of_run(run.path, images, alarm_rate=0.2)
    wanted = gansmith.load(run.path, device="cpu").game.score(tensor(images)).numpy()
    scores = made.score_samples(images)
    assert np.argsort(-scores).tolist() == np.argsort(wanted).tolist()
    assert made.threshold_.rate == 5 / 25
    assert AnomalyDetector.load(made.save(tmp_path / "d")).score_samples(images).tolist() == scores.tolist()
    with pytest.raises(Refused, match=r"was trained on examples of \[1, 8, 8\], and these are \[1, 9, 8\]"):
        AnomalyDetector.of_run(run.path, np.zeros((4, 9, 8), np.uint8))
    run = gansmith.train("gan", data, tmp_path / "gan", images=32, device="cpu", overrides={"score": False})
    with pytest.raises(Refused, match="tells no anomalies"):
        AnomalyDetector.of_run(run.path, images)


def test_labels():
    assert labels_of([1, -1, 1]).tolist() == [False, True, False]
    assert labels_of([0, 1]).tolist() == [False, True]
    for wrong in ([1, 1], [0, 2]):
        with pytest.raises(ValueError, match="labels must be"):
            labels_of(wrong)


def test_what_is_no_detector_is_refused(tmp_path: Any, fitted: AnomalyDetector):
    with pytest.raises(Refused, match="holds no detector"):
        AnomalyDetector.load(tmp_path)
    folder = fitted.save(tmp_path / "run")
    (folder / "detector.safetensors").write_bytes(b"nonsense")
    with pytest.raises(Refused, match="cannot be read"):
        AnomalyDetector.load(folder)
    (folder / "detector.json").write_text("{")
    with pytest.raises(Refused, match="cannot be read"):
        AnomalyDetector.load(folder)


def test_another_kind_than_it_was_fitted_on_is_refused():
    detector = quick(method="ganomaly", examples=64).fit(np.zeros((6, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"images of \[1, 8, 9\], but it was fitted on \[1, 8, 8\]"):
        detector.predict(np.zeros((2, 8, 9), np.uint8))
    with pytest.raises(ValueError, match="fitted on images"):
        detector.predict(normals(3))
    with warnings.catch_warnings(), pytest.raises(ValueError, match="heat maps are of images"):
        quick().fit(normals(20)).heat(normals(3))
