"""`gansmith augment`: labelled examples made from few, and whether they help."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.cli.data import options_of
from gansmith.cli.flags import (
    Parser,
    add_data_flags,
    add_device_flag,
    examples,
    positive,
    seed,
    whole,
)
from gansmith.errors import DONE, PARTLY, Refused

if TYPE_CHECKING:
    from gansmith.applications.examples import Labelled

EXAMPLES = """\
  gansmith augment --data pictures/ --per-class 500 --out more
  gansmith augment --data faults.csv --target fault --class 1 --per-class 300 --out more
  gansmith augment --data digits --limit 200 --images 60k --out more
  gansmith augment --data pictures/ --test others/ --folds 3 --out more   measured by other pictures

A folder of pictures has a folder for each class. What is made is in the folder --out, with a line on each in
provenance.csv. The last line says how much it helped a classifier, or that it did not, and what did."""

SECONDS = 15
"""Between two lines where the output is no terminal."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("augment", "Make labelled examples by a GAN from few, and measure whether they help.", EXAMPLES)
    flags.add_argument("--data", metavar="FOLDER_OR_CSV", help="labelled pictures, or a CSV")
    flags.add_argument("--out", metavar="DIR", help="the folder to write")
    flags.add_argument("--target", metavar="COLUMN", help="the column of a CSV that holds the class")
    flags.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="leave a column out (again)")
    flags.add_argument("--per-class", type=whole, default=500, metavar="N", help="examples to make of a class (500)")
    flags.add_argument(
        "--class", dest="classes", action="append", default=[], metavar="C", help="of these only (again)"
    )
    flags.add_argument("--test", metavar="FOLDER_OR_CSV", help="measure by others (the same name: its test split)")
    flags.add_argument(
        "--folds", type=whole, default=5, metavar="N", help="of the cross-validation; seeds with --test (5)"
    )
    flags.add_argument("--score", metavar="S", help="to judge by: average precision, F1, balanced accuracy, accuracy")
    flags.add_argument("--no-measure", action="store_true", help="make them only")
    flags.add_argument("--recipe", default="auto", metavar="R", help="by which the generator is trained (auto)")
    flags.add_argument("--images", type=examples, metavar="N", help="that a generator of pictures is shown (60k)")
    flags.add_argument("--epochs", type=positive, metavar="N", help="passes of a generator of rows (by their number)")
    flags.add_argument("--seed", type=seed, default=0, metavar="S", help="of everything random (0)")
    add_device_flag(flags)
    add_data_flags(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    flags = parser()
    args = flags.read(argv)
    for needed in ("data", "out"):
        if getattr(args, needed) is None:
            flags.error(f"--{needed} is missing")
    from gansmith.run import refuse_existing

    refuse_existing(Path(args.out))

    from gansmith.applications.augment import augment

    found = _labelled(args, args.data)
    test = None if args.test is None else _labelled(args, args.test, test=True)
    if test is not None and test.classes != found.classes:
        odd = next((c for c in test.classes if c not in found.classes), None)
        if odd is not None:
            raise Refused(f"{args.test}: class {odd} is none of {found.where}")
    print(f"{found.where}: {len(found.labels):,} {found.words}, {len(found.classes)} classes")
    for note in found.notes:
        print(f"  {note}")
    wanted: dict[Any, int] | int = dict.fromkeys(args.classes, int(args.per_class)) or args.per_class
    said = _Said()
    try:
        more = augment(
            found.data, found.labels, wanted,
            test=None if test is None else (test.data, test.labels), measure=not args.no_measure, folds=args.folds,
            score=args.score, recipe=args.recipe, images=args.images, epochs=args.epochs, target=args.target,
            seed=args.seed, device=args.device, say=said,
        )  # fmt: skip
    finally:
        said.close()
    out = more.save(args.out)
    text = str(more)
    print(text.removesuffix(more.verdict).rstrip())
    print(f"{out}: what was made, provenance.csv, augment.json, and the generator\n\n{more.verdict}")
    return PARTLY if found.skipped or more.made.lacking else DONE


def _labelled(args: argparse.Namespace, source: str, *, test: bool = False) -> Labelled:
    from gansmith.applications.examples import TABLES, read_labelled

    if test and Path(source).suffix.lower() in TABLES and Path(source).resolve() == Path(args.data).resolve():
        raise Refused(f"{source}: is what it is trained on, so it tells nothing as a test", "Leave --test out.")
    # To test by, all of it; and where it is called as the training's data are, their other split.
    other: dict[str, Any] = {"data.limit": None} if test else {}
    if test and source == args.data:
        other["data.split"] = "test"
    return read_labelled(options_of(args, source, other), target=args.target, ignored=args.ignore)


class _Said:
    """Where the work stands: in one line of a terminal, elsewhere now and then in a line of its own."""

    def __init__(self) -> None:
        self.live, self.last, self.open = sys.stderr.isatty(), 0.0, False

    def __call__(self, text: str) -> None:
        if self.live:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            self.open = True
        elif time.monotonic() - self.last > SECONDS:
            self.last = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal's line."""
        if self.open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
