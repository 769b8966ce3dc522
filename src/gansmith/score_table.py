"""Scores as markup: what `gansmith eval` measured on a run, and several runs' scores side by side.

Knows no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from gansmith.errors import Refused
from gansmith.page import data_uri, fact, figure, rough
from gansmith.ranking import Row
from gansmith.run import Run
from gansmith.scores import Evaluation, Score, evaluations

BETTER = {"lower": ("↓", "lower"), "higher": ("↑", "higher"), "real": ("≈", "as real data")}
"""A sign and words for what is better of a score."""

NEIGHBOURS = (
    "In each row a sample, and then the training examples that are nearest to it in the features. If they were the "
    "same picture, the generator would have memorised it."
)


# --- the report's section --------------------------------------------------------------------------


def evaluation_section(run: Run) -> str:
    """What `gansmith eval` measured, a table for each checkpoint, the newest first; "" where it never did.

    A damaged `scores.json` is said in a line, and breaks nothing.
    """
    try:
        found = evaluations(run)
    except Refused as error:
        return f'<h2>Evaluation</h2><p class="notice">{escape(f"{error.what}. {error.remedy or str()}".strip())}</p>\n'
    if not found:
        return ""
    newest, *older = _by_clock(found)
    note = (
        "Each score with its spread, what real data score in the generator's place, and its card: all that decides "
        "the number. Scores of unlike cards cannot be compared."
    )
    return (
        f"<h2>Evaluation</h2><p class=soft>{note}</p>{_evaluated(*newest)}"
        + "".join(
            f'<details class="older"><summary>{escape(_clock(images))}</summary>{_evaluated(images, each)}</details>'
            for images, each in older
        )
        + _neighbours(run, found[-1].images)
        + "\n"
    )


def _by_clock(found: Sequence[Evaluation]) -> list[tuple[int | None, list[Evaluation]]]:
    """Evaluations of one checkpoint together, the latest checkpoint and the latest evaluation first."""
    groups: dict[int | None, list[Evaluation]] = {}
    for each in reversed(found):
        groups.setdefault(each.images, []).append(each)
    return sorted(groups.items(), key=lambda group: -1 if group[0] is None else group[0], reverse=True)


def _clock(images: int | None) -> str:
    return "Pictures" if images is None else f"After {images:,} images"


def _evaluated(images: int | None, found: Sequence[Evaluation]) -> str:
    """The newest score of each name, and folded in those of the same names with other cards or seeds."""
    newest: dict[str, Score] = {}
    others: list[Score] = []
    for score in (score for each in found for score in each.scores):
        if newest.setdefault(score.name, score) is not score:
            others.append(score)
    notes = "".join(f"<li>{escape(_made(each))}</li>" for each in found)
    more = "Measured earlier, with other cards or seeds"
    folded = f'<details class="older"><summary>{more}</summary>{_table(more, others)}</details>' if others else ""
    return f'{_table(_clock(images), list(newest.values()))}<ul class="notes">{notes}</ul>{folded}'


def _table(caption: str, scores: Sequence[Score]) -> str:
    head = "".join(
        f'<th scope="col"{kind}>{name}</th>'
        for name, kind in (
            ("score", ""), ("value", ""), ("real data", ""), ("better", ""), ("samples", ' class="wide"'),
            ('<span class="unseen">card</span>', ""),
        )
    )  # fmt: skip
    body = "".join(_score(score) for score in scores)
    return (
        f'<div class="scroll"><table class="scores"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>{body}</table></div>"
    )


def _made(found: Evaluation) -> str:
    when = ", ".join(str(found.made[key]) for key in ("date", "device") if found.made.get(key))
    return "; ".join([*([f"evaluated {when}"] if when else []), *found.notes])


def _score(score: Score) -> str:
    samples = score.card.get("samples")
    cells = (
        f'<th scope="row">{escape(score.name)}</th><td>{value(score)}</td>'
        f"<td>{'' if score.floor is None else figure(score.floor)}</td><td>{better(score.better)}</td>"
        f'<td class="wide">{escape(fact(samples)) if samples is not None else ""}</td><td></td>'
    )
    return f"<tbody><tr>{cells}</tr>{card_row(score, 6)}</tbody>"


def _neighbours(run: Run, images: int | None) -> str:
    if not run.neighbours_file.exists():
        return ""
    try:
        uri = data_uri(run.neighbours_file)
    except OSError:
        return f"<p class=soft>{escape(run.neighbours_file.name)}: damaged, or not readable.</p>"
    caption = f"{_clock(images)}. {NEIGHBOURS}"
    return (
        f'<figure class="neighbours"><img src="{uri}" alt="Samples beside their nearest training examples">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


# --- parts -----------------------------------------------------------------------------------------


def number(found: float) -> str:
    """A score's value in four digits, or that it is none."""
    return figure(found) if math.isfinite(found) else "not finite"


def value(score: Score) -> str:
    """A score's value and spread, as markup."""
    if score.spread is None:
        return number(score.value)
    return f'{number(score.value)} <small title="{escape(score.spread_is)}">± {rough(score.spread)}</small>'


def better_words(which: str) -> str:
    """What is better, in words."""
    return BETTER.get(which, ("", which))[1]


def better(which: str) -> str:
    """What is better, as markup: a sign, and words where there is room."""
    sign, _ = BETTER.get(which, ("", which))
    return f'{sign} <span class="words">{escape(better_words(which))}</span>'


def card_row(score: Score, columns: int) -> str:
    """A row of a table that unfolds to a score's card.

    Args:
        score: whose card is shown.
        columns: of the table.
    """
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(told)}</td></tr>" for name, told in _fields(score))
    return (
        f'<tr class="card"><td colspan="{columns}"><details><summary aria-label="Card of {escape(score.name)}">card'
        f"</summary><table>{rows}</table></details></td></tr>"
    )


def _fields(score: Score) -> Iterator[tuple[str, str]]:
    if score.spread_is:
        yield "spread", score.spread_is
    for name, told in {**score.card, **score.made}.items():
        yield name.replace("_", " "), _told(told)


def _told(found: Any) -> str:
    if isinstance(found, Mapping):
        return ", ".join(f"{name} {_told(inner)}" for name, inner in found.items())
    if isinstance(found, float):
        return number(found)
    return "none" if found is None else fact(found)


# --- several runs ----------------------------------------------------------------------------------


def side_by_side(names: Sequence[str], rows: Sequence[Row], clocks: Mapping[tuple[str, int], str]) -> str:
    """Scores of several runs, a column each; the best is marked where it is so by more than chance.

    Args:
        names: of the runs.
        rows: the scores.
        clocks: by score and number of the run, when it was measured, where that is not what the column says.
    """
    names = [f'<span class="run"><i class="s{i % 6}"></i>{escape(name)}</span>' for i, name in enumerate(names)]
    titles = ("score", *names, "real data", "better", "best", '<span class="unseen">card</span>')
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "".join(_compared(row, names, clocks) for row in rows)
    return f'<div class="scroll"><table class="scores"><thead><tr>{head}</tr></thead>{body}</table></div>'


def _compared(row: Row, names: Sequence[str], clocks: Mapping[tuple[str, int], str]) -> str:
    first, why = row.best()
    cells = []
    for i, score in enumerate(row.cells):
        at = f"<small>{escape(clocks[row.name, i])}</small>" if (row.name, i) in clocks else ""
        text = "–" if score is None else f"{value(score)}{at}"
        cells.append(f'<td class="best">{text}</td>' if i == first else f"<td>{text}</td>")
    shown = names[first] if first is not None else escape(why)
    told = next(score for score in row.cells if score)
    return (
        f'<tbody><tr><th scope="row">{escape(row.name)}</th>{"".join(cells)}'
        f"<td>{'' if row.real is None else figure(row.real)}</td><td>{better(row.better)}</td>"
        f'<td class="why">{shown}</td><td></td></tr>{card_row(told, len(cells) + 5)}</tbody>'
    )
