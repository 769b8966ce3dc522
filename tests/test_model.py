import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine.playing import RECIPES, pictures

import gansmith
from gansmith import recipe as recipes
from gansmith import training
from gansmith.engine import checkpoint, hardware, measure
from gansmith.engine.listener import Listener
from gansmith.errors import Refused


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(measure.trial, "__defaults__", (0.0,))
    with hardware.borrowed():
        torch.set_num_threads(1)
        yield


def recipe_of(name, **fields):
    base = {"name": name, "noise": 6, "batch": 8, "images": 160, "seed": 3, "score": False, "precision": "fp32",
            "snapshots": 4}  # fmt: skip
    return recipes.validate(recipes.merge({**base, **RECIPES[name]}, fields), "test")


class Keeps(Listener):
    """Keeps what each snapshot's sampler draws."""

    def __init__(self):
        self.drawn = {}

    def snapshot(self, images, sampler):
        self.drawn[images] = sampler.sample(70, seed=5)


class Scores:
    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, sampler):
        return {"fd": self.values.pop(0)}

    def cost(self, scores):
        return scores["fd"]


@pytest.mark.parametrize("route", ["highest", "medium"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan"])
def test_a_loaded_model_draws_what_the_last_snapshot_drew(tmp_path, monkeypatch, name, precision, route):
    found = hardware.Probe(route, 1.0, 1e-7, 1.0, 0.0)
    monkeypatch.setattr(hardware, "probe", lambda _=None: found)
    keeps = Keeps()
    run = gansmith.train(recipe_of(name, precision=precision), pictures(), tmp_path / "run", listeners=[keeps])
    assert torch.get_float32_matmul_precision() == "highest"
    model = gansmith.load(run.path)
    assert np.array_equal(model.sample(70, seed=5), keeps.drawn[160])
    assert not np.array_equal(keeps.drawn[120], keeps.drawn[160])
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "Scoring", lambda *_, **__: Scores(9, 2, 5, 4))
    keeps = Keeps()
    made = gansmith.train(recipe_of("dcgan", score=True), pictures(), tmp_path / "run", listeners=[keeps])
    return made, keeps


def test_the_best_or_a_given_checkpoint_can_be_loaded(run):
    made, keeps = run
    best = gansmith.load(made.path, checkpoint="best")
    assert best.images == 80
    assert np.array_equal(best.sample(70, seed=5), keeps.drawn[80])
    assert gansmith.load(made.path).images == 160
    assert np.array_equal(gansmith.load(made.path, checkpoint=120).sample(70, seed=5), keeps.drawn[120])
    with pytest.raises(Refused, match="no checkpoint '77'") as caught:
        gansmith.load(made.path, checkpoint=77)
    assert "80, 120, 160" in caught.value.remedy


def test_a_model_says_what_it_is(run):
    made, _ = run
    model = gansmith.load(made.path)
    assert (model.shape, model.modality, model.noise) == ((1, 16, 16), "image", 6)
    assert model.classes == ("a", "b", "c")
    assert model.recipe == made.recipe()
    assert model.run.path == made.path
    assert not model.game.training
    assert not any(p.requires_grad for p in model.game.parameters())
    assert all(p.dtype == torch.float32 for p in model.game.parameters())


def test_samples_of_a_seed_do_not_depend_on_their_number(run):
    model = gansmith.load(run[0].path)
    many = model.sample(300, seed=1)
    assert many.dtype == np.uint8
    assert many.shape == (300, 1, 16, 16)
    for n in (1, 8, 299):
        # A matrix product of another number of rows may round otherwise: by a grey level at most.
        assert np.abs(model.sample(n, seed=1).astype(int) - many[:n].astype(int)).max() <= 1
    assert np.array_equal(model.sample(300, seed=1), many)
    assert not np.array_equal(model.sample(300, seed=2), many)


def test_labels_choose_what_is_drawn(run):
    model = gansmith.load(run[0].path)
    assert np.array_equal(model.sample(9, label="b"), model.sample(9, label=1))
    assert not np.array_equal(model.sample(9, label="b"), model.sample(9, label="c"))
    turns = model.sample(6, seed=4)
    assert np.array_equal(turns[1::3], model.sample(6, seed=4, label=1)[1::3])
    with pytest.raises(ValueError, match="no label 'd'; the model knows a, b, c"):
        model.sample(1, label="d")


def test_truncation_draws_nearer_to_the_middle(run):
    model = gansmith.load(run[0].path)
    assert np.array_equal(model.latents(5, 3)[:2], model.latents(2, 3))
    assert np.array_equal(
        model.sample(20, truncation=0.5), model.decode(model.latents(20, 0) * np.float32(0.5), model.labels_for(20))
    )
    wide, narrow = (model.sample(200, label=0, truncation=t).astype(float).std(0).mean() for t in (1.0, 0.1))
    assert narrow < 0.5 * wide


def test_a_model_without_labels_knows_none(tmp_path):
    run = gansmith.train(recipe_of("gan"), pictures(), tmp_path / "run", images=16)
    model = gansmith.load(run.path)
    assert model.classes is None
    with pytest.raises(ValueError, match="trained without labels"):
        model.sample(1, label=0)


@pytest.mark.parametrize(("stop", "phase", "side"), [(40, "4", 4), (100, "8 fade", 8), (180, "16 fade", 16)])
def test_a_model_of_a_training_that_was_stopped_while_it_grew_draws_at_its_level(tmp_path, stop, phase, side):
    class Stops(Listener):
        def progress(self, progress):
            if progress.images >= stop:
                signal.raise_signal(signal.SIGINT)

    # Phases of 60 images.
    recipe = recipe_of("pggan", conditional=False, images=480, snapshots=24)
    keeps = Keeps()
    run = gansmith.train(recipe, pictures(), tmp_path / "run", listeners=[Stops(), keeps])
    assert "phases: 4 to 60, 8 fade to 120, 8 to 180, 16 fade to 240, 16 to 480" in run.info()["notes"]
    model = gansmith.load(run.path)
    assert model.images < 480
    assert checkpoint.newest(run).rest["phase"] == phase
    drawn, step = model.sample(70, seed=5), 16 // side
    assert np.array_equal(drawn, keeps.drawn[model.images])
    assert np.array_equal(drawn, drawn[:, :, ::step, ::step].repeat(step, 2).repeat(step, 3))
    assert len(np.unique(drawn)) > 4


def test_a_damaged_latest_checkpoint_is_passed_over_aloud(run):
    made, keeps = run
    made.checkpoint_file(160).write_bytes(b"cut")
    with pytest.warns(UserWarning, match="damaged.*the one of image 120 is used"):
        model = gansmith.load(made.path)
    assert np.array_equal(model.sample(70, seed=5), keeps.drawn[120])
    with pytest.raises(Refused, match="damaged"):
        gansmith.load(made.path, checkpoint=160)


def test_what_is_no_run_or_was_never_scored_is_refused(tmp_path):
    with pytest.raises(Refused, match="not a run"):
        gansmith.load(tmp_path)
    run = gansmith.train(recipe_of("gan"), replace(pictures(), labels=None), tmp_path / "run", images=16)
    with pytest.raises(Refused, match="was never scored"):
        gansmith.load(run.path, checkpoint="best")


def test_a_codes_classes_are_asked_for_as_labels_are(tmp_path):
    keeps = Keeps()
    run = gansmith.train(recipe_of("infogan"), pictures(), tmp_path / "run", listeners=[keeps])
    model = gansmith.load(run.path)
    assert model.classes == ("0", "1", "2")
    assert model.coded
    assert not model.labelled
    assert np.array_equal(model.sample(70, seed=5), keeps.drawn[160])  # each class in turn
    z = model.latents(6, 1)
    asked = model.decode(z, np.full(6, 2))
    z[:, :3] = [-1, 0, 1]  # the greatest is the class
    assert np.array_equal(model.decode(z), asked)
    assert run.info()["data"]["conditional"] is False


def test_vectors_that_condition_are_kept_with_the_run(tmp_path):
    data, keeps = pictures(), Keeps()
    vectors = np.stack([data.labels / 2 - 0.5, np.linspace(-1, 1, data.count)], 1)
    data = replace(data, conditions=vectors.astype(np.float32), fingerprint="")
    run = gansmith.train(recipe_of("dcgan"), data, tmp_path / "run", listeners=[keeps])
    assert run.recipe().conditional
    model = gansmith.load(run.path)
    assert model.classes is None
    assert np.array_equal(model.sample(70, seed=5), keeps.drawn[160])
    assert not np.array_equal(*(model.sample(5, seed=1, label=(side, 0.0)) for side in (-0.5, 0.5)))
    assert model.conditions.shape == (64, 2)
    # The vectors are told in the labels' place, and are part of the data; or neither is told.
    assert run.info()["data"]["conditional"] is False
    with pytest.raises(Refused, match="the data are not those"):
        training.resume(_unfinished(run), data=replace(data, conditions=data.conditions + 1, fingerprint=""))
    plain = gansmith.train(recipe_of("dcgan", conditional=False), data, tmp_path / "plain")
    assert gansmith.load(plain.path).labels_for(3) is None


def _unfinished(run):
    run.update_info(status="interrupted")
    return run.path
