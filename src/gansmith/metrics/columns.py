"""How like two tables are, column by column and pair by pair: 1 is alike, 0 as unlike as can be.

Columns are arrays by name, as in `gansmith.data.tables`: numbers and dates are compared by order, text and truth
values as kinds. The definitions are those of the `sdmetrics` package's quality report over all pairs of columns, and a
test compares with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data.tables import Columns, listed, missing, named
from gansmith.errors import Refused

BINS = 10
"""Equal parts of a column's range, where numbers are paired with kinds."""


def numeric(values: NDArray[Any]) -> bool:
    """Whether a column is compared by order."""
    return values.dtype.kind in "iufM"


def plain(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers or dates as float64, NaN where missing."""
    if values.dtype.kind != "M":
        return values.astype(np.float64)
    whole = values.astype("datetime64[us]")
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64).astype(np.float64))


def kolmogorov_smirnov(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """The largest |F − G| of the two samples' distribution functions; NaN where one is empty. Values [N], [M]."""
    if not len(real) or not len(fake):
        return float("nan")
    points = np.unique(np.concatenate([real, fake]))
    steps = [np.searchsorted(np.sort(x), points, side="right") / len(x) for x in (real, fake)]
    return float(np.abs(steps[0] - steps[1]).max())


def total_variation(real: NDArray[np.int64], fake: NDArray[np.int64]) -> float:
    """½ Σ |p − q| of the frequencies of codes from 0; codes [N], [M]."""
    number = int(max(real.max(initial=-1), fake.max(initial=-1))) + 1
    p, q = (np.bincount(x, minlength=number) / max(len(x), 1) for x in (real, fake))
    return float(0.5 * np.abs(p - q).sum())


def codes(real: NDArray[Any], fake: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Kinds of two columns as codes from 0, the same for the same kind, and their number; missing is a kind."""
    place: dict[Any, int] = {}
    out = []
    for values in (real, fake):
        out.append(np.array([place.setdefault(value, len(place)) for value in listed(values)], np.int64))
    return out[0], out[1], len(place)


def shapes(real: Columns, fake: Columns) -> dict[str, float]:
    """1 − KS of each column of numbers, of the values that are there; 1 − TVD of each of kinds.

    Raises:
        Refused: a column that the fake table has not.
    """
    _alike(real, fake)
    out: dict[str, float] = {}
    for name, values in real.items():
        other = fake[name]
        if numeric(values):
            one, two = (x[~np.isnan(x)] for x in (plain(values), plain(other)))
            out[name] = 1 - kolmogorov_smirnov(one, two)
        else:
            one, two, _ = codes(values, other)
            out[name] = 1 - total_variation(one, two)
    return out


def trends(real: Columns, fake: Columns) -> dict[tuple[str, str], float]:
    """How like the dependence of each pair of columns is.

    Of two columns of numbers 1 − |ρ − ρ′| / 2 of Pearson's correlations; of others 1 − ½ Σ |p − q| over the pairs of
    kinds, numbers being cut into ten equal parts of the real range. A correlation with a constant column is NaN.

    Raises:
        Refused: a column that the fake table has not.
    """
    _alike(real, fake)
    cut: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], int]] = {}
    for name, values in real.items():
        cut[name] = _parts(plain(values), plain(fake[name])) if numeric(values) else codes(values, fake[name])
    out: dict[tuple[str, str], float] = {}
    for one, two in combinations(real, 2):
        if numeric(real[one]) and numeric(real[two]):
            rho = [_correlation(plain(t[one]), plain(t[two])) for t in (real, fake)]
            out[one, two] = 1 - abs(rho[0] - rho[1]) / 2
        else:
            (a, b, _), (c, d, number) = cut[one], cut[two]
            out[one, two] = 1 - total_variation(a * number + c, b * number + d)
    return out


def mean(values: Mapping[Any, float]) -> float:
    """The mean of those that are not NaN."""
    there = [value for value in values.values() if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


def _alike(real: Columns, fake: Columns) -> None:
    named(fake, list(real), "the rows that were made")
    for name in real:
        if numeric(real[name]) != numeric(fake[name]) and not missing(fake[name]).all():
            raise Refused(f"column {name}: {real[name].dtype} cannot be compared with {fake[name].dtype}")


def _parts(real: NDArray[np.float64], fake: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    there = real[~np.isnan(real)]
    edges = np.histogram_bin_edges(there, BINS) if len(there) else np.zeros(1)
    last = len(edges) + 1  # what is missing
    one, two = (np.where(np.isnan(x), last, np.digitize(x, edges)) for x in (real, fake))
    return one.astype(np.int64), two.astype(np.int64), last + 1


def _correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    both = ~(np.isnan(one) | np.isnan(two))
    x, y = one[both], two[both]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
