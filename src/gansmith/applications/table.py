"""Synthetic tables, in the words of that field: `TableGAN(…).fit(df).sample(n)`, and a report."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith import recipe as recipes
from gansmith import training
from gansmith.applications.table_quality import Quality, Writer
from gansmith.applications.table_report import Report, measured
from gansmith.data import constraints, encoding, frames, tables
from gansmith.data.constraints import Comparison, Together
from gansmith.data.dataset import Dataset
from gansmith.data.encoding import Category, Encoding
from gansmith.data.tables import Columns
from gansmith.engine.listener import Listener
from gansmith.errors import Refused, nearest
from gansmith.model import Model
from gansmith.model import load as load_model
from gansmith.run import Run

METHODS = {"auto": "tablegan", "ctgan": "ctgan", "tvae": "tvae"}
"""Recipes by the names that they go by here; others are recipes of their own names, or files."""

FEWEST = 20
"""Rows that a table must have."""

SPIKE = 0.05
"""Share of the rows that a number must have to be a category of its own, but for the published methods."""

CLASSIFIER = {"network": "mlp:Encoder", "hidden": [128], "dropout": 0.3}
"""What learns the target from real rows, where there is one and the recipe's game has an `agreement`."""

CHUNK = 4096
"""Rows made at a time: a part of what makes samples equal."""

TRIED = 200
"""Rows that are made for each that is asked for, before conditions are given up."""

LAYOUT = 1
"""Version of `table.json`."""


@dataclass(frozen=True)
class Schema:
    """What stands between a user's table and the rows that a network learns.

    Attributes:
        encoding: of the columns, those that stand together joined.
        dtypes: numpy's, of each column in order.
        types: a frame's, where there was one.
        compared, together: constraints.
        target: the column that is to be predicted, or None.
    """

    encoding: Encoding
    dtypes: Mapping[str, str]
    types: Mapping[str, frames.Type] = field(default_factory=dict[str, frames.Type])
    compared: tuple[Comparison, ...] = ()
    together: tuple[Together, ...] = ()
    target: str | None = None

    def encode(self, columns: Columns, seed: int = 0) -> NDArray[np.float32]:
        """Columns as rows."""
        return self.encoding.encode(constraints.joined(columns, self.together), seed)

    def decode(self, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Rows as columns."""
        return constraints.parted(self.encoding.decode(rows), self.together, self.dtypes)

    def plain(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "layout": LAYOUT, "encoding": self.encoding.plain(), "dtypes": dict(self.dtypes),
            "types": dict(self.types), "compared": [[c.left, c.sign, c.right] for c in self.compared],
            "together": [list(group.names) for group in self.together], "target": self.target,
        }  # fmt: skip

    @classmethod
    def of_plain(cls, value: Mapping[str, Any]) -> Schema:
        """What `plain` gave, again."""
        return cls(
            Encoding.of_plain(value["encoding"]), value["dtypes"], value["types"],
            tuple(Comparison(*three) for three in value["compared"]),
            tuple(Together(tuple(names)) for names in value["together"]), value["target"],
        )  # fmt: skip


class TableGAN:
    """A generator of rows like those of a table.

    >>> model = gansmith.TableGAN(epochs=300).fit(df)           # doctest: +SKIP
    >>> fake = model.sample(1000, where={"income": ">50K"})     # doctest: +SKIP

    Args:
        epochs: passes over the table.
        method: `auto`, `ctgan` as published, `tvae`, or a recipe of one's own.
        target: the column that is to be predicted, by which the report judges. It changes the rows too: `auto` draws
            this column, where it is of kinds, by a classifier that it trains on the real rows, and not by the generator
            (`overrides={"game.agreement": 0}` turns that off). `ctgan` and `tvae`, as they come, take it for the report
            alone.
        constraints: what holds in each row, as `"start <= end"`, `"0 <= age <= 99"` or `"city with country"`.
        categories: columns of numbers whose values are kinds.
        free: columns whose values say nothing of the others (names, numbers of customers), made up anew.
        drop: columns to leave out.
        levels: kinds that a column of text may have.
        seed: of everything random.
        device: where to train.
        overrides: fields of the recipe by dotted name (`{"batch": 1000}`).
    """

    def __init__(
        self,
        *,
        epochs: float = 300,
        method: str = "auto",
        target: str | None = None,
        constraints: Sequence[str | Sequence[str]] = (),
        categories: Sequence[str] = (),
        free: Sequence[str] = (),
        drop: Sequence[str] = (),
        levels: int = encoding.LEVELS,
        seed: int = 0,
        device: str = "auto",
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        if not 0 < epochs < float("inf"):
            raise Refused(f"epochs: a number above zero, not {epochs!r}")
        self.epochs, self.method, self.target, self.constraints = epochs, method, target, tuple(constraints)
        self.categories, self.free, self.drop, self.levels = tuple(categories), tuple(free), tuple(drop), levels
        self.seed, self.device, self.overrides = seed, device, dict(overrides or {})
        self._model: Model | None = None
        self._schema: Schema | None = None

    # --- training ----------------------------------------------------------------------------------

    def fit(
        self, data: Any, out: str | Path | None = None, *, listeners: Sequence[Listener] = (), name: str = "table"
    ) -> TableGAN:
        """Train on a table.

        Args:
            data: a pandas DataFrame, columns by name, or the path of a CSV.
            out: the run's folder; None keeps it until the model goes (`save` copies it). It holds the rows.
            listeners: told of progress.
            name: of the table, where it has none.

        Returns:
            This model.

        Raises:
            Refused: a table that cannot be learnt as it is, before anything is written.
            KeyboardInterrupt: it was interrupted; where `out` was given, the run can be resumed.
        """
        if out is not None:
            from gansmith.run import refuse_existing

            refuse_existing(Path(out))
        table, types = _table(data, name)
        schema, columns = self._described(table, types)
        rows = schema.encode(columns, self.seed)
        dataset = Dataset(table.name, "vectors", (rows.shape[1],), len(rows), rows)
        dataset = replace(dataset, notes=(*table.notes, *schema.encoding.notes))
        recipe = self._recipe(schema, len(rows))
        if out is None:
            folder = tempfile.mkdtemp(prefix="gansmith-table-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            out = Path(folder) / "run"
        quality = Quality(schema, schema.decode(rows), table.name)
        writer = Writer(schema.plain(), rows, quality.cards())
        run = training.train(
            recipe, dataset, out, epochs=self.epochs, device=self.device, listeners=(writer, *listeners), scores=quality
        )
        self._load(run.finished().path)
        return self

    def _described(
        self, table: tables.Table, types: Mapping[str, frames.Type]
    ) -> tuple[Schema, dict[str, NDArray[Any]]]:
        columns = dict(table.columns)
        tables.named(columns, self.drop, "drop")
        columns = {name: values for name, values in columns.items() if name not in self.drop}
        if tables.rows_of(columns) < FEWEST:
            raise Refused(f"{table.name}: has {tables.rows_of(columns)} rows; {FEWEST} are needed at least")
        if self.target is not None:
            tables.named(columns, [self.target], "target")
            there = columns[self.target][~tables.missing(columns[self.target])]
            if len(set(there.tolist())) < 2:
                raise Refused(f"target: {self.target} has one value only, so there is nothing to tell apart")
        compared, together = constraints.parse(self.constraints, columns)
        constraints.check(compared, columns)
        kinds = [name for name, kind in types.items() if kind["dtype"] == "category" and name in columns]
        inside = {name for group in together for name in group.names}
        lost = [name for name in self.free if name in inside]
        if lost:
            raise Refused(f"free: {lost[0]} stands with another column, and cannot be made up anew")
        code = encoding.fit(
            constraints.joined(columns, together), spike=None if self.method in ("ctgan", "tvae") else SPIKE,
            seed=self.seed, levels=self.levels, free=self.free,
            categories=[name for name in (*self.categories, *kinds) if name not in inside],
        )  # fmt: skip
        dtypes = {name: values.dtype.str for name, values in columns.items()}
        kept = {name: types[name] for name in columns if name in types}
        return Schema(code, dtypes, kept, tuple(compared), tuple(together), self.target), columns

    def _recipe(self, schema: Schema, count: int) -> recipes.Recipe:
        """The method's recipe, with what it must know of this table."""
        name = METHODS.get(self.method, self.method)
        try:
            fields, where = recipes.read_fields(name)
        except Refused:
            near = nearest(str(self.method), list(METHODS))
            hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(METHODS)}"
            raise Refused(f"method: none is called {self.method!r}{hint}") from None
        fields = recipes.merge(fields, recipes.parse_overrides(self.overrides))
        blocks = schema.encoding.blocks
        told = sum(block.categories for block in blocks if not block.numbers and block.categories > 1)
        game = recipes.validate(fields, where).game
        conditioned = game.name == "table" and game.arguments.get("condition", 1) and told > 0
        own = int(fields.get("noise", 128))
        sides: dict[str, Any] = {"generator": {"noise": own, "classes": told if conditioned else 0}}
        if fields.get("discriminator"):
            sides["discriminator"] = {"classes": told if conditioned else 0}
        if "encoder" in fields.get("networks", {}):
            sides["networks"] = {"encoder": {"noise": own}}
        told_of = self._classifier(schema, fields, float(game.arguments.get("agreement", 0)))
        fields = recipes.merge(fields, {
            "game": {"name": game.name, "columns": [list(block) for block in blocks], **told_of}, **sides,
            "seed": self.seed,
            "noise": own + sum(block.categories for block in blocks) + bool(conditioned),
            "conditional": False, "score": False, "snapshots": int(fields.get("snapshots", 20)),
        })  # fmt: skip
        recipe = recipes.validate(fields, where)
        pack = int(recipe.discriminator.arguments.get("pack", 1)) if recipe.discriminator else 1
        if count < pack:
            raise Refused(
                f"the discriminator judges {pack} rows as one, and the table has {count}", "Take fewer (pac)."
            )
        if recipe.batch % pack:
            raise Refused(f"batch: {recipe.batch} is no multiple of the {pack} rows that are judged as one")
        return recipe

    def _classifier(self, schema: Schema, fields: dict[str, Any], agreement: float) -> dict[str, Any]:
        """What the game is told of the target; its classifier is added to the networks where it has kinds."""
        told = [c for c in schema.encoding.columns if not c.block.numbers and c.block.categories > 1]
        place = next((i for i, column in enumerate(told) if column.name == schema.target), None)
        if not agreement or place is None:
            return {}
        network = {**CLASSIFIER, "noise": told[place].block.categories}
        fields["networks"] = recipes.merge({"classifier": network}, fields.get("networks", {}))
        return {"target": place}

    # --- use ---------------------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        """The folder that training wrote.

        Raises:
            Refused: where there was none.
        """
        return self._fitted()[0].run

    def sample(self, n: int, *, where: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
        """Make rows, as a frame with the types and the order of the one that it was trained on.

        Args:
            n: how many.
            where: values that columns must have: one, a list of them, or of numbers a pair (low, high); by rejection.
            seed: equal seeds give equal rows; the first k of n are those of k.

        Raises:
            Refused: conditions that are met too seldom, or pandas is not installed.
        """
        return frames.frame_of(self.columns(n, where=where, seed=seed), self._fitted()[1].types)

    def columns(self, n: int, *, where: Mapping[str, Any] | None = None, seed: int = 0) -> dict[str, NDArray[Any]]:
        """As `sample`, as arrays by name."""
        model, schema = self._fitted()
        if n < 0 or n != int(n):
            raise Refused(f"n: a whole number from 0, not {n!r}")
        where = dict(where or {})
        if where:
            constraints.check_where(where, self.training_rows())
        told = self._told(where)
        kept: list[dict[str, NDArray[Any]]] = []
        got = made = 0
        while got < n or not kept:
            z = np.random.Generator(np.random.PCG64([seed, made])).standard_normal((CHUNK, model.noise), np.float32)
            labels = None if told is None else np.tile(told, (CHUNK, 1))
            columns = schema.decode(model.decode(z, labels, batch=CHUNK))
            good = constraints.held(schema.compared, columns) & constraints.matches(where, columns)
            kept.append(tables.taken(columns, good))
            got, made = got + int(good.sum()), made + CHUNK
            if made > TRIED * (n + CHUNK) or (got == 0 and made >= 50 * CHUNK):
                asked = " and ".join([*map(str, schema.compared), *(f"{k} = {v!r}" for k, v in where.items())])
                raise Refused(f"only {got:,} of {made:,} rows that were made have {asked}", "Ask for less at once.")
        out = {name: np.concatenate([part[name] for part in kept])[:n] for name in kept[0]}
        return self._renewed(out)

    def _renewed(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns that are made up anew are numbered through, since each chunk began at the first."""
        for column in self._fitted()[1].encoding.columns:
            if isinstance(column, encoding.Free):
                columns[column.name] = column.decode(np.zeros((tables.rows_of(columns), 0), np.float32))
        return columns

    def _told(self, where: Mapping[str, Any]) -> NDArray[np.float32] | None:
        """The condition of the rarest kind that is asked for, where the network is told kinds."""
        model, schema = self._fitted()
        if not getattr(model.game, "condition", 0):
            return None
        best: tuple[float, int] | None = None
        at, shares = 0, model.game.shares.cpu().numpy()  # type: ignore[union-attr]
        for column in schema.encoding.columns:
            if column.block.numbers or column.block.categories < 2:
                continue
            wanted = where.get(column.name)
            if column.name in where and isinstance(column, Category) and not isinstance(wanted, list | tuple):
                place = len(column.levels) if wanted is None else column.levels.index(wanted)
                if best is None or shares[at + place] < best[0]:
                    best = float(shares[at + place]), at + place
            at += column.block.categories
        if best is None:
            return None
        told = np.zeros((1, at), np.float32)
        told[0, best[1]] = 1
        return told

    def training_rows(self) -> dict[str, NDArray[Any]]:
        """The rows that it was trained on, as the run remembers them."""
        model, schema = self._fitted()
        return schema.decode(rows_in(model.run))

    def report(
        self, real: Any = None, *, target: str | None = None, positive: Any = None, n: int | None = None, seed: int = 0
    ) -> Report:
        """Measure quality and privacy.

        Args:
            real: rows that it was not trained on, as a frame, columns, or the path of a CSV; without them, privacy and
                what classifiers learn are not measured.
            target: the column to predict; None is the model's.
            positive: the class that F1 is of; None is the rarer one.
            n: rows to make; None is as many as it was trained on.
            seed: of them.
        """
        _, schema = self._fitted()
        trained = self.training_rows()
        held = None
        if real is not None:
            held, _ = _table(real, "holdout")
            tables.named(held.columns, list(schema.dtypes), "the real rows")
        fake = self.columns(n or tables.rows_of(trained), seed=seed)
        skip = [column.name for column in schema.encoding.columns if isinstance(column, encoding.Free)]
        given = None if held is None else {name: held.columns[name] for name in schema.dtypes}
        return measured(
            trained, fake, given, target=target or schema.target, positive=positive, skip=skip, seed=seed,
            name=self.run.info()["data"]["name"],
        )  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Copy the run to a folder, new or empty; `TableGAN.load` reads it."""
        from gansmith.run import refuse_existing

        refuse_existing(Path(path))
        return Path(shutil.copytree(self.run.path, path, dirs_exist_ok=True))

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> TableGAN:
        """The model of a run.

        Raises:
            Refused: no run, or one of no table.
        """
        model = cls(device=device)
        model._load(Path(path))
        return model

    def _load(self, path: Path) -> None:
        schema = schema_in(Run(path))
        self._model, self._schema, self.target = load_model(path, device=self.device), schema, schema.target

    def _fitted(self) -> tuple[Model, Schema]:
        if self._model is None or self._schema is None:
            raise Refused("this TableGAN has not been trained", "Call fit first, or TableGAN.load.")
        return self._model, self._schema


def schema_in(run: Run) -> Schema:
    """What a run of a table knows of its columns.

    Raises:
        Refused: where it is none, or damaged.
    """
    run.info()
    try:
        value = json.loads((run.path / "table.json").read_text(encoding="utf-8"))
        if value["layout"] > LAYOUT:
            raise Refused(f"{run.path}: its table.json is of a newer gansmith")
        return Schema.of_plain(value)
    except FileNotFoundError:
        raise Refused(f"{run.path}: is no run of a table", "`gansmith table fit` makes one.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(f"{run.path / 'table.json'}: damaged, or not readable") from None


def rows_in(run: Run) -> NDArray[np.float32]:
    """The rows that a run was trained on.

    Raises:
        Refused: where they are gone or damaged.
    """
    try:
        rows = np.load(run.path / "rows.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise Refused(f"{run.path / 'rows.npy'}: gone or damaged", "It holds the rows of the training.") from None
    return rows.astype(np.float32, copy=False)


def resume(path: str | Path, *, device: str = "auto", listeners: Sequence[Listener] = ()) -> Run:
    """Go on with the training of a table exactly where it stopped.

    Raises:
        Refused: no run of a table, or one whose rows are gone.
    """
    run = Run(Path(path))
    schema, rows = schema_in(run), rows_in(run)
    data = run.info()["data"]
    dataset = Dataset(data["name"], "vectors", (rows.shape[1],), len(rows), rows, notes=tuple(data["notes"]))
    quality = Quality(schema, schema.decode(rows), data["name"])
    return training.resume(path, data=dataset, device=device, listeners=listeners, scores=quality)


def _table(data: Any, name: str) -> tuple[tables.Table, dict[str, frames.Type]]:
    if isinstance(data, tables.Table):
        return data, {}
    if isinstance(data, str | Path):
        return tables.read_csv(data), {}
    if frames.is_frame(data):
        columns, types = frames.columns_of(data)
        return tables.Table(name, columns), types
    if isinstance(data, Mapping):
        return tables.Table(name, {key: tables.column(values) for key, values in data.items()}), {}
    raise Refused(f"a table is a pandas DataFrame, arrays by name, or the path of a CSV, and no {type(data).__name__}")
