"""Pictures: what shifts and flips do to known ones, how a classifier learns each way, and the generator's classes."""

import signal

import numpy as np
import pytest
import torch

from gansmith.applications.augmenting_images import Classifier, Pictures, flips, shifts
from gansmith.applications.benefit import PLAIN, balanced_accuracy
from gansmith.engine.listener import Listener


def test_shifts_move_whole_pictures_and_edges_go_on():
    x = torch.arange(16 * 16, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(50, 2, 1, 1)
    moved = shifts(x, torch.Generator().manual_seed(0))
    seen = set()
    for each in moved[:, 1]:
        matches = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(each, x[0, 0][(torch.arange(16) + dy).clamp(0, 15)][:, (torch.arange(16) + dx).clamp(0, 15)])
        ]
        assert len(matches) == 1
        seen |= set(matches)
    assert len(seen) > 12
    assert torch.equal(moved[:, 0], moved[:, 1])


def test_flips_mirror_about_every_other_one():
    x = torch.arange(12, dtype=torch.uint8).reshape(1, 1, 3, 4).repeat(200, 1, 1, 1)
    made = flips(x, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(each, x[0].flip(2)) for each in made]
    assert all(a or torch.equal(each, x[0]) for a, each in zip(mirrored, made, strict=True))
    assert 70 < sum(mirrored) < 130


def bars(n=40, seed=0):
    """Upright and lying bars, with noise."""
    random = np.random.default_rng(seed)
    labels = random.integers(2, size=n)
    images = random.integers(0, 60, (n, 1, 8, 8))
    for image, label in zip(images[:, 0], labels, strict=True):
        place = random.integers(1, 7)
        image[(slice(None), place) if label else (place, slice(None))] += 150
    return images.astype(np.uint8), labels.astype(np.int64)


@pytest.mark.parametrize("way", [PLAIN, "class weights", "flips", "shifts", "mixup", "GAN", "GAN and shifts"])
def test_a_classifier_learns_each_way(way, monkeypatch):
    monkeypatch.setattr("gansmith.applications.augmenting_images.STEPS", 150)
    kind = Pictures((1, 8, 8), ["lying", "upright"], uneven=True)
    (images, labels), (test, truth) = bars(), bars(200, 1)
    made = bars(40, 2) if kind.ways[way] else (None, None)
    judge = kind.judge(images, labels, 0, way, *made)
    found = judge.shares(test)
    assert found.sum(1) == pytest.approx(np.ones(200))
    assert balanced_accuracy(truth, found) > 0.9
    assert judge.features(test).shape == (200, 128)


def test_equal_seeds_equal_classifiers_and_torch_is_left_alone(monkeypatch):
    monkeypatch.setattr("gansmith.applications.augmenting_images.STEPS", 5)
    images, labels = bars()
    state = torch.random.get_rng_state()
    found = []
    for seed in (0, 0, 1):
        judge = Classifier((1, 8, 8), 2, seed)
        judge.fit(images, labels, None, None, changes=(shifts,), mixed=True, weights=None)
        found.append(judge.shares(images))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_weights_pull_towards_the_rare_class(monkeypatch):
    monkeypatch.setattr("gansmith.applications.augmenting_images.STEPS", 30)
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 255, (100, 1, 8, 8)).astype(np.uint8), np.repeat([0, 1], [95, 5])
    kind = Pictures((1, 8, 8), ["a", "b"], uneven=True)
    test = random.integers(0, 255, (100, 1, 8, 8)).astype(np.uint8)
    plain, weighed = (kind.judge(images, labels, 0, way).shares(test)[:, 1].mean() for way in (PLAIN, "class weights"))
    assert plain < 0.2 < weighed


def test_a_generator_makes_pictures_of_a_class(tmp_path):
    images, labels = bars()
    quick = {"precision": "fp32", "compile": "off"}
    kind = Pictures((1, 8, 8), ["lying", "upright"], images=128, device="cpu", overrides=quick)
    maker = kind.generator(images, labels, 0, tmp_path / "run")
    made = maker(1, 5, 7)
    assert made.shape == (5, 1, 8, 8)
    assert np.abs(made[:3].astype(int) - maker(1, 3, 7)).max() <= 1
    assert not np.array_equal(made, maker(0, 5, 7))


def test_an_interrupted_generator_makes_nothing(tmp_path):
    class Interrupts(Listener):
        def progress(self, progress):
            signal.raise_signal(signal.SIGINT)

    images, labels = bars()
    kind = Pictures((1, 8, 8), ["lying", "upright"], images=100_000, device="cpu", overrides={"compile": "off"})
    with pytest.raises(KeyboardInterrupt):
        kind.generator(images, labels, 0, tmp_path / "run", [Interrupts()])


def test_class_weights_are_tried_where_classes_are_uneven():
    assert "class weights" in Pictures((1, 8, 8), ["a", "b"], uneven=True).ways
    assert "class weights" not in Pictures((1, 8, 8), ["a", "b"]).ways
