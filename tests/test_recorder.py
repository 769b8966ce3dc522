import errno
import json
import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gansmith import recipe as recipes
from gansmith import run as runs
from gansmith.data.dataset import Dataset
from gansmith.engine.listener import Progress
from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.recorder import Recorder, finite, snapshot_picture

CLASSES = ("zero", "one", "two")


def sampler(classes=CLASSES, shape=(1, 8, 8), modality="image"):
    """A generator whose images are as bright as their label."""

    def generate(z, labels):
        if modality != "image":
            return z[:, :2]
        level = torch.zeros(len(z)) if labels is None else labels.float() / 4
        return level.view(-1, 1, 1, 1).expand(-1, *shape)

    return Sampler(generate, shape=shape, modality=modality, noise=4, classes=classes)


@pytest.fixture
def recipe():
    return recipes.validate({"name": "tiny", "images": 1000}, "test")


@pytest.fixture
def run(tmp_path, recipe):
    return runs.create(tmp_path / "run", recipe, {"status": "running", "data": {"name": "toy"}})


@pytest.fixture
def dataset():
    return Dataset("toy", "image", (1, 8, 8), 5, array=np.zeros((5, 1, 8, 8), np.uint8), classes=CLASSES)


def progress(images, value=1.0):
    return Progress(images, 1000, images / 100, images / 50, 100.0, {"generator/adversarial": value}, {"lr": 1e-3})


def test_events_are_written_line_by_line(run, recipe, dataset):
    recorder = Recorder(tensorboard=False)
    recorder.begin(run, recipe, dataset, 0)
    recorder.progress(progress(100, math.nan))
    recorder.warning(100, "a gradient was not finite")
    recorder.score(100, {"fd-toy": np.float32(2.5), "fd-toy/spread": math.inf})
    text = run.events_file.read_text()  # before the end: each line has been flushed
    assert "NaN" not in text
    assert "Infinity" not in text
    begin, first, warning, score = map(json.loads, text.splitlines())
    assert (begin["event"], begin["recipe"], begin["data"], begin["total"]) == ("begin", "tiny", "toy", 1000)
    assert first["terms"] == {"generator/adversarial": None}
    assert (first["images"], first["total"], first["rate"], first["knobs"]) == (100, 1000, 100.0, {"lr": 1e-3})
    assert warning["text"] == "a gradient was not finite"
    assert score["scores"] == {"fd-toy": 2.5, "fd-toy/spread": None}
    recorder.end(100, "interrupted")
    assert next(iter(run.events("end")))["reason"] == "interrupted"
    assert run.report_file.exists()
    assert not run.tensorboard_folder.exists()


def test_finite_goes_to_any_depth():
    assert finite({"a": [1.0, math.nan, {"b": -math.inf}], "c": np.int64(3)}) == {"a": [1.0, None, {"b": None}], "c": 3}


def test_snapshots_use_the_same_latents_and_one_class_per_column(run, recipe, dataset):
    recorder = Recorder(tensorboard=False)
    recorder.begin(run, recipe, dataset, 0)
    recorder.snapshot(100, sampler())
    recorder.snapshot(200, sampler())
    recorder.end(200, "done")
    assert [images for images, _ in run.samples()] == [100, 200]
    one, two = (path.read_bytes() for _, path in run.samples())
    assert one == two
    pixels = np.asarray(Image.open(run.sample_file(100)))
    column = [pixels[20, 20 + 72 * k] for k in range(3)]
    assert column == sorted(set(column))
    assert [e["file"] for e in run.events("snapshot")] == ["samples/000000000100.png", "samples/000000000200.png"]


@pytest.mark.parametrize(
    ("maker", "size"),
    [
        ({"classes": None}, (8 * 72 + 8, 8 * 72 + 8)),
        ({"classes": tuple(map(str, range(1000)))}, (16 * 72 + 8, 8 * 72 + 8)),
        ({"classes": None, "shape": (3, 512, 512)}, (2 * 514 + 2, 2 * 514 + 2)),
        ({"classes": None, "shape": (2,), "modality": "points"}, (512, 512)),
    ],
)
def test_snapshot_pictures_stay_within_bounds(maker, size):
    assert snapshot_picture(sampler(**maker)).size == size


def test_a_modality_without_pictures_has_none(run, recipe, dataset):
    assert snapshot_picture(sampler(classes=None, shape=(7,), modality="table")) is None


def test_resuming_drops_what_is_later_than_the_checkpoint(run, recipe, dataset):
    first = Recorder()
    first.begin(run, recipe, dataset, 0)
    for images in (100, 200, 300):
        first.progress(progress(images, images))
        first.snapshot(images, sampler())
    first.end(300, "interrupted")
    second = Recorder()
    second.begin(run, recipe, dataset, 200)
    assert [e["images"] for e in run.events("progress")] == [100, 200]
    assert [images for images, _ in run.samples()] == [100, 200]
    second.progress(progress(300, 7.0))
    second.end(300, "done")
    board = EventAccumulator(str(run.tensorboard_folder)).Reload()
    values = [(e.step, e.value) for e in board.Scalars("loss/generator/adversarial")]
    assert values == [(100, 100.0), (200, 200.0), (300, 7.0)]
    assert [e.step for e in board.Images("samples")] == [100, 200]


def test_without_tensorboard_the_rest_is_written(run, recipe, dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    recorder = Recorder()
    recorder.begin(run, recipe, dataset, 0)
    recorder.progress(progress(100))
    recorder.end(100, "done")
    assert run.report_file.exists()


class Full:
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_said_plainly(run, recipe, dataset):
    recorder = Recorder(tensorboard=False)
    recorder.begin(run, recipe, dataset, 0)
    recorder._close()
    recorder._events = Full()
    with pytest.raises(Refused, match=r"events\.jsonl: the disk is full\nFree some space; then `gansmith resume"):
        recorder.progress(progress(100))
    recorder._close()  # does not raise again


def test_points_are_drawn_over_the_real_ones(run, recipe):
    dataset = Dataset("ring", "points", (2,), 4, array=np.array([[0, 1], [1, 0], [0, -1], [-1, 0]], np.float32))
    recorder = Recorder(tensorboard=False)
    recorder.begin(run, recipe, dataset, 0)
    recorder.snapshot(100, sampler(classes=None, shape=(2,), modality="points"))
    recorder.end(100, "done")
    with Image.open(run.sample_file(100)) as picture:
        assert picture.size == (512, 512)
