"""How near made rows come to those that were trained on: the distance to the closest record."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gansmith.data.tables import Columns, rows_of
from gansmith.metrics.columns import codes, numeric, plain

_AT_ONCE = 2_000_000
"""Pairs whose distances are held at once."""


class Closeness(NamedTuple):
    """Distances to the closest record of made rows, beside those of real rows that were not trained on.

    Attributes:
        made: of each made row.
        held: of each held-out row.
        nearer: share of the made rows that are nearer than all but 5 % of the held-out ones; .05 where neither is.
        copies, held_copies: shares that equal a record in every column.
    """

    made: NDArray[np.float64]
    held: NDArray[np.float64]
    nearer: float
    copies: float
    held_copies: float


def closest(rows: Columns, records: Columns) -> NDArray[np.float64]:
    """Gower's distance (1971) of each row to the closest record, [N].

    The mean over columns of |x − y| / range of numbers, at most 1, and of 0 for equal and 1 for unequal kinds. What is
    missing is at 1 from all that is not.

    Args:
        rows: N of them, with the columns of the records.
        records: what they are compared with.
    """
    parts: list[tuple[bool, NDArray[Any], NDArray[Any]]] = []
    for name, values in records.items():
        if numeric(values):
            one, two = plain(rows[name]), plain(values)
            there = two[~np.isnan(two)]
            reach = float(np.ptp(there)) if len(there) else 1.0
            low = float(there.min()) if len(there) else 0.0
            # Far below, so that missing is as far as can be from all numbers, and at missing itself.
            first, second = (np.where(np.isnan(x), -2.0, (x - low) / (reach or 1.0)) for x in (one, two))
            parts.append((True, first.astype(np.float32), second.astype(np.float32)))
        else:
            first, second, _ = codes(rows[name], values)
            parts.append((False, first.astype(np.int32), second.astype(np.int32)))
    count = rows_of(rows)
    out = np.empty(count)
    step = max(_AT_ONCE // max(rows_of(records), 1), 1)
    for at in range(0, count, step):
        total = np.zeros((min(step, count - at), rows_of(records)), np.float32)
        for ordered, x, y in parts:
            here = x[at : at + step, None]
            total += np.minimum(np.abs(here - y), 1) if ordered else here != y
        out[at : at + step] = total.min(1) / len(parts)
    return out


def closeness(made: Columns, held: Columns, records: Columns) -> Closeness:
    """Whether made rows come nearer to the records than real rows do that the generator has not seen."""
    near, far = closest(made, records), closest(held, records)
    edge = float(np.quantile(far, 0.05)) if len(far) else 0.0
    # Where held-out rows are copies as well, the edge is 0: then ties count by half.
    nearer = float((near < edge).mean() + 0.5 * (near == edge).mean() * (edge == 0)) if len(near) else 0.0
    return Closeness(near, far, nearer, float((near == 0).mean()), float((far == 0).mean()))
