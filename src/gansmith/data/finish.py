"""The last steps that every reader shares: subset, size and channels, labels, fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Beside, Dataset
from gansmith.data.order import RESERVE, SUBSET, shuffled
from gansmith.data.patches import Patches, cut, part
from gansmith.data.pictures import CHANNELS, decoder
from gansmith.data.scan import digest, fingerprint
from gansmith.errors import Refused
from gansmith.fields import Data


def subset(count: int, limit: int | None) -> NDArray[np.int64]:
    """Which of `count` examples are used: all, in order; or the first `limit` of a shuffle with a fixed key.

    So the examples of a smaller limit are the first of a larger one's.
    """
    return np.arange(count, dtype=np.int64) if limit is None else shuffled(count, (SUBSET,))[:limit]


def limit_note(count: int, limit: int | None) -> tuple[str, ...]:
    """What to say about a limit that was asked for."""
    if limit is None:
        return ()
    if limit > count:
        return (f"the limit of {limit:,} is more than there are: all {count:,} are used",)
    return (f"{limit:,} of {count:,} are used, as the limit says",)


def reserve(dataset: Dataset, n: int) -> tuple[Dataset, Dataset]:
    """A dataset without n examples of a shuffle with a fixed key, and those.

    Raises:
        Refused: it has no more than n.
    """
    if isinstance(dataset.read, Patches):
        return part(dataset, n)
    if n >= dataset.count:
        raise Refused(f"data.reserve: {n:,} of {dataset.count:,} examples leave none to train on")
    order = shuffled(dataset.count, (RESERVE,))
    held, rest = (np.sort(part) for part in (order[:n], order[n:]))
    note = f"{n:,} of {dataset.count:,} are kept out of the training, as data.reserve says"
    kept, shown = only(dataset, rest, f"without {n}"), only(dataset, held, f"only {n}")
    others = {name: reserve(other.dataset, n) for name, other in dataset.beside.items() if not other.paired}
    kept, shown = (
        replace(part, beside={**part.beside, **{name: Beside(pair[i], False) for name, pair in others.items()}})
        for i, part in enumerate((kept, shown))
    )
    return replace(kept, notes=(*kept.notes, note)), shown


def only(dataset: Dataset, chosen: NDArray[np.int64], what: str) -> Dataset:
    """Some of a dataset's examples, with what is paired with them.

    Args:
        dataset: the dataset.
        chosen: which, by number.
        what: a word for it, of which its fingerprint is made.
    """

    def rows(values: Any) -> Any:
        return None if values is None else values[chosen]

    read, paired = dataset.read, {name: other for name, other in dataset.beside.items() if other.paired}
    return replace(
        dataset, count=len(chosen), array=rows(dataset.array), labels=rows(dataset.labels),
        conditions=rows(dataset.conditions), read=None if read is None else partial(_read_from, read, chosen),
        beside={**dataset.beside, **{n: Beside(only(other.dataset, chosen, what)) for n, other in paired.items()}},
        fingerprint=hashlib.sha256(f"{dataset.fingerprint} {what}".encode()).hexdigest(),
    )  # fmt: skip


def _read_from(read: Callable[[int], NDArray[np.uint8]], chosen: NDArray[np.int64], i: int) -> NDArray[np.uint8]:
    return read(int(chosen[i]))


def with_labels(dataset: Dataset, wanted: bool | None) -> Dataset:
    """The dataset with or without its labels, as a recipe's `labels` says.

    Raises:
        Refused: labels are wanted, and there are none.
    """
    if wanted is False:
        return replace(dataset, labels=None, classes=None)
    if wanted and dataset.labels is None:
        raise Refused(
            f"{dataset.name}: has no labels",
            "Leave --data.labels out; or put the pictures of each class in a folder of its own.",
        )
    return dataset


def finish(dataset: Dataset, spec: Data) -> Dataset:
    """A dataset that lies whole in memory, as the recipe's data options want it.

    Args:
        dataset: every example of the split, in the source's own size; `fingerprint` unset.
        spec: the options.

    Raises:
        Refused: options that do not suit it.
    """
    assert dataset.array is not None
    array, notes = dataset.array, dataset.notes + limit_note(dataset.count, spec.limit)
    labels, conditions = dataset.labels, dataset.conditions
    if spec.limit is not None:
        chosen = subset(dataset.count, spec.limit)
        array = array[chosen]
        labels, conditions = (None if each is None else each[chosen] for each in (labels, conditions))
    if dataset.modality == "image":
        array = decoder(spec).refit(array.astype(np.uint8, copy=False))
        notes += fit_notes(dataset.shape, array.shape[1:], spec)
    elif (spec.resolution, spec.channels, spec.patch) != (None, None, None):
        raise Refused(f"{dataset.name}: these are points, which have no resolution, no channels and no patches")
    shape = array.shape[1:]
    whole = replace(
        dataset, array=array, labels=labels, conditions=conditions, count=len(array), shape=shape, notes=notes
    )
    whole = with_labels(whole, spec.labels)
    held = fingerprint(shape, (digest(one) for one in array), whole.labels, whole.conditions)
    whole = replace(whole, fingerprint=held)
    if spec.patch is None:
        return whole
    return cut(whole, [(shape[1], shape[2])] * len(array), array, spec.patch)  # type: ignore[arg-type]


def fit_notes(source: tuple[int, ...] | None, shape: tuple[int, ...], spec: Data) -> tuple[str, ...]:
    """What was changed about pictures of shape `source` (None: of several) to make them `shape`."""
    notes: tuple[str, ...] = ()
    if source is None or source[1:] != shape[1:]:
        how = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}[spec.fit]
        was = "from various sizes" if source is None else f"from {source[1]}x{source[2]}"
        notes += (f"resized {was} to {shape[1]}x{shape[2]} (Lanczos), {how} where the shape differs",)
    if source is not None and source[0] != shape[0]:
        notes += (f"converted from {CHANNELS[source[0]]} to {CHANNELS[shape[0]]}",)
    return notes
