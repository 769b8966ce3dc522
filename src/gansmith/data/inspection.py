"""What is in a dataset: for the command `gansmith data`, which lists bad files where training refuses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gansmith.data import collection
from gansmith.data.dataset import Dataset, Problem
from gansmith.data.finish import finish
from gansmith.data.open import resolve
from gansmith.data.scan import Progress
from gansmith.errors import Refused
from gansmith.fields import Data


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is in a dataset.

    Attributes:
        source: as it was given.
        name: what it is called.
        modality: `image` or `points`.
        split: the split that was looked at; `all` where the source knows no splits.
        count: examples that can be read.
        shape: of one example, or None where they differ and no option says what they should become.
        labels: name and count of each class, in the order of the labels; empty without labels.
        sizes: how many pictures are of each (height, width), most first; as they lie on disk.
        channels: how many have each number of channels, most first; as they lie on disk.
        problems: files that cannot be used, and why.
        notes: what the reader decided on its own, one plain line each.
        refusal: why training on it with these options would be refused, or None.
        dataset: ready to use; where files are bad, without them; None where it cannot be had.
    """

    source: str
    name: str
    modality: str
    split: str
    count: int
    shape: tuple[int, ...] | None
    labels: tuple[tuple[str, int], ...] = ()
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    channels: dict[int, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: Refused | None = None
    dataset: Dataset | None = None


def inspect(spec: Data, *, progress: Progress | None = None) -> Inspection:
    """Look through a dataset, and list its bad files and mixed pictures instead of refusing them.

    Args:
        spec: the data options of a recipe.
        progress: as in `open_dataset`.

    Raises:
        Refused: there is nothing to look at: no such name or path, an empty folder, a damaged archive.
    """
    found = resolve(spec)
    source = spec.source or ""
    if isinstance(found, Dataset):
        sizes = {(found.shape[1], found.shape[2]): found.count} if found.modality == "image" else {}
        channels = {found.shape[0]: found.count} if found.modality == "image" else {}
        done = finish(found, spec)
        return _of(done, source, sizes, channels, None)
    scanned = collection.examine(found, spec, progress)
    sizes, channels = dict(scanned.sizes.most_common()), dict(scanned.channels.most_common())
    refusal, done = None, None
    try:
        done = collection.assemble(found, scanned, spec)
    except Refused as error:
        refusal = error
    if refusal is not None and scanned.problems and not spec.skip_bad:
        try:
            done = collection.assemble(found, scanned, spec.model_copy(update={"skip_bad": True}))
        except Refused as error:
            refusal = error  # of the two, mixed sizes are what the user has to decide about
    if done is not None:
        return replace(_of(done, source, sizes, channels, refusal), notes=found.notes if refusal else done.notes)
    labels = collection.labels_for(found, scanned)
    return Inspection(
        source=source,
        name=found.name,
        modality="image",
        split=found.split,
        count=len(scanned.good),
        shape=next(iter(scanned.shapes)) if len(scanned.shapes) == 1 else None,
        labels=() if labels is None else _tally(labels, found.classes),
        sizes=sizes,
        channels=channels,
        problems=tuple(scanned.problems),
        notes=found.notes,
        refusal=refusal,
    )


def _of(
    dataset: Dataset,
    source: str,
    sizes: dict[tuple[int, int], int],
    channels: dict[int, int],
    refusal: Refused | None,
) -> Inspection:
    return Inspection(
        source=source,
        name=dataset.name,
        modality=dataset.modality,
        split=dataset.split,
        count=dataset.count,
        shape=dataset.shape,
        labels=() if dataset.labels is None else _tally(dataset.labels, dataset.classes),
        sizes=sizes,
        channels=channels,
        problems=dataset.problems,
        notes=dataset.notes,
        refusal=refusal,
        dataset=dataset,
    )


def _tally(labels: NDArray[np.int64], classes: tuple[str, ...] | None) -> tuple[tuple[str, int], ...]:
    counts = np.bincount(labels, minlength=len(classes or ()))
    names = classes or tuple(str(i) for i in range(len(counts)))
    return tuple((name, int(count)) for name, count in zip(names, counts, strict=True))
