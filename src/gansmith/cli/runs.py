"""`gansmith runs`: what has been trained here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from gansmith.cli.flags import Parser
from gansmith.cli.terminal import table
from gansmith.errors import DONE, GansmithError, Refused
from gansmith.report import figure, summarize
from gansmith.run import Run, find

EXAMPLES = """\
  gansmith runs           the runs in ./runs, or else here
  gansmith runs ~/work    the runs at or below a folder, two levels deep"""

SILENT = 300
"""Seconds after which a training that says nothing is taken for one that was killed."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("runs", "List runs: recipe, data, progress, best score.", EXAMPLES)
    flags.add_argument("folder", nargs="?", metavar="DIR", help="where to look (./runs, or else .)")
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    folder = Path(args.folder) if args.folder else Path("runs") if Path("runs").is_dir() else Path()
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder")
    found = find(folder)
    if not found:
        print(f"No runs in {folder.resolve()}. `gansmith train --help` shows how to make one.")
        return DONE
    print(table(("run", "recipe", "data", "images", "done", "status", "best score"), [row(each) for each in found]))
    return DONE


def row(each: Run) -> tuple[str, ...]:
    """A run's line of the table; a damaged one says so, and hides no other."""
    try:
        told = summarize(each)
    except GansmithError:
        return (str(each.path), "-", "-", "-", "-", "damaged", "-")
    best = f"{told.best.name} {figure(told.best.value)}" if told.best else "-"
    done = f"{told.images / told.total:.0%}" if told.total else "-"
    status = told.status
    if status == "running" and _silence(each) > SILENT:
        status = "stopped"  # killed, as by a power cut: `resume` goes on from its last checkpoint
    return (str(each.path), told.recipe, told.data, f"{told.images:,}", done, status, best)


def _silence(each: Run) -> float:
    try:
        return time.time() - each.events_file.stat().st_mtime
    except OSError:
        return float("inf")
