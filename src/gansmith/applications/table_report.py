"""Quality and privacy of made rows: what is measured, in lines for people, and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith import charts, page
from gansmith.data import tables
from gansmith.data.tables import Columns
from gansmith.errors import Refused
from gansmith.metrics import columns as likeness
from gansmith.metrics.efficacy import Features, efficacy
from gansmith.metrics.records import Closeness, closeness
from gansmith.metrics.twosample import TwoSample, two_sample_test
from gansmith.run import write_text

TESTED = 4000
"""Rows a side of the two-sample test, at most."""

NEIGHBOURS = 2000
"""Rows whose closest record is looked for, of either kind, at most."""

BARS, BAR = 12, 270
"""Kinds of a column that its picture shows, and the length of the longest bar."""


@dataclass(frozen=True)
class Report:
    """How good made rows are.

    Attributes:
        name: of the table.
        real: the rows that are compared with: held-out ones, or else those of the training.
        fake: made rows.
        held_out: whether the real rows were not trained on.
        shapes: 1 − KS or 1 − TVD of each column.
        trends: likewise of each pair.
        two_sample: how well classifiers tell made rows from real ones, by the classifier.
        target: the column that was predicted, or None.
        positive: the class that F1 is of.
        learnt: F1 on real held-out rows by classifiers trained on made rows; empty where it was not measured.
        learnt_real: the same, trained on real rows.
        records: distances to the closest record; None without held-out rows.
    """

    name: str
    real: Columns
    fake: Columns
    held_out: bool
    shapes: Mapping[str, float]
    trends: Mapping[tuple[str, str], float]
    two_sample: Mapping[str, TwoSample]
    target: str | None = None
    positive: Any = None
    learnt: Mapping[str, float] = field(default_factory=dict[str, float])
    learnt_real: Mapping[str, float] = field(default_factory=dict[str, float])
    records: Closeness | None = None

    @property
    def made(self) -> int:
        """Number of made rows."""
        return tables.rows_of(self.fake)

    @property
    def shape(self) -> float:
        """The mean of the columns' shapes."""
        return likeness.mean(self.shapes)

    @property
    def trend(self) -> float:
        """The mean of the pairs' trends."""
        return likeness.mean(self.trends)

    def lines(self) -> list[str]:
        """The chief numbers, for people."""
        against = "held-out" if self.held_out else "training"
        rows = [
            f"{self.made:,} made rows against {tables.rows_of(self.real):,} {against} rows of {self.name}",
            f"column shapes  {self.shape:.3f}   1 is alike",
            f"pair trends    {self.trend:.3f}",
        ]
        for name, test in self.two_sample.items():
            rows.append(f"told apart     {test.accuracy:.3f}   by {name}; 0.5 is by chance")
        if self.learnt:
            of = f"F1 of {self.target} = {self.positive}, four classifiers"
            real = np.mean(list(self.learnt_real.values()))
            rows.append(
                f"learnt         {np.mean(list(self.learnt.values())):.3f}   {of}; trained on real rows {real:.3f}"
            )
        if self.records is not None:
            near, far = (float(np.median(x)) for x in (self.records.made, self.records.held))
            rows.append(f"closest record {near:.4f}   median; of real held-out rows {far:.4f}")
            rows.append(f"               {self.records.nearer:.1%} of made rows are nearer than 95 % of held-out ones")
            rows.append(f"copies         {self.records.copies:.2%}   of held-out rows {self.records.held_copies:.2%}")
        return rows

    def __str__(self) -> str:
        """The chief numbers, a line each."""
        return "\n".join(self.lines())

    def numbers(self) -> dict[str, float]:
        """The chief numbers by name."""
        out = {"shapes": self.shape, "trends": self.trend}
        out |= {f"c2st-{name}": test.accuracy for name, test in self.two_sample.items()}
        if self.learnt:
            out["f1"] = float(np.mean(list(self.learnt.values())))
            out["f1-real"] = float(np.mean(list(self.learnt_real.values())))
        if self.records is not None:
            out |= {"closer": self.records.nearer, "copies": self.records.copies}
        return out

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def html(self) -> str:
        """A page of its own."""
        return page.whole(f"Synthetic rows of {self.name}", _body(self))

    def save(self, path: str | Path) -> Path:
        """Write the page."""
        write_text(Path(path), self.html())
        return Path(path)


def measured(
    trained: Columns,
    fake: Columns,
    held: Columns | None,
    *,
    name: str,
    target: str | None = None,
    positive: Any = None,
    skip: Sequence[str] = (),
    seed: int = 0,
) -> Report:
    """Measure made rows against held-out ones, or those of the training where there are none.

    Args:
        trained: the rows of the training.
        fake: made rows.
        held: real rows that were not trained on, or None.
        name: of the table.
        target: the column to predict, or None.
        positive: the class that F1 is of; None is the rarest.
        skip: columns that are made up anew, which nothing is measured of.
        seed: of the two-sample test and of the rows that distances are taken of.

    Raises:
        Refused: a target that cannot be predicted.
    """
    trained, fake = _without(trained, skip), _without(fake, skip)
    held = None if held is None else _without(held, skip)
    real = trained if held is None else held
    if tables.rows_of(real) < 20 or tables.rows_of(fake) < 20:
        raise Refused("a report wants 20 rows or more of either kind")
    rest: dict[str, Any] = {}
    if held is not None:
        rest["records"] = closeness(_some(fake, NEIGHBOURS, seed), _some(held, NEIGHBOURS, seed), trained)
        if target is not None:
            positive = _rarest(trained, target) if positive is None else positive
            rest |= {"target": target, "positive": positive}
            rest["learnt"] = efficacy(fake, held, target, positive)
            rest["learnt_real"] = efficacy(trained, held, target, positive)
    return Report(
        name, real, fake, held is not None, likeness.shapes(real, fake), likeness.trends(real, fake),
        told_apart(real, fake, seed), **rest,
    )  # fmt: skip


def told_apart(real: Columns, fake: Columns, seed: int = 0) -> dict[str, TwoSample]:
    """The classifier two-sample test on all columns."""
    features = Features(real, "")
    pair = [features(_some(part, TESTED, seed)) for part in (real, fake)]
    out = {"nearest neighbours": two_sample_test(*pair, classifier="neighbours", seed=seed)}
    return out | {"logistic regression": two_sample_test(*pair, classifier="linear", seed=seed)}


def _without(columns: Columns, skip: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {name: values for name, values in columns.items() if name not in skip}


def _some(columns: Columns, most: int, seed: int) -> dict[str, NDArray[Any]]:
    return tables.taken(columns, np.random.Generator(np.random.PCG64(seed)).permutation(tables.rows_of(columns))[:most])


def _rarest(columns: Columns, target: str) -> Any:
    tables.named(columns, [target], "target")
    values = columns[target]
    kinds, counts = np.unique(values[~tables.missing(values)], return_counts=True)
    if len(kinds) < 2 or len(kinds) > 50:
        raise Refused(f"target: {target} has {len(kinds)} values; classes to tell apart are 2 to 50")
    rarest = kinds[counts.argmin()]
    return rarest.item() if isinstance(rarest, np.generic) else rarest


# --- the page --------------------------------------------------------------------------------------


def _body(report: Report) -> str:
    facts = {"Column shapes": f"{report.shape:.3f}", "Pair trends": f"{report.trend:.3f}"}
    if report.learnt:
        means = [np.mean(list(each.values())) for each in (report.learnt, report.learnt_real)]
        facts["F1, trained on made rows"] = f"{means[0]:.3f}<small>real {means[1]:.3f}</small>"
    if report.records is not None:
        facts["Nearer than held-out rows"] = f"{report.records.nearer:.1%}<small>5 % is none nearer</small>"
    shown = "".join(f"<div><dt>{escape(key)}</dt><dd>{value}</dd></div>" for key, value in facts.items())
    against = "real rows that were not trained on" if report.held_out else "the rows of the training"
    parts = [
        f"<h1>Synthetic rows of {escape(report.name)}</h1>",
        f'<p class="summary">{report.made:,} made rows beside {tables.rows_of(report.real):,} {against}.</p>',
        f'<dl class="facts">{shown}</dl>',
        _privacy(report), _learnt(report), _apart(report),
        "<h2>Columns</h2><p>1 is alike: 1 − KS of numbers and dates, 1 − TVD of kinds. Real rows are drawn in the "
        "first colour, made ones in the second.</p>",
        f'<div class="charts">{"".join(_column(report, name) for name in report.real)}</div>',
        "<h2>Pairs of columns</h2><p>How like the dependence of each pair is; darker is less alike.</p>",
        _heat(report),
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    return f'<table class="scores"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _privacy(report: Report) -> str:
    if report.records is None:
        return "<h2>Privacy</h2><p>Not measured: that takes real rows that were not trained on.</p>"
    found = report.records
    share = np.linspace(0, 1, 101)
    curves = {
        label: [(float(x), float(y)) for x, y in zip(np.quantile(values, share), share, strict=True)]
        for label, values in (("real, held out", found.held), ("made", found.made))
    }
    title = "Distance to the closest record of the training"
    keys = "".join(f'<span><i class="s{i}"></i>{label}</span>' for i, label in enumerate(curves))
    chart = charts.line_chart(curves, title=title, x_label="distance", from_zero=True)
    drawn = f'<div class="panel"><h3>{title}</h3><div class="keys">{keys}</div>{chart}</div>'
    said = (
        f"{found.nearer:.1%} of the made rows lie nearer to a record of the training than 95 % of the held-out rows "
        f"do; 5 % would be as near as real rows. {found.copies:.2%} equal a record in every column; of the held-out "
        f"rows {found.held_copies:.2%} do. A curve of made rows that runs left of the other one shows rows "
        "learnt by heart. This is no guarantee: differential privacy would be."
    )
    return f'<h2>Privacy</h2><p>{said}</p><div class="charts">{drawn}</div>'


def _learnt(report: Report) -> str:
    if not report.learnt:
        return ""
    rows = [(name, f"{report.learnt[name]:.3f}", f"{report.learnt_real[name]:.3f}") for name in report.learnt]
    made, real = (f"{np.mean(list(each.values())):.3f}" for each in (report.learnt, report.learnt_real))
    rows.append(("mean", made, real))
    said = (
        f"F1 of {report.target} = {report.positive} on held-out real rows. scikit-learn's classifiers at its defaults."
    )
    return f"<h2>What classifiers learn</h2><p>{escape(said)}</p>" + _rows(
        ("", "trained on made rows", "on real rows"), rows
    )


def _apart(report: Report) -> str:
    rows = [(name, f"{test.accuracy:.3f}", f"{test.held_out:,}") for name, test in report.two_sample.items()]
    said = "Accuracy of a classifier that is to tell made rows from real ones it has not seen; 0.5 is by chance."
    return f"<h2>Can they be told apart?</h2><p>{said}</p>" + _rows(("", "accuracy", "rows"), rows)


def _column(report: Report, name: str) -> str:
    real, fake, value = report.real[name], report.fake[name], report.shapes[name]
    title = f"{name} · {'–' if np.isnan(value) else f'{value:.3f}'}"
    lost = [float(tables.missing(values).mean()) for values in (real, fake)]
    note = f'<p class="soft">missing: real {lost[0]:.1%}, made {lost[1]:.1%}</p>' if max(lost) > 0 else ""
    drawn = _numbers(title, real, fake) if likeness.numeric(real) else _bars(title, real, fake)
    return f'<div class="panel"><h3>{escape(title)}</h3>{drawn}{note}</div>'


def _numbers(title: str, real: NDArray[Any], fake: NDArray[Any]) -> str:
    one, two = (x[~np.isnan(x)] for x in (likeness.plain(real), likeness.plain(fake)))
    if not len(one) or not len(two):
        return ""
    if real.dtype.kind == "M":  # microseconds, which no axis can show: years
        one, two = (1970 + x / (365.2425 * 86400e6) for x in (one, two))
    edges = np.histogram_bin_edges(one, 40)
    if edges[0] == edges[-1]:
        return ""
    middle = (edges[1:] + edges[:-1]) / 2
    parts = [np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / len(x) for x in (one, two)]
    curves = {
        label: [(float(x), float(y)) for x, y in zip(middle, part, strict=True)]
        for label, part in zip(("real", "made"), parts, strict=True)
    }
    label = "year" if real.dtype.kind == "M" else "value"
    return charts.line_chart(curves, title=title, x_label=label, from_zero=True)


def _bars(title: str, real: NDArray[Any], fake: NDArray[Any]) -> str:
    one, two, number = likeness.codes(real, fake)
    names = list(dict.fromkeys("missing" if v is None else str(v) for v in [*real.tolist(), *fake.tolist()]))
    shares = [np.bincount(x, minlength=number) / len(x) for x in (one, two)]
    order = np.argsort(-shares[0], kind="stable")[:BARS]
    most = max(float(max(s.max() for s in shares)), 1e-9)
    lines = []
    for row, place in enumerate(order):
        y = 26 * row
        text = names[place] if len(names[place]) <= 24 else names[place][:23] + "…"
        lines.append(f'<text x="168" y="{y + 14}" text-anchor="end">{escape(text)}</text>')
        for which, share in enumerate(shares):
            wide = BAR * share[place] / most
            lines.append(
                f'<rect x="176" y="{y + 2 + 9 * which}" width="{wide:.1f}" height="8" fill="var(--s{which})"/>'
            )
        end = 184 + BAR * max(float(share[place]) for share in shares) / most
        lines.append(f'<text x="{end:.0f}" y="{y + 14}">{shares[1][place]:.1%}</text>')
    height = 26 * len(order) + 4
    if number > len(order):
        lines.append(f'<text x="176" y="{height + 10}">and {number - len(order)} more</text>')
        height += 18
    return _svg(520, height, title, lines)


def _svg(width: float, height: float, title: str, parts: Sequence[str], style: str = "") -> str:
    head = f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}"{style}>'
    return f"{head}{''.join(parts)}</svg>"


def _heat(report: Report) -> str:
    names = list(report.real)
    side, left, top = max(16, min(34, 700 // max(len(names), 1))), 150, 120
    cells = []
    for (one, two), value in report.trends.items():
        if np.isnan(value):
            continue
        for a, b in ((one, two), (two, one)):
            x, y = left + side * names.index(b), top + side * names.index(a)
            shade = f"opacity:{min(1.0, 4 * (1 - value)) * 0.96 + 0.04:.2f}"
            cells.append(
                f'<rect x="{x}" y="{y}" width="{side - 1}" height="{side - 1}" fill="var(--s0)" style="{shade}">'
                f"<title>{escape(a)}, {escape(b)}: {value:.3f}</title></rect>"
            )
    for place, name in enumerate(names):
        text = escape(name if len(name) <= 18 else name[:17] + "…")
        middle = side * place + side / 2 + 4
        cells.append(f'<text x="{left - 8}" y="{top + middle:.0f}" text-anchor="end">{text}</text>')
        cells.append(f'<text transform="translate({left + middle:.0f},{top - 8}) rotate(-50)">{text}</text>')
    wide = left + side * len(names) + 70
    return _svg(wide, top + side * len(names) + 4, "pair trends", cells, f' style="max-width:{wide}px"')
