"""Evaluate a run, or any pictures: what the command line calls, and a Python user too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import gansmith
from gansmith import media, scoring
from gansmith import recipe as recipes
from gansmith.data import Dataset, open_dataset
from gansmith.data.finish import reserve
from gansmith.engine import hardware
from gansmith.engine.held import Held
from gansmith.errors import Refused
from gansmith.fields import Data
from gansmith.metrics import reading
from gansmith.metrics.choice import CHEAP
from gansmith.metrics.score import Drawn, Scorer
from gansmith.model import Model, load
from gansmith.report import write_report
from gansmith.run import Run
from gansmith.scores import Evaluation, Score, keep

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
        weights: where published weights lie, by extractor (`inception`, `dinov2`, `lpips`), if not in the usual places.
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
    place = hardware.pick_device(device)
    subject = _open(what, data, dict(options or {}), checkpoint, device)
    model = subject.source if isinstance(subject.source, Model) else None
    scorer = None
    if model is not None and model.game.use is not None:
        scores, notes = _of_held(model, subject, reference, metrics, n)
    else:
        scorer = Scorer(
            subject.train, subject.test if reference == "test" else None, metrics=metrics, labelled=subject.labelled,
            quick=False, seed=seed, n=_count(subject.source, n), cache=cache, device=place, say=say, weights=weights,
            download=download,
        )  # fmt: skip
        notes = _notes(scorer, subject, reference)
        scores = []
    if say:
        for note in notes:
            say(note)
    if scorer is not None:
        scores = _scored(subject, scorer, seed, progress)
    made = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"), "device": str(place), "gansmith": gansmith.__version__,
        "torch": torch.__version__, "numpy": np.__version__, "seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip
    found = Evaluation(subject.name, model.images if model else None, scores, notes, made)
    if model is not None:
        keep(model.run, found)
        if scorer is not None and model.modality == "image":
            media.save_image(model.run.neighbours_file, _neighbours(model, scorer, subject.train))
        write_report(model.run)
    return found


# --- the parts -------------------------------------------------------------------------------------


class _Subject(NamedTuple):
    """What is scored, against which data, and whether it has labels that can be read as theirs."""

    name: str
    source: Model | Dataset
    train: Dataset
    test: Dataset | None
    labelled: bool


def _open(
    what: str | Path | Dataset,
    data: str | Dataset | None,
    options: Mapping[str, Any],
    checkpoint: str | int,
    device: str,
) -> _Subject:
    """Open a run or pictures and the data, and see that they fit."""
    name = what.name if isinstance(what, Dataset) else str(what)
    if not isinstance(what, Dataset) and Run(Path(what)).info_file.exists():
        model = load(what, checkpoint=checkpoint, device=device)
        train, test = _splits(data, options, model.recipe.data if data is None else None)
        found = _Subject(name, model, train, test, model.labelled)
    elif data is None:
        raise Refused(f"{what}: pictures need data to be scored against", "Give --data NAME_OR_PATH.")
    else:
        pictures = what if isinstance(what, Dataset) else open_dataset(Data(source=str(what), **options))
        train, test = _splits(data, options, None)
        found = _Subject(name, pictures, train, test, _same_classes(pictures, train))
    shape = found.source.shape
    if tuple(shape) != tuple(train.shape):
        remedy = f"Read both at one size: --resolution {shape[-2]}x{shape[-1]}." if len(shape) == 3 else None
        raise Refused(f"{name} makes {_sides(shape)}, but {train.name} holds {_sides(train.shape)}", remedy)
    return found


def _scored(
    subject: _Subject, scorer: Scorer, seed: int, progress: Callable[[int, int], None] | None
) -> Sequence[Score]:
    source = subject.source
    if isinstance(source, Model):
        sample, path = scoring.samples_of(source, scorer), scoring.path_of(source, scorer)
        scores = scorer.evaluate(sample, seed=seed, path=path, progress=progress)
    else:
        rows = reading.some(source, scorer.n, seed)
        scores = scorer.evaluate(_Pictures(source, rows, subject.labelled), seed=seed, progress=progress)
    if not scores:
        raise Refused(f"{subject.name}: its samples are not finite")
    return scores


def _of_held(
    model: Model, subject: _Subject, reference: str, metrics: Sequence[str] | None, n: int | None
) -> tuple[Sequence[Score], list[str]]:
    """The scores of a game that makes nothing of noise alone, and what is to be said of them."""
    unknown = [name for name in metrics or () if name not in model.game.better]
    if unknown:
        raise Refused(f"{unknown[0]}: this run is scored by {', '.join(model.game.better)}")
    data, reserved = subject.train, model.recipe.data.reserve
    if reference == "test" and subject.test is not None:
        data, which = subject.test, "test split"
    elif reference == "test" and reserved is not None and reserved < data.count:
        data, which = reserve(data, reserved)[1], "examples that were kept from the training"
    else:
        which = "training examples"
    note = f"scored on {min(n or scoring.LOOKED_AT, data.count):,} of {data.name}'s {which}"
    scores = scoring.held_scores(Held(model.game, data, model.device), n)
    return [score for score in scores if metrics is None or score.name in metrics], [note]


def _sides(shape: Sequence[int]) -> str:
    if len(shape) != 3:
        return f"vectors of {shape[0]}"
    return f"images of {shape[1]}x{shape[2]} with {shape[0]} channel{'s' if shape[0] > 1 else ''}"


def _splits(data: str | Dataset | None, options: Mapping[str, Any], own: Data | None) -> tuple[Dataset, Dataset | None]:
    """The training split of the data, and the other one where there is one; `own` is the run's, where they are its."""
    if isinstance(data, Dataset):
        return data, None
    fields = {**(own.model_dump() if own else {}), **options, **({} if data is None else {"source": data})}
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


def _count(source: Model | Dataset, n: int | None) -> int | None:
    if not isinstance(source, Dataset):
        return n
    if n is not None and n > source.count:
        raise Refused(f"{source.name}: holds {source.count:,} examples, and -n asks for {n:,}")
    return min(10_000, source.count) if n is None else n


def _notes(scorer: Scorer, subject: _Subject, reference: str) -> list[str]:
    notes = [f"metrics: {', '.join(scorer.cards)}; {scorer.reason}"]
    count, split = scorer.card["reference_samples"], scorer.card["reference_split"]
    if reference == "test" and subject.test is None:
        notes.append(f"reference: {count:,} of the training data, since {subject.train.name} has no test split")
    else:
        notes.append(f"reference: {count:,} examples of {subject.train.name}'s {split} split")
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


def _neighbours(model: Model, scorer: Scorer, train: Dataset) -> Any:
    """A picture: each row a sample, and the training examples whose features are nearest to it."""
    rows = reading.some(train, SEARCHED if scorer.extractor.name in CHEAP else 2000, 0)
    samples = model.decode(model.latents(SHOWN, 1), scoring.labels_for(model, scorer, SHOWN, 1))
    fakes, reals = scorer.extractor.features(samples), scorer.features_of(train, rows)
    near = torch.cdist(torch.from_numpy(fakes), torch.from_numpy(reals))
    near = near.topk(min(NEAREST, len(reals)), largest=False).indices.numpy()
    shown = [np.concatenate([samples[i : i + 1], reading.array(train, rows[near[i]])]) for i in range(SHOWN)]
    return media.grid(np.concatenate(shown), near.shape[1] + 1)
