"""Compare runs: what the command line calls, and a Python user too; and the page that shows them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import gansmith
from gansmith import charts
from gansmith.contenders import Comparison, Contender, collect
from gansmith.errors import Refused
from gansmith.page import data_uri, duration, figure, panel, picture_uri, whole
from gansmith.run import write_text
from gansmith.score_table import side_by_side
from gansmith.scores import floor_of

UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
"""What wall time is shown in: the first of which the longest training takes three."""


def compare(
    runs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    only: Sequence[str] | None = None,
    device: str = "auto",
) -> Comparison:
    """Put runs side by side.

    Args:
        runs: two folders of runs, or more.
        out: write a page that shows them, in place of what is there; None writes none.
        only: names of scores to compare; None is all.
        device: where the page's samples are drawn.

    Returns:
        The comparison: `rows` hold the scores, `fields` what the recipes differ in.

    Raises:
        Refused: no run, a damaged one, or the same twice; a score that none has; scores whose cards differ.
    """
    if out is not None:
        from gansmith.engine import hardware  # no torch where no samples are drawn

        hardware.pick_device(device)
    found = collect(runs, only)
    if out is not None:
        text = page(found, device)
        write_text(Path(out), text)
    return found


# --- the page --------------------------------------------------------------------------------------


def page(found: Comparison, device: str = "auto") -> str:
    """A comparison as HTML text.

    Args:
        found: what is compared.
        device: where samples are drawn.
    """
    names = [each.name for each in found.runs]
    title = f"{', '.join(names[:-1])} and {names[-1]}"
    head = f'<header><p class="over">Comparison of {len(names)} runs</p><h1>{escape(title)}</h1></header>\n'
    return whole(title, "".join([head, _scores(found), _samples(found, device), _curves(found), _runs(found)]))


def _scores(found: Comparison) -> str:
    if not found.rows:
        return ""
    note = (
        "The best of a row is marked where it is ahead by more than its spread and that of the next together (the "
        "root of the sum of their squares). The spread is that of the measurement: the same recipe trained with "
        "another seed may differ by more."
    )
    clocks = {
        (row.name, i): f" at {charts.short(clock)}"
        for row in found.rows
        for i, run in enumerate(found.runs)
        if (clock := run.clocks.get(row.name)) is not None and clock != run.clock
    }
    table = side_by_side([each.name for each in found.runs], found.rows, clocks)
    return f"<h2>Scores</h2><p class=soft>{note}</p>{table}\n"


# --- samples ---------------------------------------------------------------------------------------


def _samples(found: Comparison, device: str) -> str:
    figures = []
    for each in found.runs:
        uri, caption = _grid(each, device)
        picture = f'<img src="{uri}" alt="Samples of {escape(each.name)}">' if uri else ""
        told = f"<b>{escape(each.name)}</b> {escape(caption)}"
        figures.append(f"<figure>{picture}<figcaption>{told}</figcaption></figure>")
    note = "Of the same seeds, none of them chosen."
    return f'<h2>Samples</h2><p class=soft>{note}</p><div class="grids">{"".join(figures)}</div>\n'


def _grid(each: Contender, device: str) -> tuple[str | None, str]:
    """A run's samples as a data URI, and what they are: of the checkpoint whose scores are shown, if it is there."""
    from gansmith.recorder import snapshot_picture

    scored = each.clock if each.clock is not None and each.run.checkpoint_file(each.clock).exists() else "latest"
    try:
        model = gansmith.load(each.run.path, checkpoint=scored, device=device)
        picture = snapshot_picture(model)
    except Refused as error:
        return _saved(each, error.what)
    if picture is None:
        return None, f"makes {model.modality}, which has no picture"
    return picture_uri(picture), f"after {model.images:,} images"


def _saved(each: Contender, why: str) -> tuple[str | None, str]:
    grids = each.run.samples()
    if not grids:
        return None, f"has no samples to show ({why})"
    images, file = grids[-1]
    try:
        return data_uri(file), f"the last grid that was saved, after {images:,} images ({why})"
    except OSError:
        return None, f"has no samples to show ({file.name}: damaged, or not readable)"


# --- curves ----------------------------------------------------------------------------------------


def _curves(found: Comparison) -> str:
    panels, notes = [], []
    unit, size = _unit(found)
    for name, (alike, unlike) in found.curves.items():
        level = floor_of(alike[0].cards.get(name))  # of the training: an evaluation may take other counts
        for axis, share in (("images", 1.0), (unit, size)):
            series, bands = _series(found, name, alike, axis == "images", share)
            label = axis if axis == "images" else f"{axis} of training"
            title = f"{name} by {'images' if axis == 'images' else 'time'}"
            panels.append(panel(title, series, marks=True, bands=bands, level=level, x_label=label))
        for run, why in unlike:
            notes.append(f"<li>{escape(name)} of {escape(run.name)} is not drawn: {escape(why)}</li>")
    if not any(panels):
        return ""
    note = "As measured during the training, against images seen and against wall time, scoring included."
    if len({each.machine for each in found.runs}) > 1:
        note += " The machines were not alike, so judge by the time with care."
    listed = f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""
    return f'<h2>Curves</h2><p class=soft>{note}</p>{listed}<div class="charts">{"".join(panels)}</div>\n'


def _unit(found: Comparison) -> tuple[str, float]:
    longest = max((p.seconds for each in found.runs for points in each.curves.values() for p in points), default=0.0)
    return next((unit for unit in UNITS if longest >= 3 * unit[1]), UNITS[-1])


def _series(
    found: Comparison, name: str, alike: Sequence[Contender], images: bool, size: float
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, list[tuple[float, float]]]]:
    """A curve of each run, empty for those that have none, so that each run keeps its colour; and their spreads."""
    series: dict[str, list[tuple[float, float]]] = {each.name: [] for each in found.runs}
    bands: dict[str, list[tuple[float, float]]] = {}
    for each in alike:
        points = each.curves[name]
        series[each.name] = [(p.images if images else p.seconds / size, p.value) for p in points]
        if any(p.spread for p in points):
            bands[each.name] = [(p.value - (p.spread or 0), p.value + (p.spread or 0)) for p in points]
    return series, bands


# --- runs and recipes ------------------------------------------------------------------------------


def _runs(found: Comparison) -> str:
    rows = {
        "recipe": [each.summary.recipe for each in found.runs],
        "data": [each.summary.data for each in found.runs],
        "images shown": [f"{each.summary.images:,}" for each in found.runs],
        "time": [duration(each.summary.seconds) for each in found.runs],
        "images/s": [figure(s.images / s.seconds) if s.seconds else "–" for s in (each.summary for each in found.runs)],
        "status": [each.summary.status for each in found.runs],
        "machine": [each.machine or "–" for each in found.runs],
        "scores": [_source(each) for each in found.runs],
    }
    names = [each.name for each in found.runs]
    told = f"<h2>Runs</h2>{_table(names, rows)}\n<h2>Recipes</h2>"
    if not found.fields:
        return f"{told}<p class=soft>The recipes are the same.</p>\n"
    return f"{told}<p class=soft>The fields that differ; all others are the same.</p>{_table(names, found.fields)}\n"


def _source(each: Contender) -> str:
    if not each.scores:
        return "none"
    at = "" if each.clock is None else f" after {each.clock:,} images"
    return f"gansmith eval{at}" if each.evaluated else f"the last of its training{at}"


def _table(names: Sequence[str], rows: dict[str, list[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(value)}</td>" for value in values)}</tr>'
        for name, values in rows.items()
    )
    return f'<div class="scroll"><table class="facts-of"><thead><tr><td></td>{head}</tr></thead>{body}</table></div>'
