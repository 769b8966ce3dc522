"""The Explore room: shows what a trained image model makes, and how what it makes hangs together."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gansmith
from gansmith import media
from gansmith import recipe as recipes
from gansmith.errors import GansmithError, Refused
from gansmith.insight.directions import WAYS as DIRECTED
from gansmith.insight.directions import shifted
from gansmith.model import Model
from gansmith.playground import apart, asked
from gansmith.playground.asked import Asked
from gansmith.playground.folder import Folder
from gansmith.playground.following import OfFile
from gansmith.playground.models import Held, Models
from gansmith.playground.nearest import WAYS as NEARBY
from gansmith.playground.nearest import Reference, reference_of
from gansmith.playground.room import House, Message, Post, Room

MOST = 144
"""Samples of a grid."""

FRAMES, STOPS = 360, 24
"""Frames of a walk, and samples that it passes."""

PIXELS = 4_000_000
"""Of a grid or a walk: of larger images there are fewer."""

FAR = 8.0
"""Deviations to which a slider of a direction goes, at most."""

DATA = 1 << 30
"""Bytes of training data that are kept to look for neighbours in; of more, the last."""


class Handler(Room):
    """One page's view of models; all pages have the same, in a process of its own."""

    def __init__(self, house: House, post: Post) -> None:
        super().__init__(house, post)
        self.worker = house.once("explore", lambda: apart.Worker(Explore, str(house.runs)))

    def hear(self, message: Message) -> Message:
        """Answer."""
        return self.worker.answer({key: value for key, value in message.items() if key not in ("room", "id")})


@dataclass(frozen=True)
class Sample:
    """One sample: the index-th of a seed, and its class; None is what `gansmith sample` would give it."""

    seed: int
    index: int
    label: int | None


@dataclass(frozen=True)
class View:
    """How samples are looked at: the sliders, which are of all samples alike."""

    truncation: float
    by: str
    amounts: list[float]


class Explore:
    """Answers what a page asks of the models in a folder; each answer is plain JSON.

    Args:
        folder: the runs.
        models: those that are held.
    """

    def __init__(self, folder: Folder | str | Path, models: Models | None = None) -> None:
        self.folder = folder if isinstance(folder, Folder) else Folder(folder)
        self.models = models or Models(self.folder)
        self._infos: dict[str, OfFile[dict[str, Any]]] = {}
        self._data: dict[str, Reference] = {}
        self.answers: Mapping[str, Callable[[Asked], dict[str, Any]]] = {
            "models": self.listing, "open": self.open, "grid": self.grid, "one": self.one, "walk": self.walk,
            "directions": self.directions, "nearest": self.nearest, "save": self.save,
        }  # fmt: skip

    def answer(self, request: Asked) -> dict[str, Any]:
        """The answer to `request["do"]`.

        Raises:
            Refused: whatever is wrong with the request, in one plain line or two.
        """
        return self.answers[asked.one_of(request, "do", tuple(self.answers))](request)

    def listing(self, request: Asked) -> dict[str, Any]:
        """The runs whose models make images of noise, by name."""
        found = []
        for name, run in self.folder.runs().items():
            try:
                info = self._infos.setdefault(name, OfFile(run.info_file, run.info)).get()
                files = run.checkpoints()
                data = info.get("data") or {}
                if files and data.get("modality") == "image" and info.get("use") is None:
                    found.append(
                        {
                            "run": name,
                            "data": data.get("name"),
                            "shape": data.get("shape"),
                            "images": int(files[-1].stem),
                        }
                    )
            except GansmithError:
                continue  # the Runs room says that it is damaged
        return {"models": found}

    def open(self, request: Asked) -> dict[str, Any]:
        """What a model is: shape, classes, clock, checkpoints."""
        name, held = self._model(request)
        model = held.model
        return {
            "run": name, "recipe": model.recipe.name, "images": model.images, "shape": list(model.shape),
            "noise": model.noise, "classes": list(model.classes) if model.classes else None,
            "vectors": model.conditions is not None, "checkpoints": [int(f.stem) for f in model.run.checkpoints()],
            "notes": held.notes, "device": str(model.device),
        }  # fmt: skip

    def directions(self, request: Asked) -> dict[str, Any]:
        """A model's main directions: how many, in which space, and what each accounts for."""
        _, held = self._model(request)
        found = held.directions(asked.one_of(request, "by", DIRECTED, DIRECTED[0]))
        return {"shares": found.shares.tolist(), "space": found.space, "number": len(found.shares)}

    def grid(self, request: Asked) -> dict[str, Any]:
        """The first `n` samples of a seed, of one class or of each in turn, as one picture without gaps."""
        _, held = self._model(request)
        room = max(1, PIXELS // math.prod(held.model.shape[1:]))
        n = min(asked.whole(request, "n", 36, least=1, most=MOST), room)
        seed, label = _seed(request), _label(request, held.model)
        samples = [Sample(seed, index, label) for index in range(n)]
        return _sheet(self._made(held, samples, _view(request)))

    def one(self, request: Asked) -> dict[str, Any]:
        """Some samples, each by its own seed, index and class."""
        _, held = self._model(request)
        samples = _samples(request, held.model)
        return _sheet(self._made(held, samples, _view(request)))

    def walk(self, request: Asked) -> dict[str, Any]:
        """Frames from sample to sample and back to the first, each way along an arc; a class changes half way."""
        _, held = self._model(request)
        stops, model = _samples(request, held.model), held.model
        if len(stops) < 2:
            raise Refused("a walk needs two samples or more")
        most = min(FRAMES, max(2 * len(stops), PIXELS // math.prod(model.shape[1:])))
        steps = min(asked.whole(request, "steps", 24, least=2, most=FRAMES), most // len(stops))
        z, labels = _latents(model, stops), _labels(model, stops)
        path = np.concatenate(list(media.tour(z[:, None], steps)))
        owners = (np.arange(len(path)) + steps // 2) // steps % len(stops)
        frames = self._decoded(held, path, None if labels is None else labels[owners], _view(request))
        return {**_sheet(frames), "steps": steps}

    def nearest(self, request: Asked) -> dict[str, Any]:
        """The training images nearest to a sample, in pixels or features (`near`), with their places and distances."""
        name, held = self._model(request)
        samples = _samples(request, held.model)[:1]
        by, k = asked.one_of(request, "near", NEARBY, NEARBY[0]), asked.whole(request, "k", 6, least=1, most=24)
        image = self._made(held, samples, _view(request))[0]
        near = self._reference(name, held.model).nearest(image, by, k)
        return {
            **_sheet(near.images), "rows": near.rows.tolist(), "distances": near.distances.tolist(),
            "labels": near.labels, "searched": near.searched, "count": near.count, "by": by,
        }  # fmt: skip

    def save(self, request: Asked) -> dict[str, Any]:
        """A sample as a PNG that says where it came from, and the command that makes it, where there is one."""
        name, held = self._model(request)
        sample, view = _samples(request, held.model)[0], _view(request)
        image = self._made(held, [sample], view)[0]
        told = provenance(name, held.model, sample, view)
        packed = io.BytesIO()
        media.picture(image).save(packed, format="PNG", pnginfo=chunks(told))
        file = f"{name.replace('/', '-').strip('.') or held.model.recipe.name}-seed{sample.seed}-{sample.index:06d}.png"
        return {"file": file, "png": _base64(packed.getvalue()), "told": told}

    # --- the parts -----------------------------------------------------------------------------

    def _model(self, request: Asked) -> tuple[str, Held]:
        name = asked.text(request, "run")
        images = None if request.get("checkpoint") is None else asked.whole(request, "checkpoint", most=10**12 - 1)
        return name, self.models.get(name, images)

    def _made(self, held: Held, samples: Sequence[Sample], view: View) -> NDArray[np.uint8]:
        return self._decoded(held, _latents(held.model, samples), _labels(held.model, samples), view)

    def _decoded(
        self, held: Held, z: NDArray[np.float32], labels: NDArray[Any] | None, view: View
    ) -> NDArray[np.uint8]:
        if not any(view.amounts):
            return held.model.decode(z, labels, truncation=view.truncation)
        found = held.directions(view.by)
        with _plainly(), shifted(held.model.game, found, view.amounts) as step:
            return held.model.decode(z if step is None else z + step, labels, truncation=view.truncation)

    def _reference(self, name: str, model: Model) -> Reference:
        if name not in self._data:
            self._data[name] = reference_of(model)
        self._data[name] = self._data.pop(name)  # the last one now
        while len(self._data) > 1 and sum(each.bytes for each in self._data.values()) > DATA:
            del self._data[next(iter(self._data))]
        return self._data[name]


def provenance(name: str, model: Model, sample: Sample, view: View) -> dict[str, str]:
    """Where a sample came from: all that makes it again, and no path of this machine.

    Args:
        name: of the run, in its folder.
        model: of the run.
        sample: which.
        view: the sliders.
    """
    label = sample.label
    told = {
        "Software": f"gansmith {gansmith.__version__}", "run": name, "recipe": model.recipe.name,
        "recipe sha256": hashlib.sha256(recipes.dump(model.recipe).encode()).hexdigest(),
        "data": str((model.run.info().get("data") or {}).get("name")), "checkpoint": str(model.images),
        "seed": str(sample.seed), "index": str(sample.index), "truncation": f"{view.truncation:g}",
    }  # fmt: skip
    if model.classes:
        told["label"] = model.classes[sample.index % len(model.classes) if label is None else label]
    if any(view.amounts):
        told["directions"] = json.dumps({"by": view.by, "amounts": view.amounts})
    else:
        words = ["gansmith", "sample", f"RUNS/{name}", "--checkpoint", str(model.images), "-n", str(sample.index + 1)]
        words += ["--seed", str(sample.seed)]
        words += ["--label", str(label)] if model.classes and label is not None else []
        words += ["--truncation", f"{view.truncation:g}"] if view.truncation != 1 else []
        told["command"] = shlex.join([*words, "--out", "samples/"]) + f"  # the last of {sample.index + 1}"
    return told


def chunks(told: Mapping[str, str]) -> Any:
    """Texts as a PNG keeps them: tEXt chunks, or iTXt where a text needs more than Latin letters."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in told.items():
        info.add_text(key, value)
    return info


def _seed(request: Asked) -> int:
    return asked.whole(request, "seed", 0)


def _label(request: Asked, model: Model) -> int | None:
    if request.get("label") is None:
        return None
    if not model.classes:
        raise Refused("label: this model was trained without labels, so none can be asked for")
    return asked.whole(request, "label", most=len(model.classes) - 1)


def _samples(request: Asked, model: Model) -> list[Sample]:
    found = []
    for each in asked.several(request, "samples", STOPS):
        told = asked.part(each, "samples")
        found.append(Sample(_seed(told), asked.whole(told, "index", 0, most=MOST - 1), _label(told, model)))
    if not found:
        raise Refused("samples: expected one or more")
    return found


def _view(request: Asked) -> View:
    amounts = [
        asked.real({"amounts": each}, "amounts", least=-FAR, most=FAR)
        for each in asked.several(request, "amounts", 64, [])
    ]
    truncation = asked.real(request, "truncation", 1.0, least=0.01, most=1.0)
    return View(truncation, asked.one_of(request, "by", DIRECTED, DIRECTED[0]), amounts)


@contextmanager
def _plainly() -> Any:
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from None


def _latents(model: Model, samples: Sequence[Sample]) -> NDArray[np.float32]:
    drawn = {
        seed: model.latents(max(each.index for each in samples if each.seed == seed) + 1, seed)
        for seed in dict.fromkeys(each.seed for each in samples)
    }
    return np.stack([drawn[each.seed][each.index] for each in samples])


def _labels(model: Model, samples: Sequence[Sample]) -> NDArray[Any] | None:
    """As `gansmith sample` has them: the one asked for, or each class (or the training's vectors) in turn."""
    turns = model.labels_for(max(each.index for each in samples) + 1)
    if turns is None:
        return None
    labels = turns[[each.index for each in samples]]
    if model.classes:
        for i, each in enumerate(samples):
            labels[i] = labels[i] if each.label is None else each.label
    return labels


def _sheet(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Images as one picture without gaps, and how to cut it."""
    n, _, height, width = images.shape
    columns = math.ceil(math.sqrt(n * height / width)) if n > 1 else 1
    columns = min(max(columns, 1), n)
    packed = io.BytesIO()
    media.grid(images, columns, padding=0, scale=1).save(packed, format="PNG", compress_level=1)
    sheet = f"data:image/png;base64,{_base64(packed.getvalue())}"
    return {"picture": sheet, "n": n, "columns": columns, "width": width, "height": height}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
