"""`gansmith bench`: recipes trained alike and scored alike, over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansmith.cli.flags import Parser, add_device_flag, add_length_flags, length, whole
from gansmith.cli.terminal import table
from gansmith.errors import DONE

if TYPE_CHECKING:
    from gansmith.suites.results import Results
    from gansmith.suites.suite import Suite

EXAMPLES = """\
  gansmith bench                                      the suites there are
  gansmith bench modes --out bench-modes              all of one; a second call goes on where it was stopped
  gansmith bench modes --rows auto,gan --seeds 2 --cpu-minutes 0.5 --out quick
  gansmith bench grid --data mnist --data-root ~/data --out bench-grid
  gansmith bench mine.yaml --out bench-mine           a suite of your own
  gansmith bench modes --yaml > mine.yaml             a copy to change"""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("bench", "Train and score recipes alike, over several seeds; a table and a page.", EXAMPLES)
    flags.add_argument("suite", nargs="?", help="a suite's name, or a .yaml")
    flags.add_argument("--out", metavar="DIR", help="folder of runs, results.json, table.md, page.html (bench-SUITE)")
    flags.add_argument("--rows", metavar="R,R", help="these rows alone")
    flags.add_argument("--data", metavar="D,D", help="these of its data alone")
    flags.add_argument("--seeds", type=whole, metavar="N", help="seeds of each row")
    add_length_flags(flags)
    flags.add_argument("--data-root", metavar="R", help="folder in which a catalogue name is looked for")
    flags.add_argument("--yaml", action="store_true", help="print the suite's file, and run nothing")
    flags.add_argument("--dry-run", action="store_true", help="list the trainings, and run none")
    add_device_flag(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)

    from gansmith.suites.suite import load_suite, suite_names, suite_text

    if args.suite is None:
        rows = [(name, " ".join(load_suite(name).summary.split())) for name in suite_names()]
        print(table(("suite", "what it tells"), rows))
        return DONE
    if args.yaml:
        print(suite_text(args.suite), end="")
        return DONE
    suite = load_suite(args.suite).narrowed(_named(args.rows), _named(args.data), args.seeds, length(args))
    if args.dry_run:
        print(table(("row", "data", "recipe", "seeds"), _plan(suite)))
        return DONE

    from gansmith.suites.running import run_suite

    out = Path(args.out or f"bench-{suite.name}")
    found = run_suite(
        suite, out, device=args.device, data_root=args.data_root, say=lambda text: print(text, flush=True),
    )  # fmt: skip
    print("\n".join(lines(found)))
    print(f"\n{out}: table.md and page.html hold the tables, results.json every score")
    return DONE


def lines(found: Results) -> list[str]:
    """The tables as text."""
    out: list[str] = []
    for data in found.suite.data:
        headers, rows = found.table(data)
        out += ["", data, *table(headers, rows, width=200).splitlines()]
    return out


def _named(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _plan(suite: Suite) -> list[tuple[str, ...]]:
    return [
        (name, data, row.recipe, str(suite.seeds))
        for data in suite.data for name, row in suite.all_rows().items()
    ]  # fmt: skip
