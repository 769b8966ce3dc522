"""What lies between metrics and samplers: the unseen split, samples, walks, and scores of snapshots."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gansmith import recipe as recipes
from gansmith import scoring
from gansmith.data import open_dataset
from gansmith.data.dataset import Dataset
from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.fields import Data
from gansmith.metrics import domain
from gansmith.metrics.score import Scorer


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(domain, "LEAST_STEPS", 60)
    monkeypatch.setattr(domain, "EPOCHS", 1)


def pictures(seed=0, count=300):
    r = np.random.RandomState(seed)
    kind = r.choice(3, size=count, p=[0.6, 0.3, 0.1]).astype(np.int64)
    array = r.randint(100, size=(count, 1, 8, 8), dtype=np.uint8) + (kind * 60).astype(np.uint8)[:, None, None, None]
    classes = ("a", "b", "c")
    return Dataset("toy", "image", (1, 8, 8), count, array, labels=kind, classes=classes, fingerprint=f"{seed} {count}")


def sampler(classes=("a", "b", "c"), coded=False):
    def generate(z, labels):
        level = 0 if labels is None else (labels.view(-1, 1, 1, 1) * 60 + 50) / 127.5 - 1
        return z[:, :1, None, None].expand(-1, 1, 8, 8) * 0.2 + level

    return Sampler(generate, shape=(1, 8, 8), modality="image", noise=64, classes=classes, coded=coded)


def test_the_unseen_split_is_the_datas_own():
    spec = Data(source="digits")
    digits = open_dataset(spec)
    assert scoring.unseen_split(digits, spec, opened=True).split == "test"
    assert scoring.unseen_split(digits, spec, opened=False).split == "test"
    assert scoring.unseen_split(pictures(), spec, opened=False) is None  # it only bears that name
    assert scoring.unseen_split(digits, spec.model_copy(update={"split": "all"}), opened=True) is None
    assert scoring.unseen_split(digits, spec.model_copy(update={"limit": 100}), opened=True).count == 297


def test_samples_have_labels_as_frequent_as_the_data():
    scorer, made = Scorer(pictures(), n=200), sampler()
    drawn = scoring.samples_of(made, scorer)(100, 7)
    np.testing.assert_array_equal(drawn.labels, scorer.labels(100, seed=7))
    np.testing.assert_array_equal(drawn.examples, made.decode(made.latents(100, 7), drawn.labels))
    assert scoring.samples_of(sampler(None), scorer)(5, 0).labels is None
    # Classes that a game made up are no labels of the data: the latents hold one each, and nobody may check it.
    coded = scoring.samples_of(sampler(coded=True), scorer)(5, 0)
    assert coded.labels is None
    np.testing.assert_array_equal(coded.examples, made.decode(made.latents(5, 0)))


def test_samples_of_vectors_take_those_of_the_data():
    vectors = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    scorer = Scorer(replace(pictures(), conditions=vectors), n=200)
    told = scorer.conditions(100, seed=7)
    assert told.shape == (100, 2)
    assert {tuple(row) for row in told.tolist()} <= {tuple(row) for row in vectors.tolist()}

    def generate(z, v):
        return v[:, :1, None, None].expand(-1, 1, 8, 8) / 4

    made = Sampler(generate, shape=(1, 8, 8), modality="image", noise=4, conditions=vectors[:3])
    drawn = scoring.samples_of(made, scorer)(100, 7)
    assert drawn.labels is None  # the classifier's classes are no vectors
    np.testing.assert_array_equal(drawn.examples, made.decode(made.latents(100, 7), told))
    with pytest.raises(Refused, match="toy: has no conditions"):
        scoring.samples_of(made, Scorer(pictures(), n=200))(5, 0)


def test_a_walk_goes_along_an_arc_at_an_even_speed():
    seen = []

    def generate(z, labels):
        seen.append(z.double())
        return z.view(-1, 1, 8, 8)

    made = Sampler(generate, shape=(1, 8, 8), modality="image", noise=64)
    scorer = Scorer(pictures(), n=200)
    one, other = scoring.path_of(made, scorer)(50, 1e-2, 3)
    assert one.shape == (50, 1, 8, 8)
    assert one.dtype == torch.float32
    ends = torch.from_numpy(made.latents(100, 3)).double()
    a, b = ends[:50], ends[50:]
    angle = torch.arccos((a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1))
    here, there = seen
    np.testing.assert_allclose(here.norm(dim=1), a.norm(dim=1), rtol=1e-6)
    step = torch.arccos(((here * there).sum(1) / here.norm(dim=1) / there.norm(dim=1)).clamp(max=1))
    np.testing.assert_allclose(step, 1e-2 * angle, rtol=1e-3)
    again = scoring.path_of(made, scorer)(50, 1e-2, 3)
    assert torch.equal(again[0], one)
    assert torch.equal(again[1], other)


def scoring_of(data, told, **fields):
    recipe = recipes.validate({"data": {"source": "toy"}, **fields}, "test")
    return scoring.Scoring(
        recipe, data, opened=False, conditional=True, device=torch.device("cpu"),
        ready=told.append, failed=told.append,
    )  # fmt: skip


def test_snapshots_get_the_metrics_of_the_recipe():
    told = []
    scores = scoring_of(pictures(), told, metrics=["prdc", "accuracy"], eval_samples=150)
    found = scores(sampler())
    assert next(iter(found)) == "precision-toy"
    assert found["accuracy-toy"] > 0.8
    assert scores.cost(found) == -found["precision-toy"]
    assert [*told[0]] == [name for name in found if "/" not in name]
    assert told[0]["recall-toy"]["samples"] == 150
    assert told[0]["recall-toy"]["better"] == "higher"
    assert scores(sampler()) == found  # the same latents at each snapshot
    assert len(told) == 1


def test_where_there_can_be_no_scores_it_says_so_once():
    told = []
    scores = scoring_of(pictures(count=1), told)
    assert scores(sampler()) == scores(sampler()) == {}
    assert len(told) == 1
    assert "at least 2" in told[0]


def test_metrics_that_do_not_exist_are_refused_before_a_training():
    scoring.check_metrics(["fd", "prdc-pixels", "fd-toy"], pictures())
    with pytest.raises(Refused, match="did you mean prdc"):
        scoring.check_metrics(["fd", "prd"], pictures())


def test_examples_are_held_out_where_they_are_at_hand_and_asked_for(tmp_path):
    def recipe(**fields):
        return recipes.validate({"data": {"source": "digits"}, **fields}, "test")

    digits = open_dataset(Data(source="digits"))
    assert scoring.held_out(digits, recipe()).split == "test"
    assert scoring.held_out(digits, recipe(on_trouble="ignore")) is None
    # A training that adapts by them would have seen what it is scored against.
    assert scoring.held_out(digits, recipe(on_trouble="adapt")) is None
    assert scoring.held_out(digits, recipe(on_trouble="ignore", duality_gap=10)).count == 297
    # A hub's would have to be fetched.
    assert scoring.held_out(digits, recipe(data={"source": "some/where"})) is None
