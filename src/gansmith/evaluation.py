"""Evaluate a run, or any pictures: what the command line calls, and a Python user too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import gansmith
from gansmith import media, scoring
from gansmith import model as models
from gansmith import recipe as recipes
from gansmith.data import Dataset, open_dataset
from gansmith.engine import hardware
from gansmith.errors import Refused
from gansmith.metrics import reading
from gansmith.metrics.choice import CHEAP
from gansmith.metrics.score import Drawn, Scorer
from gansmith.recipe import Data
from gansmith.report import write_report
from gansmith.run import Run
from gansmith.scores import Evaluation, keep

SHOWN, NEAREST, SEARCHED = 10, 6, 20_000
"""Samples in the picture of neighbours, neighbours of each, and examples among which they are sought."""


def evaluate(
    what: str | Path | Dataset,
    data: str | Dataset | None = None,
    *,
    metrics: Sequence[str] | None = None,
    n: int | None = None,
    seed: int = 0,
    reference: str = "test",
    checkpoint: str | int = "latest",
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
    cache: bool = True,
    weights: Mapping[str, str] | None = None,
    download: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a run, or any pictures, against data; a run keeps the scores, and its report shows them.

    Args:
        what: a run's folder; or pictures, as a path or a dataset.
        data: what to score against, a name, a path or a dataset; None is what the run was trained on.
        metrics: `fid`, `kd`, `prdc`, …; None chooses by what the data and the machine allow.
        n: samples; None is 10,000, or as many as there are.
        seed: of the samples, and of all that a metric draws.
        reference: `test`, the split that is never trained on, where there is one; or `train`.
        checkpoint: of a run: `latest`, `best`, or images on the clock.
        device: where to compute.
        options: data options by name (`root`, `resolution`, …), for the data and for pictures alike.
        cache: keep features of the reference for next time.
        weights: where published weights lie, by extractor (`inception`, `dinov2`), if not in the usual places.
        download: published weights may be downloaded.
        say: told, in one line, of work that takes long.
        progress: told of samples done, and in all.

    Returns:
        The evaluation.

    Raises:
        Refused: no such run, pictures or data; unlike sizes; a metric that cannot be had or needs more samples.
    """
    began = time.perf_counter()
    if reference not in ("test", "train"):
        raise Refused(f"reference: test or train, not {reference!r}")
    place, given = hardware.pick_device(device), dict(options or {})
    run = _run_of(what)
    source: Any
    if run is not None:
        source = models.load(run.path, checkpoint=checkpoint, device=device)
        train, test = _splits(data, given, run.recipe().data, data is None)
        shape, conditional = source.shape, source.classes is not None
    else:
        if data is None:
            raise Refused(f"{what}: pictures need data to be scored against", "Give --data NAME_OR_PATH.")
        source = what if isinstance(what, Dataset) else open_dataset(Data(source=str(what), **given))
        train, test = _splits(data, given, Data(), False)
        shape, conditional = source.shape, _same_classes(source, train)
    if tuple(shape) != tuple(train.shape):
        remedy = f"Read both at one size: --resolution {shape[-2]}x{shape[-1]}." if len(shape) == 3 else None
        raise Refused(f"{_name(what)} makes {_sides(shape)}, but {train.name} holds {_sides(train.shape)}", remedy)
    if isinstance(source, Dataset):
        n = _count(source, n)
    scorer = Scorer(
        train, test if reference == "test" else None, metrics=metrics, labelled=conditional, quick=False, seed=seed,
        n=n, cache=cache, device=place, say=say, weights=weights, download=download,
    )  # fmt: skip
    notes = _notes(scorer, train, test, reference)
    for note in notes:
        if say:
            say(note)
    if isinstance(source, Dataset):
        rows = reading.some(source, scorer.n, seed)
        scores = scorer.evaluate(_Pictures(source, rows, conditional), seed=seed, progress=progress)
    else:
        sample, path = scoring.samples_of(source, scorer), scoring.path_of(source, scorer)
        scores = scorer.evaluate(sample, seed=seed, path=path, progress=progress)
    if not scores:
        raise Refused(f"{_name(what)}: its samples are not finite")
    made = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"), "device": str(place), "gansmith": gansmith.__version__,
        "torch": torch.__version__, "numpy": np.__version__, "seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip
    found = Evaluation(_name(what), getattr(source, "images", None), scores, notes, made)
    if run is not None:
        keep(run, found)
        if train.modality == "image":
            media.save_image(run.neighbours_file, _neighbours(source, scorer, train))
        write_report(run)
    return found


# --- the parts -------------------------------------------------------------------------------------


def _run_of(what: str | Path | Dataset) -> Run | None:
    if isinstance(what, Dataset):
        return None
    run = Run(Path(what))
    return run if run.info_file.exists() else None


def _name(what: str | Path | Dataset) -> str:
    return what.name if isinstance(what, Dataset) else str(what)


def _sides(shape: Sequence[int]) -> str:
    if len(shape) != 3:
        return f"vectors of {shape[0]}"
    return f"images of {shape[1]}x{shape[2]} with {shape[0]} channel{'s' if shape[0] > 1 else ''}"


def _splits(
    data: str | Dataset | None, options: Mapping[str, Any], base: Data, of_run: bool
) -> tuple[Dataset, Dataset | None]:
    """The training split of the data, and the other one where there is one."""
    if isinstance(data, Dataset):
        return data, None
    fields = {**(base.model_dump() if of_run else {}), **options, **({} if data is None else {"source": data})}
    if fields.get("split") == "test":
        raise Refused("split: what is scored against is chosen by --reference", "--reference test, or train.")
    spec = recipes.validate({"data": fields}, "data").data
    train = open_dataset(spec)
    return train, scoring.unseen_split(train, spec)


def _same_classes(pictures: Dataset, train: Dataset) -> bool:
    """Whether the labels of pictures can be read as those of the data."""
    if pictures.labels is None or train.classes is None or pictures.classes is None:
        return False
    return set(pictures.classes) <= set(train.classes)


def _count(pictures: Dataset, n: int | None) -> int | None:
    if n is not None and n > pictures.count:
        raise Refused(f"{pictures.name}: holds {pictures.count:,} examples, and -n asks for {n:,}")
    return min(10_000, pictures.count) if n is None else n


def _notes(scorer: Scorer, train: Dataset, test: Dataset | None, reference: str) -> list[str]:
    notes = [f"metrics: {', '.join(scorer.cards)}; {scorer.reason}"]
    count, split = scorer.card["reference_samples"], scorer.card["reference_split"]
    if reference == "test" and test is None:
        notes.append(f"reference: {count:,} of the training data, since {train.name} has no test split")
    else:
        notes.append(f"reference: {count:,} examples of {train.name}'s {split} split")
    return notes


class _Pictures:
    """Pictures as a generator's samples: the rows chosen, in order."""

    def __init__(self, dataset: Dataset, rows: NDArray[np.int64], labelled: bool) -> None:
        self.dataset, self.rows, self.labelled, self.at = dataset, rows, labelled, 0

    def __call__(self, n: int, seed: int) -> Drawn:
        rows = self.rows[self.at : self.at + n]
        self.at += n
        labels = self.dataset.labels[rows] if self.labelled and self.dataset.labels is not None else None
        return Drawn(reading.array(self.dataset, rows), labels)


def _neighbours(model: Any, scorer: Scorer, train: Dataset) -> Any:
    """A picture: each row a sample, and the training examples whose features are nearest to it."""
    kind = getattr(scorer.extractor, "name", "")
    most = SEARCHED if kind in CHEAP else 2000
    rows = reading.some(train, most, 0)
    labels = scorer.labels(SHOWN, seed=1) if model.classes is not None else None
    samples = model.decode(model.latents(SHOWN, 1), labels)
    fakes = torch.from_numpy(scorer.extractor.features(samples))
    reals = torch.cat([torch.from_numpy(scorer.extractor.features(part)) for part in reading.read(train, rows)])
    near = torch.cdist(fakes, reals).topk(min(NEAREST, len(reals)), largest=False).indices.numpy()
    shown = [np.concatenate([samples[i : i + 1], reading.array(train, rows[near[i]])]) for i in range(SHOWN)]
    return media.grid(np.concatenate(shown), near.shape[1] + 1)
