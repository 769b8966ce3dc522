"""The runs folder as a page sees it: runs by their names in it, and nothing outside of it."""

from __future__ import annotations

import re
from pathlib import Path

from gansmith.errors import Refused
from gansmith.run import Run, find

DEPTH = 2
"""Levels below the folder at which runs are found."""

_PLAIN = re.compile(r"[^\W_][\w.-]{0,99}")


class Folder:
    """Runs by name.

    A run's name is its path within the folder. Whatever leads out of it, by `..`, by a link or from the root, is no
    run's name; and it is said in the same words as of a name that nothing has, so that nobody learns what there is.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def runs(self) -> dict[str, Run]:
        """All runs in it, by name."""
        found = {}
        for run in find(self.path):
            name = run.path.relative_to(self.path).as_posix()
            if self._within(name) is not None:
                found[name] = run
        return found

    def run(self, name: str) -> Run:
        """The run of a name.

        Raises:
            Refused: where it has none of this name.
        """
        path = self._within(name)
        if path is None or not (path / "run.json").is_file():
            raise Refused(f"no run {_short(name)!r} in the runs folder")
        return Run(path)

    def new(self, name: str) -> Path:
        """Where a new run goes: of this name, or with a number behind it where there is such a one.

        Raises:
            Refused: a name that is more than letters, digits, dots, dashes and underscores.
        """
        if not _PLAIN.fullmatch(name):
            remedy = "Letters, digits, dots, dashes and underscores; a letter or a digit first; 100 at most."
            raise Refused(f"{_short(name)!r} cannot be a run's name", remedy)
        path, n = self.path / name, 1
        while path.exists() or path.is_symlink():
            n += 1
            path = self.path / f"{name}-{n}"
        return path

    def _within(self, name: str) -> Path | None:
        """The path that a name stands for, or None where that is not below the folder."""
        parts = Path(name).parts
        if not 0 < len(name) <= 300 or "\0" in name or ".." in parts or len(parts) > DEPTH:
            return None
        path = self.path / name
        try:
            root, there = self.path.resolve(), path.resolve()
        except (OSError, RuntimeError):  # links in a circle
            return None
        return path if there == root or root in there.parents else None


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:60]}…"
