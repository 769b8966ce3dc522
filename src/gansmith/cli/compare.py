"""`gansmith compare`: runs side by side, on the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gansmith.cli.flags import Parser, add_device_flag, new_file
from gansmith.cli.terminal import table
from gansmith.errors import DONE
from gansmith.page import figure, rough
from gansmith.score_table import better_words, number

if TYPE_CHECKING:
    from gansmith.contenders import Comparison
    from gansmith.ranking import Row

EXAMPLES = """\
  gansmith compare runs/first runs/second                     scores here, and compare.html
  gansmith compare runs/* --only fd-digits,recall-digits      these scores alone
  gansmith compare runs/a runs/b --out a-and-b.html --force   write over an earlier page"""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("compare", "Put runs side by side; scores whose cards differ are refused.", EXAMPLES)
    flags.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, two or more")
    flags.add_argument("--only", metavar="S,S", help="compare these scores alone, so that others may be unlike")
    flags.add_argument("--out", default="compare.html", metavar="FILE", help="the page (compare.html)")
    flags.add_argument("--force", action="store_true", help="write over --out")
    add_device_flag(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    out = new_file(args.out, ".html", "a page is", args.force)
    only = [name.strip() for name in args.only.split(",") if name.strip()] if args.only else None

    from gansmith.comparison import compare

    found = compare(args.runs, out, only=only, device=args.device)
    print("\n".join(lines(found)))
    print(f"\n{out}: the same with curves, samples of the same seeds, cards, and what the recipes differ in")
    return DONE


def lines(found: Comparison) -> list[str]:
    """The scores as a table, a column each run."""
    names = [each.name for each in found.runs]
    rows = []
    for row in found.rows:
        real = "" if row.real is None else figure(row.real)
        rows.append((row.name, *_cells(row), real, _best(row, names), better_words(row.better)))
    return table(("score", *names, "real data", "best", "better"), rows).splitlines()


def _cells(row: Row) -> list[str]:
    told = []
    for score in row.cells:
        spread = "" if score is None or score.spread is None else f" ± {rough(score.spread)}"
        told.append("-" if score is None else f"{number(score.value)}{spread}")
    return told


def _best(row: Row, names: Sequence[str]) -> str:
    first, why = row.best()
    return why if first is None else names[first]
