"""What runs that are compared have to tell: scores that may be compared, curves, and what their recipes differ in.

Scores of unlike cards are never put in one row. Knows no torch.
"""

from __future__ import annotations

import bisect
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from gansmith.errors import Refused, nearest
from gansmith.ranking import Row, asked_as, better_of, cards_of
from gansmith.report import Summary, summarize
from gansmith.run import Run
from gansmith.scores import Score, differences, evaluations, is_number


class Point(NamedTuple):
    """A score during a training: at which clock, after how many wall seconds, and how far it is uncertain."""

    images: float
    seconds: float
    value: float
    spread: float | None


@dataclass(frozen=True)
class Contender:
    """A run as it is compared.

    Attributes:
        run: its folder.
        name: by which it is told from the others.
        summary: where it stands.
        scores: the newest of each name: of its evaluations, or where there are none, of its training.
        clocks: at which each was measured; None where that is not known.
        evaluated: whether the scores are of evaluations.
        curves: the scores during its training.
        cards: of these, by name.
        fields: its recipe, by dotted name.
        machine: where it was trained.
    """

    run: Run
    name: str
    summary: Summary
    scores: Mapping[str, Score]
    clocks: Mapping[str, int | None]
    evaluated: bool
    curves: Mapping[str, Sequence[Point]]
    cards: Mapping[str, Mapping[str, Any]]
    fields: Mapping[str, str]
    machine: str

    @property
    def clock(self) -> int | None:
        """The clock at which most of the scores were measured."""
        clocks = list(self.clocks.values())
        return max(clocks, key=clocks.count, default=None)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: what is compared.
        only: the scores that were asked for; None is all.
    """

    runs: Sequence[Contender]
    only: Sequence[str] | None = None

    @cached_property
    def rows(self) -> list[Row]:
        """Each score that any of the runs has."""
        return [Row(name, [each.scores.get(name) for each in self.runs]) for name in self._names("scores")]

    @cached_property
    def curves(self) -> dict[str, tuple[list[Contender], list[tuple[Contender, str]]]]:
        """By score, the runs whose curves may stand in one chart, and those that may not, with what they differ in."""
        found = {}
        for name in self._names("curves"):
            first, *others = [each for each in self.runs if name in each.curves]
            alike, unlike = [first], []
            for other in others:
                told = _unlike(name, first.cards.get(name), other.cards.get(name), first, other)
                if told:
                    unlike.append((other, told[0]))
                else:
                    alike.append(other)
            found[name] = (alike, unlike)
        return found

    @cached_property
    def fields(self) -> dict[str, list[str]]:
        """The recipes' fields that are not the same in all runs, by dotted name: the value in each."""
        names = dict.fromkeys(name for each in self.runs for name in each.fields)
        values = {name: [each.fields.get(name, "–") for each in self.runs] for name in names}
        return {name: told for name, told in values.items() if len(set(told)) > 1}

    def _names(self, of: str) -> list[str]:
        names = dict.fromkeys(name for each in self.runs for name in getattr(each, of))
        return [name for name in names if self.only is None or name in self.only]


def collect(runs: Sequence[str | Path], only: Sequence[str] | None = None) -> Comparison:
    """Collect what runs have to tell.

    Args:
        runs: two folders of runs, or more.
        only: names of scores to compare; None is all.

    Raises:
        Refused: no run, a damaged one, or the same twice; a score that none has; scores whose cards differ.
    """
    found = Comparison([_read(run, name) for run, name in _named(runs)], only)
    _check_names(found)
    _check_cards(found)
    return found


def _named(paths: Sequence[str | Path]) -> list[tuple[Run, str]]:
    """The runs, each by its folder's name, or by its path where two folders are called alike."""
    if len(paths) < 2:
        raise Refused("compare: needs two runs or more", "`gansmith runs` lists runs.")
    places = [Path(path).resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise Refused(f"{paths[i]}: was given twice")
    names = [place.name for place in places]
    return [
        (Run(Path(path)), name if names.count(name) == 1 else str(path))
        for path, name in zip(paths, names, strict=True)
    ]


# --- from a run's folder ---------------------------------------------------------------------------


def _read(run: Run, name: str) -> Contender:
    info, summary, cards = run.info(), summarize(run), cards_of(run.info())
    curves = _curves(run)
    scores: dict[str, Score] = {}
    clocks: dict[str, int | None] = {}
    evaluated = evaluations(run)
    for each in evaluated:
        scores |= {score.name: score for score in each.scores}
        clocks |= {score.name: each.images for score in each.scores}
    if not evaluated:
        for score, points in curves.items():
            last = points[-1]
            card = cards.get(score)
            scores[score] = Score(score, last.value, better_of(card), card or {}, last.spread)
            clocks[score] = int(last.images)
    fields = dict(_flat(run.recipe().model_dump(mode="json")))
    return Contender(run, name, summary, scores, clocks, bool(evaluated), curves, cards, fields, _machine(info))


def _machine(info: Mapping[str, Any]) -> str:
    told = info.get("numerics")
    numerics: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    threads, world = numerics.get("threads"), numerics.get("world")
    parts = [numerics.get("device"), numerics.get("processor"), numerics.get("precision")]
    parts.append(f"{threads} thread{'' if threads == 1 else 's'}" if numerics.get("device") == "cpu" else None)
    parts.append(f"{world} processes" if isinstance(world, int) and world > 1 else None)
    return ", ".join(str(part) for part in parts if part)


def _curves(run: Run) -> dict[str, list[Point]]:
    """Each score during the training, over images and over wall seconds; what a roll-back undid is left out."""
    clock: list[tuple[float, float]] = [(0.0, 0.0)]
    curves: dict[str, list[Point]] = {}
    for event in run.events():
        images = event.get("images", 0)
        if event.get("event") == "progress" and is_number(event.get("seconds")):
            _back(clock, images)
            clock.append((images, event["seconds"]))
        elif event.get("event") == "score":
            scores = event.get("scores") or {}
            for name, value in scores.items():
                if is_number(value) and "/" not in name:
                    points, spread = curves.setdefault(name, []), scores.get(f"{name}/spread")
                    _back(points, images)
                    points.append(Point(images, 0.0, value, spread if is_number(spread) else None))
    return {name: [p._replace(seconds=seconds_at(p.images, clock)) for p in points] for name, points in curves.items()}


def _back(points: list[Any], images: float) -> None:
    while points and points[-1][0] >= images:
        points.pop()


def seconds_at(images: float, clock: Sequence[tuple[float, float]]) -> float:
    """Wall seconds of training at a clock, interpolated.

    Args:
        images: the clock.
        clock: (images, seconds) of what was reported, images rising; beyond its ends, the nearest of them.
    """
    at = bisect.bisect_right(clock, images, key=lambda each: each[0])
    if at == 0 or at == len(clock):
        return clock[max(at - 1, 0)][1]
    (start, began), (stop, ended) = clock[at - 1], clock[at]
    return began + (images - start) / (stop - start) * (ended - began)


def _flat(fields: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{name}.")
        elif value not in (None, {}, []):
            found.append((f"{prefix}{name}", str(value)))
    return found


# --- what may be compared --------------------------------------------------------------------------


def _check_names(found: Comparison) -> None:
    known = list(dict.fromkeys(name for each in found.runs for name in [*each.scores, *each.curves]))
    if not known:
        remedy = f"`gansmith eval {shlex.quote(str(found.runs[0].run.path))}` scores one."
        raise Refused("none of these runs was scored", remedy)
    for name in found.only or ():
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near}?" if near else ""
            raise Refused(f"--only {name}: no run has such a score{hint}", f"There are {', '.join(known)}.")


def _unlike(
    name: str, card: Mapping[str, Any] | None, other: Mapping[str, Any] | None, one: Contender, another: Contender
) -> list[str]:
    """In what two cards differ, or that one is missing: then nobody can say whether the scores are alike."""
    missing = [each.name for each, its in ((one, card), (another, other)) if not its]
    if missing:
        return [f"{' and '.join(missing)}: no card of {name}"]
    return differences(card or {}, other or {})


def _check_cards(found: Comparison) -> None:
    """Refuse scores whose cards differ; to compare them would be to compare unlike things."""
    wrong: dict[str, tuple[Contender, Contender, list[str]]] = {}
    for row in found.rows:
        there = [(run, score) for run, score in zip(found.runs, row.cells, strict=True) if score]
        for run, score in there[1:]:
            told = _unlike(row.name, there[0][1].card, score.card, there[0][0], run)
            if told:
                wrong.setdefault(row.name, (there[0][0], run, told))
    if not wrong:
        return
    name, (one, other, told) = next(iter(wrong.items()))
    shown, rest = told[:3], told[3:]
    what = f"{name} of {one.name} and {other.name} cannot be compared, since their cards differ: {'; '.join(shown)}"
    what += f"; and {len(rest)} more (below)" if rest else ""
    others = [each for each in wrong if each != name]
    what += f". So it is with {', '.join(others)}." if others else ""
    lines = [_remedy(found, list(wrong)), *([f"All that differs of {name}:"] if rest else [])]
    raise Refused(what, "\n".join([*lines, *(f"  {line}" for line in (told if rest else []))]))


def _remedy(found: Comparison, names: Sequence[str]) -> str:
    fine = [row.name for row in found.rows if row.name not in names]
    apart = f"--only {','.join(fine)} compares the rest" if fine else ""
    scores = [score for row in found.rows if row.name in names for score in row.cells if score and score.card]
    if not scores or len({str(score.card.get("shape")) for score in scores}) > 1:
        why = "They make samples of unlike shapes, which no flags make alike." if scores else "Evaluate them first."
        return f"{why}{f' {apart}.' if apart else ''}"
    involved = [each for each in found.runs if any(name in each.scores for name in names)]
    flags = _flags(involved[0], scores)
    commands = [f"  gansmith eval {shlex.quote(str(each.run.path))} {flags}" for each in involved]
    return "\n".join([f"Evaluate all alike{f', or else {apart}' if apart else ''}:", *commands])


def _flags(first: Contender, scores: Sequence[Score]) -> str:
    """The flags of `gansmith eval` by which all runs' cards come out alike: the first one's, with samples for all."""
    card = scores[0].card
    metrics = dict.fromkeys(asked_as(score) for score in scores)
    words = ["--metrics", ",".join(metrics), "-n", str(min(score.card.get("samples", 10_000) for score in scores))]
    words += ["--seed", str(card.get("seed", 0))]
    words += ["--reference", "train" if card.get("reference_is_training_data") else "test"]
    if _other_data([score.card for score in scores]):
        data = first.run.recipe().data
        words += ["--data", str(data.source)]
        words += ["--data-root", str(data.root)] if data.root else []
    return shlex.join(words)


def _other_data(cards: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the references are of other data, and not only other splits of the same."""
    whole = {tuple(card.get(f"reference{part}") for part in ("", "_split", "_fingerprint")) for card in cards}
    return len({name for name, _, _ in whole}) > 1 or len(whole) > len({split for _, split, _ in whole})
