"""A suite: recipes trained alike on the same data and scored alike, over several seeds. A YAML file on disk.

Knows no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from gansmith.errors import Refused, nearest
from gansmith.fields import Frozen
from gansmith.recipe import merge
from gansmith.schedule import Count, Number

Fields = dict[str, Any]
"""Recipe fields, nested or dotted."""


class Row(Frozen):
    """One recipe of a suite, and what it changes of it; a bare string is the recipe alone."""

    recipe: str = "auto"
    fields: Fields = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"recipe": value} if isinstance(value, str) else value


class Length(Frozen):
    """How long each training is: in images, passes, or minutes of the processor or of the clock."""

    images: Count | None = None
    epochs: Annotated[Number, Field(gt=0)] | None = None
    cpu_minutes: Annotated[Number, Field(gt=0)] | None = None
    minutes: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Length:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one length: images, epochs, cpu_minutes or minutes")
        return self


class Failure(Frozen):
    """A training has failed if its score is above this, or below it."""

    above: Number | None = None
    below: Number | None = None

    def failed(self, value: float) -> bool:
        """Whether such a score is a failure."""
        return (self.above is not None and value > self.above) or (self.below is not None and value < self.below)


class Suite(Frozen):
    """Which trainings, how long, and how they are scored.

    Attributes:
        name, summary: for people.
        data: by name, the recipe's `data` fields (a bare string is the source).
        length: of each training.
        seeds: trainings of each row on each data, with seeds from 0.
        metrics: as of `gansmith eval`.
        samples: that are scored; None is the usual.
        chief: the score by which rows are ranked and plotted; None is the first.
        failed: by score, what counts as a failure, beside a training that breaks down.
        rows: by name.
        vary: more rows, one for each combination: by part (`loss`), by choice (`hinge`), the fields it sets.
        base: the recipe that `vary` begins with.
        fields: set in every row.
    """

    name: str
    summary: str = ""
    data: dict[str, str | Fields]
    length: Length
    seeds: Annotated[int, Field(ge=1, le=1000)] = 3
    metrics: tuple[str, ...]
    samples: Annotated[int, Field(ge=2)] | None = None
    chief: str | None = None
    failed: dict[str, Failure] = Field(default_factory=dict)
    rows: dict[str, Row] = Field(default_factory=dict)
    vary: dict[str, dict[str, Fields]] = Field(default_factory=dict)
    base: str | None = None
    fields: Fields = Field(default_factory=dict)
    schema_version: Literal[1] = 1

    def all_rows(self) -> dict[str, Row]:
        """The rows by name, the combinations of `vary` first."""
        out: dict[str, Row] = {}
        if self.vary:
            for choice in itertools.product(*(part.items() for part in self.vary.values())):
                fields: Fields = {}
                for _, given in choice:
                    fields = merge(fields, given)
                out[" ".join(name for name, _ in choice)] = Row(recipe=self.base or "auto", fields=fields)
        return out | self.rows

    def trials(self) -> list[Trial]:
        """All trainings, seed by seed, so that a table fills evenly."""
        return [
            Trial(name, data, seed, row.recipe, self._fields_of(row, data, seed))
            for seed in range(self.seeds)
            for data in self.data
            for name, row in self.all_rows().items()
        ]

    def fails(self, score: str, value: float) -> bool:
        """Whether a score of this name and value is a failure; `fd` speaks of any `fd-…`."""
        told = self.failed.get(score, self.failed.get(score.split("-")[0]))
        return told is not None and told.failed(value)

    def _fields_of(self, row: Row, data: str, seed: int) -> Fields:
        source = self.data[data]
        fields = merge({"data": {"source": source} if isinstance(source, str) else source}, self.fields)
        return merge(merge(fields, row.fields), {"seed": seed})

    def narrowed(
        self,
        rows: Sequence[str] | None = None,
        data: Sequence[str] | None = None,
        seeds: int | None = None,
        length: Mapping[str, Any] | None = None,
    ) -> Suite:
        """Some rows of some data, with other seeds or another length.

        Raises:
            Refused: a row or data that the suite does not have.
        """
        known = self.all_rows()
        kept = known if rows is None else {name: known[_one_of(name, list(known), "row")] for name in rows}
        chosen = (
            self.data if data is None else {name: self.data[_one_of(name, list(self.data), "data")] for name in data}
        )
        return self.model_copy(update={
            "rows": kept, "vary": {}, "data": chosen, "seeds": self.seeds if seeds is None else seeds,
            "length": self.length if not length else Length.model_validate(length),
        })  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One training of a suite.

    Attributes:
        row, data: names.
        seed: of everything random.
        recipe: its name or file.
        fields: what it changes.
    """

    row: str
    data: str
    seed: int
    recipe: str
    fields: Fields

    @property
    def key(self) -> str:
        """What it is called among the results."""
        return f"{self.data}/{self.row}/{self.seed}"

    @property
    def folder(self) -> str:
        """Its run's folder, under the suite's."""
        return "/".join(part.replace("/", "_").replace(" ", "-") for part in (self.data, self.row, str(self.seed)))


def _one_of(name: str, known: list[str], what: str) -> str:
    if name not in known:
        near = nearest(name, known)
        raise Refused(
            f"no {what} is called {name!r}", f"Did you mean {near!r}?" if near else f"There are {', '.join(known)}."
        )
    return name


def suite_names() -> list[str]:
    """The suites that ship with the package, sorted."""
    files = resources.files("gansmith.suites").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def suite_text(name_or_path: str) -> str:
    """A suite's YAML, by its name or from a file.

    Raises:
        Refused: no such suite, or a file that cannot be read.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = _one_of(name_or_path, suite_names(), "suite")
        return resources.files("gansmith.suites").joinpath(f"{known}.yaml").read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise Refused(f"{path}: cannot read the suite ({reason})") from None


def load_suite(name_or_path: str) -> Suite:
    """Read a suite by its name or from a YAML file.

    Raises:
        Refused: no such suite, or a file that is none.
    """
    text = suite_text(name_or_path)
    try:
        return Suite.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise Refused(f"{name_or_path}: not valid YAML ({getattr(error, 'problem', None) or 'syntax'})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(f"{name_or_path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
