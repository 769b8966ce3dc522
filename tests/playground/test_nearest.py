from dataclasses import replace

import numpy as np
import pytest

import gansmith
from gansmith.data.digits import digits
from gansmith.errors import Refused
from gansmith.metrics.pixels import PixelExtractor
from gansmith.playground import nearest
from gansmith.playground.nearest import Reference, reference_of
from playground.trained import runs


def test_the_nearest_by_pixels_are_those_of_a_plain_search():
    data = digits("train")
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    apart = np.sqrt(((data.array.astype(np.float64) - image) ** 2).mean((1, 2, 3)))
    near = Reference(data).nearest(image, k=5)
    assert near.rows.tolist() == np.argsort(apart, kind="stable")[:5].tolist()
    assert near.distances == pytest.approx(np.sort(apart)[:5], rel=1e-6)
    assert np.array_equal(near.images, data.array[near.rows])
    assert near.labels == [str(data.labels[row]) for row in near.rows]
    assert (near.searched, near.count) == (1500, 1500)


def test_a_training_image_is_its_own_nearest_however_it_is_read(monkeypatch):
    data = digits("train")
    for array, read in ((data.array, None), (None, lambda i: data.array[i])):
        near = Reference(replace(data, array=array, read=read)).nearest(data.array[777], k=2)
        assert (near.rows[0], near.distances[0]) == (777, 0.0)
    monkeypatch.setattr(nearest, "SEARCHED", 100)  # of files only so many are read
    near = Reference(replace(data, array=None, read=lambda i: data.array[i], labels=None)).nearest(data.array[777])
    assert (near.searched, near.count, near.labels) == (100, 1500, None)


def test_by_features_they_are_nearest_in_these(monkeypatch):
    data, extractor, made = digits("train"), PixelExtractor((1, 8, 8)), []
    chosen = nearest.choice.Chosen(extractor, "", "")
    monkeypatch.setattr(nearest.choice, "make", lambda kind, *rest: made.append(kind) or chosen)
    held = Reference(data)
    before = held.bytes
    features = extractor.features(data.array).astype(np.float64)
    for row in (3, 4):
        near = held.nearest(data.array[row], "features", 4)
        apart = np.linalg.norm(features - features[row], axis=1)
        assert near.rows.tolist() == np.argsort(apart, kind="stable")[:4].tolist()
        assert near.distances == pytest.approx(np.sort(apart)[:4])
    assert made == ["domain"]
    assert held.bytes == before + 1500 * 64 * 4


def test_without_labels_there_are_no_features():
    with pytest.raises(Refused, match="no classifier can be fitted to it, since there are no labels"):
        Reference(replace(digits("train"), labels=None)).nearest(np.zeros((1, 8, 8), np.uint8), "features")
    with pytest.raises(Refused, match="pixels or features, not 'smell'"):
        Reference(digits("train")).nearest(np.zeros((1, 8, 8), np.uint8), "smell")


def test_the_data_of_a_run_are_opened_and_checked(monkeypatch):
    for name in ("classed", "plain"):
        model = gansmith.load(runs() / name)
        assert reference_of(model).dataset.count == 1500
    other = replace(digits("train"), fingerprint="other")
    monkeypatch.setattr(nearest, "open_dataset", lambda spec: other)
    with pytest.raises(Refused, match="not those that it began with"):
        reference_of(model)
    part = model.recipe.data.model_copy(update={"reserve": 100})
    monkeypatch.setattr(nearest, "open_dataset", lambda spec: digits("train"))
    model.recipe = model.recipe.model_copy(update={"data": part})
    with pytest.raises(Refused, match="not those that it began with"):  # this run kept none out
        reference_of(model)
