"""The report of a run: one self-contained HTML page, and the summary that it opens with.

The page asks nothing of the network: pictures are data URIs, charts inline SVG, style and script inline.
It is complete without the script, which adds a slider over the sample grids and a read-out to the charts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from gansmith import charts
from gansmith import recipe as recipes
from gansmith.errors import GansmithError
from gansmith.page import data_uri, duration, fact, figure, panel, whole
from gansmith.ranking import better_of, cards_of, cost, floor_of
from gansmith.run import WHOLE, Run, write_text
from gansmith.score_table import evaluation_section
from gansmith.scores import is_number

FRAMES = 24
"""Sample grids shown over time; of more, evenly spaced ones are taken."""

Events = Sequence[Mapping[str, Any]]
"""The events of a run, in order."""


# --- in words --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Best:
    """The best value of a run's chief score, the clock at which it was reached, and what is better of it."""

    name: str
    value: float
    images: int
    better: str = field(default="lower", compare=False)


@dataclass(frozen=True)
class Summary:
    """Where a run stands.

    Attributes:
        recipe: the recipe's name.
        data: the dataset's name.
        images: the clock at the last report.
        total: length of the training in images.
        seconds: wall seconds of training.
        status: `done`, `converged`, `interrupted`, `failed`, `running`, or `unknown`.
        best: the best value of the first score, or None where the run was not scored.
    """

    recipe: str
    data: str
    images: int
    total: int
    seconds: float
    status: str
    best: Best | None


def summarize(run: Run) -> Summary:
    """Where a run stands, from its folder alone.

    Raises:
        Refused: no run, or a damaged one.
    """
    return _summarize(run, list(run.events()))


def _summarize(run: Run, events: Events) -> Summary:
    info, recipe = run.info(), run.recipe()
    last: Mapping[str, Any] = {}
    images, status = 0, str(info.get("status", "unknown"))
    scores: list[Mapping[str, Any]] = []
    for event in events:
        images = event.get("images", images)
        if event.get("event") == "progress":
            last = event
        elif event.get("event") == "score":
            scores.append(event)
        elif event.get("event") == "begin":
            status = "running"
        elif event.get("event") == "end":
            status = str(event.get("reason", status))
    total = int(last.get("total") or recipe.images)
    data = _name_of(info.get("data")) or recipe.data.source or "data"
    seconds, best = float(last.get("seconds") or 0), _best(scores, info)
    return Summary(recipe.name, data, int(images or 0), total, seconds, status, best)


def _name_of(data: object) -> str | None:
    if isinstance(data, Mapping):
        return str(data["name"]) if data.get("name") else None
    return str(data) if data else None


def _best(events: Sequence[Mapping[str, Any]], info: Mapping[str, Any]) -> Best | None:
    rows = [(event["images"], name, value) for event in events for name, value in _plain_scores(event).items()]
    if not rows:
        return None
    chief = rows[0][1]
    card = cards_of(info).get(chief)
    mine = [Best(name, value, images, better_of(card)) for images, name, value in rows if name == chief]
    return min(mine, key=lambda best: cost(best.value, card))


def _plain_scores(event: Mapping[str, Any]) -> dict[str, float]:
    """The scores themselves, without their spreads and floors (`fd-mnist/spread`)."""
    scores = event.get("scores") or {}
    return {name: float(v) for name, v in scores.items() if is_number(v) and "/" not in name}


def _only(events: Events, kind: str) -> Iterator[Mapping[str, Any]]:
    return (event for event in events if event.get("event") == kind)


# --- the page --------------------------------------------------------------------------------------


def write_report(run: Run) -> Path:
    """Write the run's `report.html` from what its folder holds.

    Args:
        run: a run that has begun; parts that it lacks yet are left out of the page.

    Returns:
        The page's path.

    Raises:
        Refused: no run, a damaged one, or a disk that cannot be written.
    """
    text = page(run)
    write_text(run.report_file, text)
    return run.report_file


def page(run: Run) -> str:
    """The report as HTML text."""
    events, info = list(run.events()), run.info()  # read once: a long run has a hundred thousand
    summary = _summarize(run, events)
    title = f"{summary.recipe} on {summary.data}"
    body = "".join(
        [
            _head(run, summary, title),
            _warnings(events),
            _top(run, summary),
            _losses(events),
            _scores(events, info),
            evaluation_section(run),
            _schedules(events),
            _next(run, summary, info),
            _recipe(run),
            _facts(info),
        ]
    )
    return whole(title, body)


STATUS = {
    "done": "Training is done.",
    "converged": "Training ended early, because the score had stopped improving.",
    "interrupted": "Training was interrupted and saved; it can go on where it stopped.",
    "failed": "Training failed; the last good checkpoint is kept.",
    "running": "Training has not ended yet.",
}


def _head(run: Run, summary: Summary, title: str) -> str:
    return (
        f'<header><p class="over">Training report · {escape(run.path.name)}</p><h1>{escape(title)}</h1>'
        f'<p class="summary">{escape(STATUS.get(summary.status, ""))}</p></header>\n'
    )


def _warnings(events: Events) -> str:
    """What went wrong and what helps, above all else."""
    rows = [(event.get("images", 0), str(event.get("text", ""))) for event in _only(events, "warning")]
    if not rows:
        return ""
    items = "".join(f"<li>At {images:,} images: {escape(text)}</li>" for images, text in rows)
    return f'<section class="notice"><h2>Warnings</h2><ul class="warnings">{items}</ul></section>\n'


def _top(run: Run, summary: Summary) -> str:
    share = summary.images / summary.total if summary.total else 0
    rate = summary.images / summary.seconds if summary.seconds else 0
    facts = [("Images shown", f"{summary.images:,}", f"{share:.0%} of {charts.short(summary.total)}")]
    if summary.seconds:
        facts.append(("Time", duration(summary.seconds), ""))
        facts.append(("Speed", figure(rate), "images/s"))
    if summary.best:
        word = {"lower": "Lowest", "higher": "Highest"}.get(summary.best.better, "Best")
        at = f"at {charts.short(summary.best.images)}"
        facts.append((f"{word} {summary.best.name}", figure(summary.best.value), at))
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{f'<small>{escape(more)}</small>' if more else ''}</dd></div>"
        for name, value, more in facts
    )
    return f'<div class="top"><dl class="facts">{items}</dl>\n{_samples(run)}</div>\n'


def _samples(run: Run) -> str:
    grids = run.samples()
    if not grids:
        return '<p class="soft">No samples yet: the first snapshot has not been taken.</p>\n'
    chosen = [grids[round(i)] for i in _evenly(len(grids), FRAMES)]
    uris = [data_uri(path) for _, path in chosen]
    captions = [f"After {images:,} images" for images, _ in chosen]
    frames = "".join(
        f'<figure data-caption="{caption}"><img src="{uri}" alt="Samples after {images:,} images">'
        f"<figcaption>{charts.short(images)}</figcaption></figure>"
        for caption, uri, (images, _) in zip(captions, uris, chosen, strict=True)
    )
    several = len(chosen) > 1
    slider = (
        f'<input type="range" id="clock" class="clock" min="0" max="{len(chosen) - 1}" value="{len(chosen) - 1}" '
        'step="1" aria-label="Time">'
    )
    return (
        f'<figure class="viewer"><img id="picture" src="{uris[-1]}" alt="Samples after {chosen[-1][0]:,} images">'
        + (slider if several else "")
        + f'<figcaption id="caption">{captions[-1]}</figcaption></figure>\n'
        + (f'<div class="frames" aria-label="Samples over time">{frames}</div>\n' if several else "")
    )


def _evenly(count: int, at_most: int) -> list[float]:
    if count <= at_most:
        return [float(i) for i in range(count)]
    return [i * (count - 1) / (at_most - 1) for i in range(at_most)]


# --- charts ----------------------------------------------------------------------------------------


def _series(events: Events, field: str) -> dict[str, list[tuple[float, float]]]:
    """Each finite value of a field of the progress events, by its name, over the clock."""
    series: dict[str, list[tuple[float, float]]] = {}
    for event in _only(events, "progress"):
        for name, value in (event.get(field) or {}).items():
            if is_number(value):
                series.setdefault(name, []).append((event["images"], value))
    return series


def _losses(events: Events) -> str:
    moves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, points in _series(events, "terms").items():
        move, _, term = name.rpartition("/")
        moves.setdefault(move or "losses", {})[term] = points
    panels = "".join(panel(move.replace("_", " ").capitalize(), terms) for move, terms in moves.items())
    if not panels:
        return ""
    return (
        "<h2>Losses</h2><p class=soft>What each side minimises. These tell how the two sides are balanced, not how "
        f'good the samples are: that is for your eyes and the scores.</p><div class="charts">{panels}</div>\n'
    )


def _scores(events: Events, info: Mapping[str, Any]) -> str:
    series: dict[str, list[tuple[float, float]]] = {}
    bands: dict[str, list[tuple[float, float]]] = {}
    for event in _only(events, "score"):
        scores = event.get("scores") or {}
        for name, value in _plain_scores(event).items():
            told = scores.get(f"{name}/spread")
            spread = float(told) if told is not None and is_number(told) else 0.0
            series.setdefault(name, []).append((event["images"], value))
            bands.setdefault(name, []).append((value - spread, value + spread))
    panels, cards = [], cards_of(info)
    floors = {name: floor for name in series if (floor := floor_of(cards.get(name))) is not None}
    for name, points in series.items():
        wide = any(low < high for low, high in bands[name])
        panels.append(
            panel(name, {name: points}, marks=True, bands={name: bands[name]} if wide else None, level=floors.get(name))
        )
    if not panels:
        return ""
    note = _better({name: better_of(cards.get(name)) for name in series})
    if any(low < high for band in bands.values() for low, high in band):
        note += "The shaded band is how far it is uncertain. "
    if floors:
        note += "The dashed line is the floor: what real examples score by chance alone."
    return f'<h2>Scores</h2><p class=soft>{note}</p><div class="charts">{"".join(panels)}</div>\n'


def _better(which: Mapping[str, str]) -> str:
    """Which way is better, as markup: in a sentence where it is one way of all, else by name."""
    words = {"lower": "Lower is better", "higher": "Higher is better", "real": "Nearest to the real data's is best"}
    ways = {way: [name for name, better in which.items() if better == way] for way in words}
    told = [(words[way], ", ".join(mine)) for way, mine in ways.items() if mine]
    return "".join(f"{what}{'' if len(told) == 1 else f': {escape(names)}'}. " for what, names in told)


def _schedules(events: Events) -> str:
    knobs = _series(events, "knobs")
    moving = {name: points for name, points in knobs.items() if len({value for _, value in points}) > 1}
    still = {name: points[-1][1] for name, points in knobs.items() if name not in moving}
    speed = [(e["images"], e["rate"]) for e in _only(events, "progress") if is_number(e.get("rate"))]
    panels = [panel(name.replace("_", " "), {name: points}) for name, points in moving.items()]
    panels.append(panel("images per second", {"images per second": speed}, from_zero=True))
    constant = ", ".join(f"{escape(name.replace('_', ' '))} {charts.short(value)}" for name, value in still.items())
    text = f"<p class=soft>Constant throughout: {constant}.</p>" if constant else ""
    if not any(panels):
        return ""
    return f'<h2>Schedules and speed</h2>{text}<div class="charts three">{"".join(panels)}</div>\n'


# --- words and tables ------------------------------------------------------------------------------


def _next(run: Run, summary: Summary, info: Mapping[str, Any]) -> str:
    lines = "\n".join(next_commands(run, summary.status, classes_of(info), info.get("use")))
    return f"<h2>Go on from here</h2><pre>{escape(lines)}</pre>\n"


def classes_of(info: Mapping[str, Any]) -> list[str]:
    """The names of the classes that a run's model can be asked for, [] where it has none."""
    data = info.get("data")
    if isinstance(data, Mapping) and data.get("conditional") is False:
        return []
    found = data.get("classes") if isinstance(data, Mapping) else None
    return [str(name) for name in found] if isinstance(found, list | tuple) else []


def next_commands(run: Run, status: str, classes: Sequence[str] = (), use: str | None = None) -> list[str]:
    """Commands that work on this run now, with a comment each.

    Args:
        run: the run.
        status: how its training ended.
        classes: of its data, for a command that asks for one.
        use: the command of what makes nothing of noise alone, with RUN in the place of its folder.
    """
    path = shlex.quote(str(run.path))
    rows = [] if status in WHOLE else [(f"gansmith resume {path}", "go on where it stopped")]
    if use is not None:
        rows.append((f"gansmith {use.replace('RUN', path)}", "use what it has learned"))
        return _lined(rows)
    rows.append((f"gansmith sample {path} -n 64 --out grid.png", "a picture of new samples"))
    if classes:
        label = shlex.quote(classes[min(3, len(classes) - 1)])
        rows.append((f"gansmith sample {path} -n 16 --label {label} --out one-class.png", "one class only"))
    rows.append((f"gansmith sample {path} --out film.gif", "a film from sample to sample"))
    return _lined(rows)


def _lined(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(command) for command, _ in rows)
    return [f"{command:<{width}}  # {what}" for command, what in rows]


def _recipe(run: Run) -> str:
    try:
        text = recipes.dump(run.recipe())
    except GansmithError:
        return ""
    note = "Everything that this run was made with; this text saved as a .yaml file trains it again."
    return f"<h2>Recipe</h2><p class=soft>{note}</p><pre>{escape(text)}</pre>\n"


def _facts(info: Mapping[str, Any]) -> str:
    # The status stands at the top, and may be older here; of the cards, the chief's is enough.
    skip = ("schema_version", "status", "cards")
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in info.items():
        if name in skip or value in (None, [], {}):
            continue
        if isinstance(value, Mapping):
            groups[name] = list(_rows(value))
        else:
            groups.setdefault("run", []).append((name, fact(value)))
    tables = "".join(
        f"<table><caption>{escape(name.replace('_', ' '))}</caption>"
        + "".join(f"<tr><th>{escape(key.replace('_', ' '))}</th><td>{escape(value)}</td></tr>" for key, value in rows)
        + "</table>"
        for name, rows in groups.items()
        if rows
    )
    return f'<h2>Versions and facts</h2><div class="tables">{tables}</div>\n' if tables else ""


def _rows(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _rows(inner, f"{prefix}{name} ")
        elif inner not in (None, [], ""):
            yield f"{prefix}{name}", fact(inner)
