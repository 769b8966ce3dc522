"""The scorer: which metric, against what, with which card."""

import json

import numpy as np
import pytest

from gansmith.data.dataset import Dataset
from gansmith.errors import Refused
from gansmith.metrics import domain, neighbours, reading, score
from gansmith.metrics.frechet import frechet_distance
from gansmith.metrics.score import Drawn, Scorer


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(domain, "LEAST_STEPS", 60)
    monkeypatch.setattr(domain, "EPOCHS", 1)


def pictures(count, seed=0, split="train", labels=True, **more):
    r = np.random.RandomState(seed)
    kind = r.choice(3, size=count, p=[0.6, 0.3, 0.1]).astype(np.int64)
    array = r.randint(100, size=(count, 1, 8, 8), dtype=np.uint8) + (kind * 60).astype(np.uint8)[:, None, None, None]
    fields = {
        "array": array,
        "labels": (kind if labels else None) if isinstance(labels, bool) else labels,
        "fingerprint": f"{seed} {count}",
        **more,
    }
    return Dataset("toy", "image", (1, 8, 8), count, split=split, **fields)


def ring(count, seed=0, modes=8, radius=1.0):
    r = np.random.RandomState(seed)
    angle = r.randint(modes, size=count) * (2 * np.pi / modes)
    points = radius * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * r.randn(count, 2)
    return points.astype(np.float32)


def test_labelled_images_get_the_domain_classifier():
    train, test = pictures(1200), pictures(400, seed=1, split="test")
    scorer = Scorer(train, test)
    assert scorer.metric == "fd-toy"
    assert scorer.n == 400
    assert "labels" in scorer.reason
    good = scorer.score(lambda n, seed: pictures(n, seed=2).array)
    bad = scorer.score(lambda n, seed: pictures(n, seed=2).array // 2)
    assert set(good) == {"fd-toy", "fd-toy/spread"}
    assert good["fd-toy"] < 20 * scorer.floor  # that much by the classes' frequencies, drawn anew
    assert bad["fd-toy"] > 10 * good["fd-toy"]
    expected = frechet_distance(
        scorer.extractor.features(pictures(400, seed=2).array), scorer.extractor.features(test.array)
    )
    assert good["fd-toy"] == pytest.approx(expected, rel=1e-9)


def test_the_card_is_json_and_says_what_decides_the_number():
    train, test = pictures(1200), pictures(400, seed=1, split="test")
    card = Scorer(train, test, n=100).card
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["samples"] == 100
    assert (card["reference_split"], card["reference_samples"]) == ("test", 400)
    assert not card["reference_is_training_data"]
    assert card["floor"] > 0
    assert card["extractor_checksum"] == Scorer(train, test).extractor.checksum
    assert card["extractor_checksum"] != Scorer(train, test, seed=1).card["extractor_checksum"]


def test_without_a_test_split_the_reference_is_the_training_data():
    train = pictures(600)
    scorer = Scorer(train)
    assert scorer.card["reference_is_training_data"]
    assert scorer.card["reference_samples"] == 600
    assert "expected" in scorer.card["floor_is"]
    assert scorer.score(lambda n, seed: train.array[:n])["fd-toy"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (pictures(300, labels=False), "no labels"),
        (pictures(300, labels=np.zeros(300, np.int64)), "one label"),
        (pictures(30, labels=np.arange(30)), "a class"),
    ],
)
def test_pixels_where_no_classifier_can_be_fitted(train, says):
    scorer = Scorer(train)
    assert scorer.metric == "fd-pixels"
    assert says in scorer.reason
    assert scorer.score(lambda n, seed: pictures(n, seed=3).array)["fd-pixels"] < 5 * scorer.floor


def test_points_are_scored_by_transport():
    train = Dataset("ring", "points", (2,), 4000, array=ring(4000))
    scorer = Scorer(train, n=1000)
    assert scorer.metric == "sw2"
    assert (scorer.n, scorer.extractor.name) == (1000, "points")
    assert scorer.score(lambda n, seed: ring(n, seed=seed + 5))["sw2"] < 3 * scorer.floor
    # Four modes of eight: the same mean and covariance, so that no Fréchet distance of raw points would tell.
    assert scorer.score(lambda n, seed: ring(n, modes=4))["sw2"] > 3 * scorer.floor
    assert scorer.score(lambda n, seed: np.full((n, 2), np.nan, np.float32)) == {}
    test = Dataset("ring", "points", (2,), 500, array=ring(500, seed=1), split="test")
    assert Scorer(train, test).n == 500


def test_examples_that_are_read_one_by_one_score_the_same():
    whole, test = pictures(300), pictures(100, seed=1, split="test")
    parts = Dataset(
        "toy", "image", (1, 8, 8), 300, read=lambda i: whole.array[i], labels=whole.labels, fingerprint="0 300"
    )
    draw = lambda n, seed: pictures(n, seed=2).array  # noqa: E731
    assert Scorer(whole, test).score(draw) == Scorer(parts, test).score(draw)


def test_large_samples_are_drawn_in_parts_with_seeds_that_follow(monkeypatch):
    scorer = Scorer(pictures(300, labels=False))
    whole = scorer.score(lambda n, seed: np.concatenate([pictures(100, seed=50 + i).array for i in range(3)]))
    monkeypatch.setattr(reading, "BYTES", 6400)
    asked = []

    def draw(n, seed):
        asked.append((n, seed))
        return pictures(n, seed=seed).array

    assert scorer.score(draw, seed=50)["fd-pixels"] == pytest.approx(whole["fd-pixels"], rel=1e-9)
    assert asked == [(100, 50), (100, 51), (100, 52)]


def test_the_references_features_and_the_values_of_reals_are_kept(tmp_path, monkeypatch):
    train, test = pictures(1200), pictures(400, seed=1, split="test")
    names = ["fd", "kd", "accuracy"]
    one = Scorer(train, test, metrics=names)
    assert len(list((tmp_path / "features").iterdir())) == 1
    assert len(list((tmp_path / "values").iterdir())) == 3
    draw = lambda n, seed: Drawn(pictures(n, seed=2).array, pictures(n, seed=2).labels)  # noqa: E731
    value = one.score(draw)
    monkeypatch.setattr(score, "read", None)  # so that no example of the data can be looked at
    again = Scorer(train, test, metrics=names)
    assert (again.card, again.cards) == (one.card, one.cards)
    assert again.score(draw) == value
    with pytest.raises(TypeError):
        Scorer(train, test, metrics=["fd"], n=100)
    with pytest.raises(TypeError):
        Scorer(train, test, cache=False)


def test_one_pass_of_features_serves_all_metrics(monkeypatch):
    train, test = pictures(1200), pictures(400, seed=1, split="test")
    scorer = Scorer(train, test, metrics=["fd", "prdc", "cs", "accuracy", "vendi", "fd-pixels", "cas"])
    passes = []
    for kind in (domain.DomainExtractor, score.choice.PixelExtractor):
        for name in ("features", "features_and_logits"):
            real = getattr(kind, name, None)
            if real is not None:
                monkeypatch.setattr(kind, name, lambda self, x, real=real: passes.append(len(x)) or real(self, x))
    fakes = pictures(400, seed=2)
    scores = scorer.evaluate(lambda n, seed: Drawn(fakes.array[:n], fakes.labels[:n]))
    assert passes == [400, 400]  # one an extractor
    named = {each.name: each for each in scores}
    assert list(named) == [
        "fd-toy", "precision-toy", "recall-toy", "density-toy", "coverage-toy", "cs-toy", "accuracy-toy", "vendi-toy",
        "cas", "fd-pixels",
    ]  # fmt: skip
    of_reference = scorer.extractor.logits(test.array).argmax(1) == test.labels
    assert named["accuracy-toy"].floor == pytest.approx(of_reference.mean())
    logits = scorer.extractor.logits(fakes.array)
    assert named["accuracy-toy"].value == pytest.approx((logits.argmax(1) == fakes.labels).mean())
    assert named["fd-toy"].card["extractor"] == "domain"
    assert named["fd-pixels"].card["extractor"] == "pixels"
    assert named["precision-toy"].card["k"] == 5
    assert 0.5 < named["precision-toy"].floor <= 1  # what real examples score
    for each in scores:
        assert json.loads(json.dumps(each.record(), allow_nan=False)) == each.record()


def test_features_that_nobody_looks_at_are_not_made(monkeypatch):
    def large(count, seed=0, **more):
        array = pictures(count, seed).array.repeat(2, 2).repeat(2, 3)
        return Dataset("toy", "image", (1, 16, 16), count, array=array, fingerprint=f"{seed}", **more)

    monkeypatch.setattr(score.choice.PixelExtractor, "features", None)
    scorer = Scorer(large(60), large(30, 1, split="test"), metrics=["ms-ssim"])
    fakes = large(30, 2).array
    (found,) = scorer.evaluate(lambda n, seed: fakes[:n])
    assert found.name == "ms-ssim-1-scales"
    assert 0 < found.value < 1
    with pytest.raises(Refused, match=r"these images are \(1, 8, 8\)"):
        scorer.score(lambda n, seed: pictures(n).array)


def test_measures_that_share_work_do_so_once(monkeypatch):
    calls, inner = [], neighbours._neighbours
    monkeypatch.setattr(neighbours, "_neighbours", lambda x, y, ks: calls.append(list(ks)) or inner(x, y, ks))
    names = ["pr3", "prdc", "prdc-pixels"]
    scorer = Scorer(pictures(300, labels=False), pictures(100, seed=1, split="test", labels=False), metrics=names)
    assert calls == [[5, 3]]  # of real examples in the samples' place
    assert len(scorer.score(lambda n, seed: pictures(n, seed=2).array)) == 12
    assert calls == [[5, 3], [5, 3]]


def test_what_looks_at_samples_alone_has_the_references_value_without_a_test_split():
    train = pictures(1200)
    scorer = Scorer(train, metrics=["vendi", "prdc"], n=300)
    assert scorer.cards["vendi-toy"]["floor_is"] == "measured: 300 reference examples"
    rows = np.sort(np.random.Generator(np.random.PCG64(0)).permutation(1200)[:300])
    again = scorer.evaluate(lambda n, seed: train.array[rows])
    assert again[0].value == pytest.approx(again[0].floor)
    assert again[1].floor is None


def test_a_part_may_say_itself_what_is_better(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from gansmith.metrics.measure import Measure, Value\n"
        "MEASURE = Measure('mine', lambda m: {'': Value(1.0), 'part': Value(2.0, better='higher')}, 'x')\n"
    )
    scorer = Scorer(pictures(300, labels=False), metrics=[str(file)])
    found = scorer.evaluate(lambda n, seed: pictures(n, seed=2).array)
    assert [(each.name, each.better, each.card["better"]) for each in found] == [
        ("mine-pixels", "lower", "lower"), ("part-pixels", "higher", "higher"),
    ]  # fmt: skip


def test_metrics_by_names_and_what_is_wrong_with_them():
    train, test = pictures(1200), pictures(400, seed=1, split="test")
    assert list(Scorer(train, test, metrics=["fd-toy", "KD-domain"]).cards) == ["fd-toy", "kd-toy"]
    for name, says in [
        ("fdd", "did you mean fd"),
        ("fd-incepton", "no extractor 'incepton'"),
        ("modes", "modes are known"),
        ("fd-infinity", "needs 500 samples"),
        ("ms-ssim", "11 pixels"),
    ]:
        with pytest.raises(Refused, match=says):
            Scorer(train, test, metrics=[name]).score(lambda n, seed: pictures(n, seed=2).array)
    with pytest.raises(Refused, match="no labels"):
        Scorer(train, test, metrics=["accuracy"]).score(lambda n, seed: pictures(n, seed=2).array)
    with pytest.raises(Refused, match="classifier"):
        Scorer(train, test, metrics=["cs-pixels"])
    with pytest.raises(Refused, match="latent space"):
        Scorer(train, test, metrics=["ppl"]).score(lambda n, seed: pictures(n, seed=2).array)
    wide = Dataset("wide", "image", (1, 13, 13), 900, array=np.zeros((900, 1, 13, 13), np.uint8))
    with pytest.raises(Refused, match="needs 507 samples, and there are 505"):  # three for each of 169 dimensions
        Scorer(wide, metrics=["fd-infinity"], n=505)
    with pytest.raises(Refused, match="needs 6 samples, and there are 5"):
        Scorer(train, test, metrics=["prdc"], n=5)


def test_labels_are_as_frequent_as_in_the_data():
    scorer = Scorer(pictures(1200))
    labels = scorer.labels(2000, seed=1)
    np.testing.assert_allclose(np.bincount(labels) / 2000, [0.6, 0.3, 0.1], atol=0.04)
    np.testing.assert_array_equal(labels[:10], scorer.labels(10, seed=1))
    assert Scorer(pictures(300, labels=False)).labels(5) is None


def test_refuses():
    with pytest.raises(Refused, match="test split's"):
        Scorer(pictures(300), Dataset("ring", "points", (2,), 4000, array=ring(4000)))
    with pytest.raises(Refused, match="at least 2"):
        Scorer(pictures(1))
    with pytest.raises(Refused, match="these images are"):
        Scorer(pictures(300, labels=False)).score(lambda n, seed: np.zeros((n, 1, 9, 9), np.uint8))
