"""Fakes of what the commands call, so that their tests are about the commands alone."""

from pathlib import Path

import numpy as np
import torch

from gansmith import recipe as recipes
from gansmith import run as runs
from gansmith.data.dataset import Dataset
from gansmith.engine.listener import Progress
from gansmith.engine.sampler import Sampler, latents
from gansmith.recorder import Recorder


class Model(Sampler):
    """A trained model whose pixels follow its latents."""

    images = 600

    def latents(self, n, seed):
        return latents(n, self.noise, seed)


def make_model(classes=("a", "b", "c"), modality="image"):
    shape = (1, 8, 8) if modality == "image" else (2,)

    def generate(z, labels):
        if modality != "image":
            return z[:, :2]
        level = torch.zeros(len(z)) if labels is None else labels.float() / 4
        return (z[:, :1] / 8 + level[:, None]).view(-1, 1, 1, 1).expand(-1, *shape)

    return Model(generate, shape=shape, modality=modality, noise=4, classes=classes)


def make_run(path, *, end="done", images=600, name="tiny", scored=True):
    """A finished run as the recorder leaves it."""
    run = runs.create(path, recipes.validate({"name": name, "images": 1000}, "test"), {"data": {"name": "toy"}})
    play(run, (Recorder(tensorboard=False),), end=end, images=images, scored=scored)
    return run


def play(run, listeners, *, problems=(), end="done", images=600, scored=True):
    dataset = Dataset(
        "toy", "image", (1, 8, 8), 5, array=np.zeros((5, 1, 8, 8), np.uint8), classes=("a", "b", "c"),
        problems=tuple(problems), notes=("a note",),
    )  # fmt: skip
    for listener in listeners:
        listener.begin(run, run.recipe(), dataset, 0)
    terms = {"discriminator/adversarial": 1.0, "discriminator/r1": 0.25, "generator/adversarial": 2.0}
    for listener in listeners:
        listener.progress(Progress(images, 1000, 12.0, 24.0, 50.0, terms, {"lr": 1e-3}))
        if scored:
            listener.score(images, {"fd-toy": 3.25, "fd-toy/spread": 0.5})
        listener.snapshot(images, make_model())
        listener.warning(images, "a [warning]")
        listener.end(images, end)


class Engine:
    """Stands for `gansmith.train`, `plan`, `resume` and `load`; notes how it was called."""

    def __init__(self):
        self.calls, self.problems, self.end, self.raises = [], (), "done", None
        self.model = make_model()

    def train(self, **arguments):
        self.calls.append(arguments)
        listeners = arguments["listeners"]
        run = runs.create(arguments["out"], recipes.validate({"name": "tiny", "images": 1000}, "test"), {})
        play(run, (Recorder(tensorboard=False), *listeners), problems=self.problems, end=self.end)
        if self.raises:
            run.checkpoint_folder.mkdir()
            run.checkpoint_file(600).write_bytes(b"")
            raise self.raises
        return run

    def plan(self, **arguments):
        self.calls.append(arguments)
        return self

    def lines(self):
        return ["a plan"]

    def resume(self, path, **arguments):
        self.calls.append({"path": path, **arguments})
        run = runs.Run(Path(path))
        play(run, arguments["listeners"], end=self.end)
        return run

    def load(self, path, **arguments):
        self.calls.append({"path": path, **arguments})
        return self.model
