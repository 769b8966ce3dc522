"""A table's columns as rows of numbers in [-1, 1] for a network, and back.

A column becomes a *block*: at most one number and any number of categories, of which one is 1 (Xu et al., 2019,
Section 4.2, arXiv:1907.00503). A value that is missing is a category of its own, and is reproduced.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gansmith.data.order import uniform
from gansmith.data.tables import Columns, listed, missing, named, rows_of
from gansmith.errors import Refused

LEVELS = 200
"""Kinds of text that a column may have and still be categories, where the user names no other limit."""

SPREADS = 4.0
"""Deviations of a mode that its number in [-1, 1] reaches over (Xu et al., 2019, Section 4.2)."""

FITTED = 20_000
"""Values of a column that its mixture is fitted to, at most."""

WEIGHT = 0.005
"""Modes with a smaller weight are left out."""

_ENCODING = 11  # the purpose of keyed numbers, beside those of `order`


class Block(NamedTuple):
    """What a column takes of a row.

    Attributes:
        numbers: so many, 0 or 1.
        categories: so many after them, of which one is 1.
        bare: of the categories so many come first whose number is 0.
    """

    numbers: int
    categories: int
    bare: int = 0

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return self.numbers + self.categories


@dataclass(frozen=True)
class Constant:
    """A column of one value, which no network has to learn.

    Attributes:
        name: the column's.
        value: its only one; a date as text, None where all are missing.
        dtype: numpy's.
    """

    name: str
    value: Any
    dtype: str
    block: ClassVar[Block] = Block(0, 0)

    def encode(self, values: NDArray[Any], seed: int) -> NDArray[np.float32]:
        """Nothing at all, [n, 0]."""
        return np.zeros((len(values), 0), np.float32)

    def decode(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """The value, n times."""
        return _repeated(self.value, len(rows), self.dtype)


@dataclass(frozen=True)
class Free:
    """A column whose values say nothing of the others (a name, a number of a customer), and are made up anew.

    Attributes:
        name: the column's.
        dtype: numpy's; of whole numbers and text.
        start: whole numbers count on from it.
    """

    name: str
    dtype: str
    start: int = 0
    block: ClassVar[Block] = Block(0, 0)

    def encode(self, values: NDArray[Any], seed: int) -> NDArray[np.float32]:
        """Nothing at all, [n, 0]."""
        return np.zeros((len(values), 0), np.float32)

    def decode(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """A number or a text that is in no other row, such as `name-000012`."""
        numbers = np.arange(self.start, self.start + len(rows))
        if np.dtype(self.dtype).kind in "if":
            return numbers.astype(self.dtype)
        return _objects([f"{self.name}-{i:06d}" for i in numbers])


@dataclass(frozen=True)
class Category:
    """A column of kinds: one category each, and one for what is missing, where something is.

    Attributes:
        name: the column's.
        levels: the kinds, in order of their frequency; whole numbers, truth values or text.
        gone: whether values are missing.
        dtype: numpy's.
    """

    name: str
    levels: tuple[Any, ...]
    gone: bool
    dtype: str

    @property
    def block(self) -> Block:
        """One of the levels."""
        return Block(0, len(self.levels) + self.gone)

    def indices(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The category of each value, int64 [n].

        Raises:
            Refused: a value that the column had not.
        """
        place: dict[Any, int] = {level: i for i, level in enumerate(self.levels)}
        place[None] = len(self.levels)
        index = np.array([place.get(value, -1) for value in listed(values)], np.int64)
        strange = (index < 0) | (index >= self.block.categories)
        if strange.any():
            value = values[np.argmax(strange)]
            raise Refused(f"column {self.name}: {value!r} is none of the values that it was fitted to")
        return index

    def encode(self, values: NDArray[Any], seed: int) -> NDArray[np.float32]:
        """[n, categories], one of each row 1."""
        return _one_hot(self.indices(values), self.block.categories)

    def decode(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """The kind of the greatest category."""
        chosen = rows.argmax(1)
        if np.dtype(self.dtype).kind == "O" or (self.gone and np.dtype(self.dtype).kind not in "f"):
            return _objects([*self.levels, None] if self.gone else self.levels)[chosen]
        return np.array([*self.levels, np.nan] if self.gone else self.levels, self.dtype)[chosen]


@dataclass(frozen=True)
class Number:
    """A column of numbers or dates by the modes of a mixture of Gaussians: which mode, and where in it.

    A value x of mode k is the number (x − μ_k) / 4 σ_k and the category k (Xu et al., 2019, Section 4.2). Values that
    many rows share may be categories of their own (`spikes`), as in Zhao et al., 2021 (arXiv:2102.08369).

    Attributes:
        name: the column's.
        means, deviations: of the modes.
        weights: of the modes.
        spikes: values that are categories, before the modes.
        gone: whether values are missing, which is the category after the spikes.
        low, high: the least and the greatest value.
        decimals: digits after the point; None is as many as there are.
        dtype: numpy's.
        unit: of dates, `D`, `s` or `us`; else empty.
    """

    name: str
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    spikes: tuple[float, ...]
    gone: bool
    low: float
    high: float
    decimals: int | None
    dtype: str
    unit: str = ""

    @property
    def block(self) -> Block:
        """A number, and one of the spikes, or missing, or the modes."""
        bare = len(self.spikes) + self.gone
        return Block(1, bare + len(self.means), bare)

    def encode(self, values: NDArray[Any], seed: int) -> NDArray[np.float32]:
        """[n, 1 + categories]; the mode of each value is drawn by how probable each is."""
        lost, x = missing(values), _plain(values, self.unit)
        bare, modes = self.block.bare, len(self.means)
        if lost.any() and not self.gone:
            raise Refused(f"column {self.name}: has missing values, which it had not when it was fitted")
        chosen = np.full(len(x), len(self.spikes), np.int64)
        number = np.zeros(len(x))
        if modes:
            mean, deviation = np.array(self.means), np.array(self.deviations)
            here = np.where(lost, self.low, x)
            z = (here[:, None] - mean) / deviation
            log = np.log(self.weights) - np.log(deviation) - 0.5 * z**2
            share = np.exp(log - log.max(1, keepdims=True))
            share = np.cumsum(share / share.sum(1, keepdims=True), 1)
            drawn = uniform((_ENCODING, seed), 0, len(x))
            mode = np.minimum((share < drawn[:, None]).sum(1), modes - 1)
            number = np.clip((here - mean[mode]) / (SPREADS * deviation[mode]), -1, 1)
            chosen = np.where(lost, chosen, bare + mode)
        for i, spike in enumerate(self.spikes):
            chosen[x == spike] = i
        number[chosen < bare] = 0
        return np.hstack([number[:, None], _one_hot(chosen, self.block.categories)]).astype(np.float32)

    def decode(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """The value that the number stands for in the mode of the greatest category, within the range that was seen."""
        chosen = rows[:, 1:].argmax(1)
        place = np.array([*self.spikes, *[np.nan] * self.gone, *self.means])
        reach = np.array([*[0.0] * self.block.bare, *(SPREADS * s for s in self.deviations)])
        x = place[chosen] + np.clip(rows[:, 0].astype(np.float64), -1, 1) * reach[chosen]
        if self.decimals is not None:
            x = np.round(x, self.decimals)
        x = np.clip(x, self.low, self.high)
        lost = np.isnan(x)
        if self.unit:
            out = np.round(np.where(lost, 0, x)).astype(np.int64).astype(f"datetime64[{self.unit}]").astype(self.dtype)
            out[lost] = np.datetime64("NaT")
            return out
        if np.dtype(self.dtype).kind in "iu":
            return np.round(x).astype(self.dtype)
        return x.astype(self.dtype)


Column = Constant | Free | Category | Number
_KINDS: dict[str, type[Column]] = {"constant": Constant, "free": Free, "category": Category, "number": Number}


@dataclass(frozen=True)
class Encoding:
    """A table's columns, each with its code.

    Attributes:
        columns: in the table's order.
        notes: what was decided, one plain line each.
    """

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def blocks(self) -> list[Block]:
        """The blocks of a row, without empty ones."""
        return [column.block for column in self.columns if column.block.width]

    @property
    def width(self) -> int:
        """Length of a row."""
        return sum(block.width for block in self.blocks)

    def starts(self) -> dict[str, int]:
        """Where in a row each column begins."""
        ends = np.cumsum([column.block.width for column in self.columns]).tolist()
        return {column.name: end - column.block.width for column, end in zip(self.columns, ends, strict=True)}

    def column(self, name: str) -> Column:
        """A column by its name."""
        return next(column for column in self.columns if column.name == name)

    def encode(self, columns: Columns, seed: int = 0) -> NDArray[np.float32]:
        """Columns as rows [n, width].

        Raises:
            Refused: a column that is absent, or a value that its code does not know.
        """
        named(columns, [column.name for column in self.columns], "rows")
        parts = [column.encode(columns[column.name], seed + i) for i, column in enumerate(self.columns)]
        return np.hstack(parts).astype(np.float32, copy=False)

    def decode(self, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Rows [n, width] as columns, in the table's order, each of its own type."""
        starts = self.starts()
        return {
            column.name: column.decode(rows[:, starts[column.name] : starts[column.name] + column.block.width])
            for column in self.columns
        }

    def plain(self) -> dict[str, Any]:
        """As plain JSON."""
        kinds = {cls: kind for kind, cls in _KINDS.items()}
        out = []
        for column in self.columns:
            out.append({"kind": kinds[type(column)], **asdict(column)})
        return {"columns": out, "notes": list(self.notes)}

    @classmethod
    def of_plain(cls, value: Mapping[str, Any]) -> Encoding:
        """What `plain` gave, again."""
        columns: list[Column] = []
        for fields in value["columns"]:
            given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
            columns.append(_KINDS[given.pop("kind")](**given))
        return cls(tuple(columns), tuple(value.get("notes", ())))


# --- fitting ---------------------------------------------------------------------------------------


def fit(
    columns: Columns,
    *,
    modes: int = 10,
    spike: float | None = None,
    seed: int = 0,
    levels: int = LEVELS,
    categories: Sequence[str] = (),
    free: Sequence[str] = (),
) -> Encoding:
    """Choose a code for each column.

    Args:
        columns: by name.
        modes: of the mixture of a column of numbers, at most; those of little weight are left out.
        spike: share of the rows that a number must have to be a category of its own; None makes none.
        seed: of the mixtures' start.
        levels: kinds of text that a column may have.
        categories: columns of numbers whose values are kinds.
        free: columns whose values are made up anew.

    Raises:
        Refused: no columns or rows, all rows missing, mixed types in a column, text of too many kinds, or nothing to
            learn.
    """
    if not columns or not rows_of(columns):
        raise Refused("the table has no rows" if columns else "the table has no columns")
    named(columns, [*categories, *free], "columns")
    if all(missing(values).all() for values in columns.values()):
        raise Refused("all values of the table are missing")
    found: list[Column] = []
    notes: list[str] = []
    for name, values in columns.items():
        if values.ndim != 1 or len(values) != rows_of(columns):
            raise Refused(f"column {name}: has the shape {list(values.shape)}, in a table of {rows_of(columns)} rows")
        found.append(_code(name, values, modes, spike, seed, levels, name in categories, name in free, notes))
    if not any(column.block.width for column in found):
        raise Refused("there is nothing to learn: each column has one value, or is to be made up anew")
    return Encoding(tuple(found), tuple(notes))


def _code(
    name: str, values: NDArray[Any], modes: int, spike: float | None, seed: int, levels: int, kinds: bool, free: bool,
    notes: list[str],
) -> Column:  # fmt: skip
    dtype, lost = values.dtype.str, missing(values)
    if values.dtype.kind not in "iufbMO":
        raise Refused(f"column {name}: has the type {values.dtype}", "Read are numbers, text, truth values and dates.")
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise Refused(f"column {name}: has infinite values", "Put a number in their place, or leave them empty.")
    if values.dtype.kind == "O":
        _one_type(name, values[~lost])
    if free:
        if values.dtype.kind not in "iufO":
            raise Refused(f"column {name}: only numbers and text can be made up anew")
        start = int(np.nanmax(values)) + 1 if values.dtype.kind in "iuf" and not lost.all() else 0
        notes.append(f"{name}: made up anew")
        return Free(name, dtype, start)
    there, counts = np.unique(values[~lost], return_counts=True) if not lost.all() else (values[:0], np.zeros(0, int))
    if len(there) == 0 or (len(there) == 1 and not lost.any()):
        notes.append(f"{name}: " + ("all missing" if len(there) == 0 else f"always {there[0]}"))
        return Constant(name, None if len(there) == 0 else _jsoned(there[0]), dtype)
    if values.dtype.kind in "bO" or kinds or len(there) == 1:
        if values.dtype.kind == "M":
            raise Refused(f"column {name}: dates cannot be categories", "Write them as text.")
        _few(name, there, counts, levels)
        by_frequency = np.lexsort((np.arange(len(there)), -counts))
        return Category(name, tuple(_jsoned(there[i]) for i in by_frequency), bool(lost.any()), dtype)
    if values.dtype.kind in "iu" and len(there) == len(values) > 20 and _counting(there):
        raise Refused(
            f"column {name}: its numbers are all different, and without gaps: they number the rows",
            f"Leave it out (drop), or have it made up anew (free): {name}.",
        )
    return _number(name, values, there, counts, lost, modes, spike, seed)


def _one_type(name: str, values: NDArray[Any]) -> None:
    types = {bool if isinstance(v, np.bool_) else type(v) for v in values}
    if len(types) > 1 or not types <= {str, bool}:
        strange = ", ".join(sorted(one.__name__ for one in types))
        mixed = f"mixes {strange}" if len(types) > 1 else f"holds {strange}"
        raise Refused(f"column {name}: {mixed}", "Make it all numbers, or all text (df[name].astype(str)).")


def _counting(values: NDArray[Any]) -> bool:
    return int(values[-1]) - int(values[0]) == len(values) - 1


def _few(name: str, there: NDArray[Any], counts: NDArray[Any], levels: int) -> None:
    if len(there) <= levels:
        return
    alone = counts.sum() < 1.5 * len(there)
    what = "nearly all different, as of names or numbers of people" if alone else "too many to be learnt as categories"
    raise Refused(
        f"column {name}: {len(there):,} different values, {what} (at most {levels})",
        f"Leave {name} out (drop), have it made up anew (free), group its rare values, or raise the limit (levels).",
    )


def _number(
    name: str, values: NDArray[Any], there: NDArray[Any], counts: NDArray[Any], lost: NDArray[np.bool_], modes: int,
    spike: float | None, seed: int,
) -> Number:  # fmt: skip
    unit = _unit(values[~lost]) if values.dtype.kind == "M" else ""
    x = _plain(values[~lost], unit)
    points = _plain(there, unit)
    spikes = points[counts >= spike * len(values)] if spike is not None else points[:0]
    rest = x[~np.isin(x, spikes)]
    low, high = float(x.min()), float(x.max())
    mean, deviation, weight = _mixture(rest, modes, seed) if len(rest) else ([], [], [])
    decimals = 0 if unit or values.dtype.kind in "iu" else _decimals(points)
    return Number(
        name, tuple(mean), tuple(deviation), tuple(weight), tuple(spikes.tolist()), bool(lost.any()), low, high,
        decimals, values.dtype.str, unit,
    )  # fmt: skip


def _mixture(x: NDArray[np.float64], modes: int, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Means, deviations and weights of a variational mixture of Gaussians, those of little weight left out."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    centre, scale = float(x.mean()), float(x.std())
    if scale < 1e-12 * max(abs(centre), 1e-300) or len(x) < 3:
        return [centre], [max(float(np.ptp(x)), 1e-6 * max(abs(centre), 1.0))], [1.0]
    few = x if len(x) <= FITTED else x[np.argsort(uniform((_ENCODING, seed, 1), 0, len(x)))[:FITTED]]
    mixture = BayesianGaussianMixture(
        n_components=min(modes, len(np.unique(few)), len(few)), weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=1e-3, n_init=1, random_state=seed % (1 << 32),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit((few[:, None] - centre) / scale)
    kept = mixture.weights_ > WEIGHT
    deviation = np.maximum(np.sqrt(mixture.covariances_.reshape(-1)[kept]) * scale, 1e-6 * scale)
    mean, weight = mixture.means_[kept, 0] * scale + centre, mixture.weights_[kept]
    return mean.tolist(), deviation.tolist(), (weight / weight.sum()).tolist()


def _decimals(points: NDArray[np.float64]) -> int | None:
    for digits in range(10):
        if np.array_equal(np.round(points, digits), points):
            return digits
    return None


def _unit(values: NDArray[Any]) -> str:
    for unit in ("D", "s"):
        if not (values != values.astype(f"datetime64[{unit}]")).any():
            return unit
    return "us"


def _plain(values: NDArray[Any], unit: str) -> NDArray[np.float64]:
    if not unit:
        return values.astype(np.float64)
    whole = values.astype(f"datetime64[{unit}]")
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64).astype(np.float64))


def _one_hot(index: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    out = np.zeros((len(index), width), np.float32)
    out[np.arange(len(index)), index] = 1
    return out


def _jsoned(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


def _repeated(value: Any, n: int, dtype: str) -> NDArray[Any]:
    kind = np.dtype(dtype).kind
    if kind == "O":
        return _objects([value] * n)
    if value is None:
        value = np.datetime64("NaT") if kind == "M" else np.nan
    return np.full(n, value, dtype)
