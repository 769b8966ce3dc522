"""`gansmith table`: synthetic tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansmith.cli.flags import Parser, add_device_flag, new_file, positive, seed, whole
from gansmith.errors import DONE, Refused, nearest

EXAMPLES = """\
  gansmith table fit adult.csv --target income --out runs/adult
  gansmith table sample runs/adult -n 10000 --out fake.csv
  gansmith table sample runs/adult -n 500 --where "income=>50K" --where age=30..40
  gansmith table report runs/adult --real holdout.csv --out quality.html

`gansmith table fit --help`, and so for the others."""

FIT = """\
  gansmith table fit adult.csv --target income --out runs/adult
  gansmith table fit people.csv --drop id --free name --constraint "start <= end" --out runs/people
  gansmith table fit adult.csv --method ctgan --epochs 100 --out runs/ctgan

Any field of the recipe is a flag by its dotted name (`gansmith zoo tablegan`). The run's folder holds the rows that it
was trained on: treat it as you treat the table."""

TARGET = """\
the column to predict: the report judges by it, and tablegan draws it, where it is of kinds, by a classifier learnt
from real rows and not by the generator (--game.agreement 0 turns that off)"""

SAMPLE = """\
  gansmith table sample runs/adult -n 10000 --out fake.csv
  gansmith table sample runs/adult -n 500 --where "income=>50K" --where age=30..40 --seed 1"""

REPORT = """\
  gansmith table report runs/adult --real holdout.csv --out quality.html"""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    commands = {"fit": fit, "sample": sample, "report": report}
    if not argv or argv[0] in ("-h", "--help"):
        Parser("table", "Learn a table, and make rows like its own.", EXAMPLES).print_help()
        return DONE
    if argv[0] not in commands:
        near = nearest(argv[0], list(commands))
        hint = f"; did you mean {near!r}?" if near else ""
        raise Refused(f"table: no command {argv[0]!r}{hint}", "There are fit, sample and report.")
    return commands[argv[0]](argv[1:])


def fit(argv: Sequence[str]) -> int:
    """`gansmith table fit`: train on a CSV."""
    flags = Parser("table fit", "Learn the rows of a CSV, and write a run.", FIT)
    flags.add_argument("table", metavar="CSV", help="its first line names the columns")
    flags.add_argument("--out", metavar="DIR", help="the run's folder (runs/NAME)")
    flags.add_argument("--epochs", type=positive, default=300, metavar="N", help="passes over the rows (300)")
    flags.add_argument("--method", default="auto", metavar="M", help="auto, ctgan, tvae, or a recipe (auto)")
    flags.add_argument("--target", metavar="COLUMN", help=TARGET)
    for name, what in (
        ("drop", "leave a column out"),
        ("free", "make a column's values up anew (names, numbers of customers)"),
        ("category", "a column of numbers whose values are kinds"),
        ("constraint", 'what holds in each row: "start <= end", "0 <= age <= 99", "city with country"'),
    ):
        flags.add_argument(
            f"--{name}", action="append", default=[], metavar="TEXT" if name == "constraint" else "COLUMN", help=what
        )
    flags.add_argument(
        "--levels", type=whole, default=200, metavar="N", help="kinds of text in a column, at most (200)"
    )
    flags.add_argument("--separator", metavar="C", help="between fields (looked at, and said)")
    flags.add_argument("--encoding", metavar="E", help="of the text (looked at, and said)")
    flags.add_argument("--seed", type=seed, default=0, metavar="N", help="of everything random (0)")
    add_device_flag(flags)
    args, fields = flags.read_with_fields(argv)
    out = Path(args.out) if args.out else Path("runs") / re.sub(r"[^\w.-]+", "_", Path(args.table).stem)
    from gansmith.run import refuse_existing

    refuse_existing(out)
    from gansmith.data.tables import read_csv

    table = read_csv(args.table, separator=_separator(args.separator), encoding=args.encoding)
    import gansmith
    from gansmith.cli.display import follow

    model = gansmith.TableGAN(
        epochs=args.epochs, method=args.method, target=args.target, constraints=args.constraint,
        categories=args.category, free=args.free, drop=args.drop, levels=args.levels, seed=args.seed,
        device=args.device, overrides=fields,
    )  # fmt: skip
    return follow(lambda display: model.fit(table, out, listeners=(display,)).run)


def sample(argv: Sequence[str]) -> int:
    """`gansmith table sample`: make rows."""
    flags = Parser("table sample", "Make rows like those of the table that a run was trained on.", SAMPLE)
    flags.add_argument("run", metavar="DIR", help="the run's folder")
    flags.add_argument("-n", type=whole, default=1000, metavar="N", help="rows (1000)")
    flags.add_argument("-o", "--out", metavar="CSV", help="where to (standard output)")
    flags.add_argument("--where", action="append", default=[], metavar="C=V", help="a value, a|b, or numbers low..high")
    flags.add_argument("--seed", type=seed, default=0, metavar="N", help="equal seeds, equal rows (0)")
    flags.add_argument("--force", action="store_true", help="write over a file that is there")
    add_device_flag(flags)
    args = flags.read(argv)
    out = None if args.out is None else new_file(args.out, ".csv", "rows are", args.force)
    import gansmith
    from gansmith.data.tables import csv_text
    from gansmith.run import write_text

    model = gansmith.TableGAN.load(args.run, device=args.device)
    where = conditions(args.where, model.training_rows()) if args.where else None
    text = csv_text(model.columns(args.n, where=where, seed=args.seed))
    if out is None:
        sys.stdout.write(text)
        return DONE
    write_text(out, text)
    print(f"{args.n:,} rows: {out}")
    return DONE


def report(argv: Sequence[str]) -> int:
    """`gansmith table report`: quality and privacy, as a page."""
    flags = Parser("table report", "Measure made rows: quality, what classifiers learn, privacy.", REPORT)
    flags.add_argument("run", metavar="DIR", help="the run's folder")
    flags.add_argument("--real", metavar="CSV", help="real rows that it was not trained on")
    flags.add_argument("-o", "--out", metavar="HTML", help="the page (DIR/quality.html)")
    flags.add_argument("--target", metavar="COLUMN", help="the column to predict (the run's)")
    flags.add_argument("--positive", metavar="VALUE", help="the class that F1 is of (the rarest)")
    flags.add_argument("-n", type=whole, metavar="N", help="rows to make (as many as it was trained on)")
    flags.add_argument("--seed", type=seed, default=0, metavar="N", help="of the rows (0)")
    flags.add_argument("--force", action="store_true", help="write over a page that is there")
    add_device_flag(flags)
    args = flags.read(argv)
    whole_out = args.out or str(Path(args.run) / "quality.html")
    out = new_file(whole_out, ".html", "a page is", args.force)
    import gansmith
    from gansmith.data.tables import read_csv

    model = gansmith.TableGAN.load(args.run, device=args.device)
    real = None if args.real is None else read_csv(args.real)
    target = args.target or model.target
    positive = args.positive
    if positive is not None and target is not None:
        positive = conditions([f"{target}={positive}"], model.training_rows())[target]
    found = model.report(real, target=args.target, positive=positive, n=args.n, seed=args.seed)
    found.save(out)
    print(found)
    print(f"\nThe page: {out}")
    return DONE


def conditions(texts: Sequence[str], rows: Any) -> dict[str, Any]:
    """What `--where` asks for, each value of its column's type.

    Args:
        texts: `column=value`, `column=a|b`, or of numbers and dates `column=low..high`.
        rows: columns of the training.

    Raises:
        Refused: what is none of these, or no column of the table.
    """
    from gansmith.data.tables import named

    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise Refused(f"--where {text}: is no condition", "Write COLUMN=VALUE, COLUMN=A|B or COLUMN=LOW..HIGH.")
        named(rows, [name], "--where")
        kind = rows[name].dtype.kind
        low, dots, high = value.partition("..")
        if dots and kind in "iufM":
            out[name] = (_typed(name, low, rows[name]), _typed(name, high, rows[name]))
        else:
            each = [_typed(name, part, rows[name]) for part in value.split("|")]
            out[name] = each if len(each) > 1 else each[0]
    return out


def _typed(name: str, text: str, values: Any) -> Any:
    import numpy as np

    from gansmith.data.tables import MISSING

    kind = values.dtype.kind
    if text in MISSING:
        return None
    try:
        if kind in "iu":
            return int(text)
        if kind == "f":
            return float(text)
        if kind == "M":
            return np.datetime64(text).astype(values.dtype)
    except ValueError:
        raise Refused(f"--where: {text!r} is no value of {name}, which holds {values.dtype}") from None
    if any(isinstance(one, bool) for one in values[:100].tolist()):
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


def _separator(text: str | None) -> str | None:
    return {"tab": "\t", "\\t": "\t"}.get(text, text) if text is not None else None
