"""Plain text for the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Columns of text, aligned; plain, so that it can be searched and cut by other tools.

    Args:
        headers: of the columns.
        rows: cells; numbers (`12%`, `1,797`) are set to the right.
        width: characters a line; the last column is shortened to fit. None takes the terminal's.
    """
    width = width or shutil.get_terminal_size((100, 24)).columns
    columns = list(zip(headers, *rows, strict=True)) if rows else [(h,) for h in headers]
    widths = [max(map(len, column)) for column in columns]
    right = [bool(rows) and all(_is_number(cell) for cell in column[1:]) for column in columns]
    room = max(12, width - sum(widths[:-1]) - 2 * (len(widths) - 1))
    lines = []
    for row in [headers, *rows]:
        cells = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)]
        last = cells[-1].rstrip()
        cells[-1] = last if len(last) <= room else last[: room - 1] + "…"
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or cell.rstrip("%").replace(",", "").replace(".", "", 1).isdecimal()


def pairs(rows: Sequence[tuple[str, str]], indent: str = "  ") -> str:
    """Names and what belongs to them, one a line, aligned."""
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{indent}{name:<{width}}  {value}".rstrip() for name, value in rows)
