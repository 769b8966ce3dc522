"""Encoded pictures in a store, made into a dataset: splits and labels from their names, one checked pass."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset, Problem
from gansmith.data.finish import fit_notes, limit_note, subset, with_labels
from gansmith.data.patches import cut
from gansmith.data.pictures import CHANNELS, decoder, quietly
from gansmith.data.scan import IN_MEMORY, Progress, Read, Scan, fingerprint, scan
from gansmith.data.stores import Store
from gansmith.errors import Refused
from gansmith.fields import Data

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_STAND_INS = {"val": "test", "valid": "test", "validation": "test"}
_NAMED = 5


@dataclass(frozen=True)
class Collection:
    """Encoded pictures of one split, not yet decoded.

    Attributes:
        name: what to call it.
        where: path or id, for messages.
        store: the pictures; `chosen` are those of the split.
        chosen: int64, numbers in the store.
        labels: int64, one for each chosen, or None; `classes` names them.
        classes: a name for each label, or None.
        split: the split that this is.
        notes: what was decided on the way here.
    """

    name: str
    where: str
    store: Store
    chosen: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    split: str
    notes: tuple[str, ...] = ()


def by_names(name: str, where: str, store: Store, others: int, wanted: str) -> Collection:
    """A collection whose splits and labels are the folders that its pictures lie in.

    Folders `train` and `test` (or `val`) side by side are splits; where all pictures lie in sub-folders,
    and in more than one, the first folder's name is the label. A folder that holds everything is passed.

    Args:
        name: what to call it.
        where: path or id, for messages.
        store: the pictures.
        others: how many other files there are.
        wanted: `train`, `test` or `all`.

    Raises:
        Refused: no picture, or not the split that is wanted.
    """
    notes = (f"{others:,} file{'s are no pictures' if others != 1 else ' is no picture'}",) if others else ()
    if not store.names:
        raise Refused(f"{where}: holds no pictures" + (f" ({others:,} other files)" if others else ""))
    parts = _without_common([tuple(path.split("/")) for path in store.names])
    splits = split_of(part[0] for part in parts) if all(len(part) > 1 for part in parts) else None
    chosen = np.arange(len(parts), dtype=np.int64)
    split = "all"
    if splits is None and wanted == "test":
        raise Refused(
            f"{where}: has no test split", "Put pictures into folders `train` and `test`, or use --data.split all."
        )
    if splits is not None:
        split = wanted
        if wanted != "all":
            chosen = np.array([i for i, part in enumerate(parts) if splits.get(part[0]) == wanted], dtype=np.int64)
        parts = _without_common([parts[i][1:] for i in chosen])
    labels, classes = _labels(parts)
    return Collection(name, where, store, chosen, labels, classes, split, notes)


def examine(collection: Collection, spec: Data, progress: Progress | None = None) -> Scan:
    """Decode every picture that the options choose, and count what is there."""
    picked = collection.chosen[subset(len(collection.chosen), spec.limit)]
    return scan(collection.store, decoder(spec), picked.tolist(), progress)


def assemble(collection: Collection, found: Scan, spec: Data) -> Dataset:
    """The dataset that a pass over a collection gives.

    Raises:
        Refused: files that cannot be read, without `skip_bad`; mixed channels or sizes, without the
            option that says what they should become; nothing left.
    """
    where = collection.where
    if found.problems and not spec.skip_bad:
        raise _refuse_bad(where, found)
    if not len(found.good):
        raise Refused(f"{where}: no picture can be read", f"The first: {_name_them(found.problems[:1])}.")
    _refuse_mixed(where, found, spec)
    shape = next(iter(found.shapes))
    labels = labels_for(collection, found)
    sizes = {(height, width) for height, width in found.sizes}
    source = None if len(sizes) > 1 else (*found.channels,)[:1] + next(iter(sizes))
    notes = (
        collection.notes
        + limit_note(len(collection.chosen), spec.limit)
        + (() if spec.patch and spec.resolution is None else fit_notes(source, shape, spec))
    )
    if len(found.channels) > 1:
        notes += (f"converted to {CHANNELS[shape[0]]}: {_counts(found.channels)}",)
    if found.animated:
        notes += (f"{found.animated:,} hold more than one frame; the first is used",)
    if found.problems:
        notes += (f"{len(found.problems):,} unreadable file{'s' if len(found.problems) > 1 else ''} passed over",)
    read = Read(collection.store, decoder(spec), found.good) if found.array is None else None
    whole = Dataset(
        name=collection.name,
        modality="image",
        shape=shape,
        count=len(found.good),
        array=found.array,
        read=read,
        labels=labels,
        classes=collection.classes,
        split=collection.split,
        problems=tuple(found.problems),
        notes=notes,
    )
    whole = with_labels(whole, spec.labels)
    whole = replace(whole, fingerprint=fingerprint(shape, found.digests, whole.labels))
    return whole if spec.patch is None else _patches(whole, collection, found, spec)


def _patches(whole: Dataset, collection: Collection, found: Scan, spec: Data) -> Dataset:
    """The pictures' patches: of decoded ones where all fit in memory, else of each decoded when it is wanted."""
    assert spec.patch is not None
    read = Read(collection.store, decoder(spec), found.good)
    if whole.array is not None:
        return cut(whole, found.each, whole.array, spec.patch)  # type: ignore[arg-type]
    if whole.shape[0] * sum(height * width for height, width in found.each) > IN_MEMORY:
        return cut(whole, found.each, read, spec.patch)
    with quietly(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        return cut(whole, found.each, list(pool.map(read, range(len(found.good)))), spec.patch)


def labels_for(collection: Collection, found: Scan) -> NDArray[np.int64] | None:
    """Labels of the good pictures, in their order; None where there are none."""
    if collection.labels is None:
        return None
    # Labels go by place among the chosen, which are in rising order.
    return collection.labels[np.searchsorted(collection.chosen, found.good)]


def _refuse_bad(where: str, found: Scan) -> Refused:
    bad, total = len(found.problems), len(found.problems) + len(found.good)
    more = f", and {bad - _NAMED:,} more" if bad > _NAMED else ""
    return Refused(
        f"{where}: {bad:,} of {total:,} pictures cannot be used: {_name_them(found.problems[:_NAMED])}{more}",
        "Mend or remove them, or pass over them with --data.skip-bad true.",
    )


def _refuse_mixed(where: str, found: Scan, spec: Data) -> None:
    if spec.channels is None and len(found.channels) > 1:
        raise Refused(f"{where}: pictures of several kinds: {_counts(found.channels)}", "Say which: --data.channels 3.")
    if len(found.shapes) > 1 and spec.patch is None:
        shown = [f"{count:,} of {h}x{w}" for (h, w), count in found.sizes.most_common(3)]
        more = f" and {len(found.sizes) - 3:,} other sizes" if len(found.sizes) > 3 else ""
        raise Refused(
            f"{where}: pictures of several sizes (height x width): {', '.join(shown)}{more}",
            "Say which: --data.resolution 64 (and --data.fit crop, pad or stretch); or cut them: --data.patch 64.",
        )


def _name_them(problems: Sequence[Problem]) -> str:
    return ", ".join(f"{problem.path} {problem.reason}" for problem in problems)


def _counts(channels: Counter[int]) -> str:
    return ", ".join(f"{count:,} {CHANNELS[number]}" for number, count in channels.most_common())


def _without_common(parts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    out = list(parts)
    while out and len(out[0]) > 1 and all(len(part) > 1 and part[0] == out[0][0] for part in out):
        out = [part[1:] for part in out]
    return out


def split_of(folders: Iterable[str]) -> dict[str, str] | None:
    """Which split each name is: `train` or `test`; None where the names are not those of splits.

    A validation set stands in for a test set that is missing; beside one, it is neither.
    """
    folders = set(folders)
    known = {folder: _SPLITS.get(folder.lower(), _STAND_INS.get(folder.lower())) for folder in folders}
    if None in known.values() or not {"train", "test"} <= set(known.values()):
        return None
    if any(_SPLITS.get(folder.lower()) == "test" for folder in folders):
        known = {folder: _SPLITS.get(folder.lower()) for folder in folders}
    return {folder: split for folder, split in known.items() if split is not None}


def _labels(parts: Sequence[tuple[str, ...]]) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None]:
    if any(len(part) < 2 for part in parts):
        return None, None
    classes = tuple(sorted({part[0] for part in parts}))
    if len(classes) < 2:
        return None, None
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[part[0]] for part in parts], dtype=np.int64), classes
