"""A score with its identity card, and what a run keeps of them in `scores.json`.

A card holds all that decides the number; scores of unlike cards are never put in one column. Knows no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from gansmith.errors import Refused
from gansmith.run import Run, write_json

SCHEMA = 1
"""Version of `scores.json`."""

TOLD = ("reason", "measure", "better", "leaning", "floor", "floor_is", "extractor_accuracy")
"""What a card tells for people, and what follows from the rest: unlike ones do not make cards unlike."""


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value out of JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def floor_of(card: Mapping[str, Any] | None) -> float | None:
    """What real data score, by a card; None where that is not known."""
    found = (card or {}).get("floor")
    return float(found) if is_number(found) else None


@dataclass(frozen=True)
class Score:
    """A number, with its spread, its floor and its card.

    Attributes:
        name: `fd-mnist`, `precision-mnist`, `fid`.
        value: the number.
        better: `lower`, `higher`, or `real` (the nearer to what real examples score).
        card: all that decides the number, plain JSON.
        spread: how far it is uncertain, in its own units; None where that is not known.
        spread_is: what the spread is.
        made: what does not decide it: seed of the samples, seconds, device, date, versions.
    """

    name: str
    value: float
    better: str
    card: Mapping[str, Any]
    spread: float | None = None
    spread_is: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def floor(self) -> float | None:
        """What real examples, unseen in training, score in the generator's place; None where it is not known."""
        return floor_of(self.card)

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "name": self.name, "value": _finite(self.value), "better": self.better, "spread": _finite(self.spread),
            "spread_is": self.spread_is, "card": dict(self.card), "made": dict(self.made),
        }  # fmt: skip


def _read(record: Mapping[str, Any]) -> Score:
    value, spread = record["value"], record["spread"]
    return Score(
        str(record["name"]), math.nan if value is None else float(value), str(record["better"]), dict(record["card"]),
        None if spread is None else float(spread), str(record["spread_is"]), dict(record["made"]),
    )  # fmt: skip


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """In what two cards differ, one line each; empty where their scores can be compared."""
    found = []
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key), other.get(key)
        if key in TOLD or a == b:
            continue
        found.append(f"{key.replace('_', ' ')}: {_short(a)} and {_short(b)}")
    return found


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) > 40 and " " not in text else text


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Evaluation:
    """The scores of one generator at one checkpoint.

    Attributes:
        what: the run or the pictures.
        images: the clock of the checkpoint; None of pictures.
        scores: with their cards.
        notes: what was chosen, and why.
        made: date, device, versions and seconds.
    """

    what: str
    images: int | None
    scores: Sequence[Score]
    notes: Sequence[str] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Score:
        """The score of a name.

        Raises:
            KeyError: where it was not measured.
        """
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(f"{name} was not measured, but {', '.join(s.name for s in self.scores)}")

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "what": self.what, "images": self.images, "scores": [score.record() for score in self.scores],
            "notes": list(self.notes), "made": dict(self.made),
        }  # fmt: skip


def keep(run: Run, evaluation: Evaluation) -> None:
    """Put an evaluation into the run's `scores.json`, in place of scores of the same cards at the same clock.

    Raises:
        Refused: where the file is damaged, or cannot be written.
    """
    mine = {(score.name, _decides(score)) for score in evaluation.scores}
    kept: list[dict[str, Any]] = []
    for old in evaluations(run):
        left = [s for s in old.scores if old.images != evaluation.images or (s.name, _decides(s)) not in mine]
        if left:
            kept.append(Evaluation(old.what, old.images, left, old.notes, old.made).record())
    write_json(run.scores_file, {"schema_version": SCHEMA, "evaluations": [*kept, evaluation.record()]})


def _decides(score: Score) -> str:
    rest = {key: value for key, value in score.card.items() if key not in TOLD}
    return json.dumps([rest, score.made.get("sample_seed")], sort_keys=True)


def evaluations(run: Run) -> list[Evaluation]:
    """The evaluations that a run keeps, oldest first.

    Raises:
        Refused: where `scores.json` is damaged or of a newer gansmith.
    """
    file = run.scores_file
    if not file.exists():
        return []
    try:
        held: Any = json.loads(file.read_text(encoding="utf-8"))
        version, records = held["schema_version"], list(held["evaluations"])
        read = [
            Evaluation(
                str(each["what"]), None if each["images"] is None else int(each["images"]),
                [_read(score) for score in each["scores"]], list(each["notes"]), dict(each["made"]),
            )
            for each in records
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(f"{file}: damaged, or not readable", "Remove it; `gansmith eval` writes it anew.") from None
    if version != SCHEMA:
        raise Refused(f"{file}: schema version {version!r}; this gansmith reads {SCHEMA}")
    return read
