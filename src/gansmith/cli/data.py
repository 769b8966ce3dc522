"""`gansmith data`: look at a dataset before training on it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.cli.flags import Parser, add_data_flags, as_text, data_fields
from gansmith.cli.terminal import pairs
from gansmith.errors import DONE, PARTLY, REFUSED

if TYPE_CHECKING:
    from gansmith.data.dataset import Dataset
    from gansmith.recipe import Data

EXAMPLES = """\
  gansmith data digits
  gansmith data path/to/pictures --resolution 64
  gansmith data photos.zip --channels 3 --preview look.png

Exit code: 0 all is well; 1 some files cannot be used, each is named; 2 it cannot be trained on as it is."""

PREVIEW = 64
CLASSES = 16
"""Classes that a preview shows in columns of their own."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("data", "Look at a dataset: what it holds, a preview, and what is wrong with which file.", EXAMPLES)
    flags.add_argument("source", metavar="NAME_OR_PATH", help="catalogue name, folder, .zip, .npz, parquet or hub id")
    flags.add_argument("--preview", metavar="PATH", help="where the preview goes (./NAME-preview.png)")
    flags.add_argument("--no-preview", action="store_true", help="write no preview")
    add_data_flags(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args, fields = parser().read_with_fields(argv)
    spec = options_of(args, args.source, fields)

    from gansmith.data import inspect

    found = inspect(spec, progress=_progress if sys.stderr.isatty() else None)
    print(found.name)
    print(pairs(facts(found)))
    for note in found.notes:
        print(f"  {note}")
    if found.dataset is not None and not args.no_preview:
        path = Path(args.preview or re.sub(r"[^\w.-]+", "_", found.name) + "-preview.png")
        write_preview(found.dataset, path)
        print(f"\npreview: {path}")
    if found.problems:
        files = "file cannot" if len(found.problems) == 1 else "files cannot"
        print(f"\n{len(found.problems):,} {files} be used:")
        for problem in found.problems:
            print(f"  {problem.path}: {problem.reason}")
    if found.dataset is None:
        print(f"gansmith: error: {found.refusal}", file=sys.stderr)
        return REFUSED
    if found.problems and found.refusal is not None:
        print("\n`gansmith train` passes over such files with --skip-bad, and refuses them without.")
    return PARTLY if found.problems else DONE


def _progress(read: int, total: int) -> None:
    print(f"\r{read:,} of {total:,} files", end="\n" if read >= total else "", file=sys.stderr, flush=True)


def options_of(args: argparse.Namespace, source: str, fields: Mapping[str, Any] | None = None) -> Data:
    """The data options of a source and the data flags; and of others, by dotted name, which go before the flags.

    Raises:
        Refused: a field that does not exist, or a value out of range.
    """
    from gansmith.recipe import parse_overrides, validate

    given = {**data_fields(args), **(fields or {}), "data.source": as_text(source)}
    if args.data_root:
        given["data.root"] = as_text(args.data_root)
    return validate(parse_overrides(given), "flags").data


def facts(found: Any) -> list[tuple[str, str]]:
    """What an inspection found, in words."""
    rows = [("modality", found.modality), ("split", found.split), ("count", f"{found.count:,}")]
    if found.shape is not None:
        word = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGB with alpha"}.get(found.shape[0], "")
        shape = "x".join(map(str, found.shape))
        rows.append(("shape", f"{shape} ({word})" if found.modality == "image" else shape))
    if found.modality == "image":
        on_disk = [(f"{width}x{height}", n) for (height, width), n in found.sizes.items()]
        if len(on_disk) > 1:
            rows.append(("sizes", f"{_counted(on_disk, 6)} (width x height, as they lie on disk)"))
        if len(found.channels) > 1:
            rows.append(("channels", _counted(((str(c), n) for c, n in found.channels.items()), 4)))
    if found.labels:
        rows.append(("labels", f"{len(found.labels)} classes: {_counted(found.labels, 24)}"))
    else:
        rows.append(("labels", "none"))
    return rows


def _counted(items: Iterable[tuple[str, int]], at_most: int) -> str:
    rows = [f"{name} ({n:,})" for name, n in items]
    more = f" and {len(rows) - at_most:,} more" if len(rows) > at_most else ""
    return ", ".join(rows[:at_most]) + more


def write_preview(dataset: Dataset, path: Path) -> None:
    """Write a picture of examples: one class per column where there are few, else any of a seeded shuffle."""
    import numpy as np

    from gansmith import media

    if dataset.modality == "points":
        assert dataset.array is not None
        labels = None if dataset.labels is None else dataset.labels[:2000]
        media.save_image(path, media.scatter(dataset.array[:2000], labels=labels))
        return
    shuffled = np.random.default_rng(0).permutation(dataset.count)
    columns = None
    if dataset.labels is not None and dataset.classes and len(dataset.classes) <= CLASSES:
        chosen = [shuffled[dataset.labels[shuffled] == k] for k in range(len(dataset.classes))]
        chosen = [of_class for of_class in chosen if len(of_class)]
        columns, rows = len(chosen), min(8, min(map(len, chosen)))
        shuffled = np.stack([of_class[:rows] for of_class in chosen], axis=1).ravel()
    first = shuffled[: columns * 8 if columns else PREVIEW]
    if dataset.array is not None:
        images = np.asarray(dataset.array[first], dtype=np.uint8)
    else:
        assert dataset.read is not None
        images = np.stack([dataset.read(int(i)) for i in first])
    media.save_image(path, media.grid(images, columns))
