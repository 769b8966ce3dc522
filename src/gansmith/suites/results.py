"""What a suite has found so far: medians over seeds with their range, as a table and as a page. Knows no torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from gansmith.charts import strips
from gansmith.page import duration, figure, whole
from gansmith.suites.suite import Suite


@dataclass(frozen=True)
class Result:
    """What one training came to.

    Attributes:
        images: its length; None where it broke down.
        cpu_seconds: of the processor, training alone.
        scores: by name.
        failed: why it counts as a failure, or None.
        floors: what real data score, where that is known.
    """

    images: int | None
    cpu_seconds: float
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    failed: str | None = None
    floors: Mapping[str, float] = field(default_factory=dict[str, float])

    def line(self) -> str:
        """As one line of text."""
        told = ", ".join(f"{name} {figure(value)}" for name, value in self.scores.items())
        failed = f"failed: {self.failed}" if self.failed else ""
        return f"{'; '.join(part for part in (told, failed) if part)} ({duration(self.cpu_seconds)} of the processor)"


class Results:
    """The results of a suite by trial, and what they come to over seeds.

    Attributes:
        suite: which.
        found: by the trial's key.
    """

    def __init__(self, suite: Suite, found: dict[str, Result] | None = None) -> None:
        self.suite, self.found = suite, found or {}

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        length = self.suite.length.model_dump(exclude_none=True)
        return {"suite": self.suite.name, "length": length, "found": {k: asdict(v) for k, v in self.found.items()}}

    @classmethod
    def of(cls, suite: Suite, record: Mapping[str, Any]) -> Results:
        """What `record` gave."""
        return cls(suite, {key: Result(**value) for key, value in record["found"].items()})

    def of_row(self, row: str, data: str) -> list[Result]:
        """The results of a row over its seeds, as far as they are there."""
        keys = [trial.key for trial in self.suite.trials() if (trial.row, trial.data) == (row, data)]
        return [self.found[key] for key in keys if key in self.found]

    def score_names(self, data: str) -> list[str]:
        """All scores that any row has, in the order of the first."""
        rows = self.suite.all_rows()
        return list(dict.fromkeys(name for row in rows for one in self.of_row(row, data) for name in one.scores))

    def chief(self, data: str) -> str | None:
        """The score that is plotted: the suite's, or the first."""
        names = self.score_names(data)
        chief = self.suite.chief
        wanted = [name for name in names if chief and (name == chief or name.startswith(f"{chief}-"))]
        return (wanted or names or [None])[0]

    # --- tables --------------------------------------------------------------------------------------

    def table(self, data: str) -> tuple[list[str], list[list[str]]]:
        """Headers and rows of text: median (least to most) of each score over the seeds."""
        names = self.score_names(data)
        headers = ["row", *names, "failed", "images", "CPU-s"]
        rows = []
        for row in self.suite.all_rows():
            results = self.of_row(row, data)
            if results:
                told = [_spread([one.scores[name] for one in results if name in one.scores]) for name in names]
                images = [one.images for one in results if one.images is not None]
                rows.append([
                    row, *told, f"{sum(one.failed is not None for one in results)} of {len(results)}",
                    f"{round(statistics.median(images)):,}" if images else "-",
                    figure(round(statistics.median(one.cpu_seconds for one in results))),
                ])  # fmt: skip
        floors = self._floors(data)
        if floors:
            rows.append(["real data", *(figure(floors[n]) if n in floors else "-" for n in names), "-", "-", "-"])
        return headers, rows

    def _floors(self, data: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for trial in self.suite.trials():
            if trial.data == data and trial.key in self.found:
                found = {**self.found[trial.key].floors, **found}
        return found

    def markdown(self) -> str:
        """All tables as Markdown."""
        return "\n".join(self._markdown())

    def _markdown(self) -> Iterator[str]:
        yield f"# {self.suite.name}\n\n{self.suite.summary.strip()}\n"
        for data in self.suite.data:
            headers, rows = self.table(data)
            yield f"## {data}\n\n| {' | '.join(headers)} |\n|{'---|' * len(headers)}"
            yield from (f"| {' | '.join(row)} |" for row in rows)
            yield ""
        yield "Medians over seeds, with the least and the most."

    def page(self) -> str:
        """All tables as a page, each with a plot of its chief score."""
        parts = [f'<h1>{escape(self.suite.name)}</h1>\n<p class="summary">{escape(self.suite.summary)}</p>\n']
        for data in self.suite.data:
            headers, rows = self.table(data)
            head = "".join(f"<th>{escape(name)}</th>" for name in headers)
            body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
            parts.append(f"<h2>{escape(data)}</h2>\n{self._plot(data)}")
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>\n")
        parts.append('<p class="soft">Medians over seeds, with the least and the most.</p>\n')
        return whole(self.suite.name, "".join(parts))

    def _plot(self, data: str) -> str:
        chief = self.chief(data)
        if chief is None:
            return ""
        rows = {
            row: [one.scores[chief] for one in self.of_row(row, data) if chief in one.scores]
            for row in self.suite.all_rows()
        }
        return strips({k: v for k, v in rows.items() if v}, title=chief, level=self._floors(data).get(chief))


def _spread(values: list[float]) -> str:
    """Median (least to most)."""
    if not values:
        return "-"
    middle, low, high = (figure(of(values)) for of in (statistics.median, min, max))
    return middle if low == high else f"{middle} ({low} to {high})"
