"""What can go wrong by a user's hand, and the exit code that says so."""

from __future__ import annotations

DONE, PARTLY, REFUSED, GATE = 0, 1, 2, 3


class GansmithError(Exception):
    """An error that the command line prints as it is: one or two plain lines, no traceback.

    The first line says what is wrong and where; the second, if any, what would be right.
    """

    exit_code = REFUSED

    silent: bool | None = None
    """Among several ranks: whether another one says what went wrong; None where all of them know the same."""

    def __init__(self, what: str, remedy: str | None = None) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(what if remedy is None else f"{what}\n{remedy}")


class Refused(GansmithError):
    """Input that cannot be used, found before any work was done; exit code 2."""


class GateClosed(GansmithError):
    """A gate (a release check, a required score) said no; exit code 3."""

    exit_code = GATE


def nearest(name: str, known: list[str]) -> str | None:
    """The known name that `name` is most likely a slip of, or None where none is near."""
    import difflib

    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return found[0] if found else None
