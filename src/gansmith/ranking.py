"""Which of several scores is the better one, and whether by more than noise.

A score's card says what is better. The events of a training hold names and numbers; their cards are in `run.json`.
Knows no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gansmith.scores import Score, floor_of


def better_of(card: Mapping[str, Any] | None) -> str:
    """What is better of a score, as its card says: `lower`, `higher` or `real`; without one, `lower`."""
    told = (card or {}).get("better")
    return told if told in ("lower", "higher", "real") else "lower"


def cost(value: float, card: Mapping[str, Any] | None) -> float:
    """Rank a value: lower is better.

    Where it should be as of real data, and what these score is not known, the card's `leaning` decides.

    Args:
        value: the score.
        card: its card.
    """
    better, real = better_of(card), floor_of(card)
    if better == "real" and real is not None:
        return abs(value - real)
    if better == "real":
        better = (card or {}).get("leaning")
    return -value if better == "higher" else value


def cards_of(info: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The cards of a training's scores in `run.json`, by the score's name."""
    told = info.get("cards")
    if not isinstance(told, Mapping):
        return {}
    return {str(name): card for name, card in told.items() if isinstance(card, Mapping)}


def asked_as(score: Score) -> str:
    """What to give to `--metrics` for this score."""
    measure, extractor = score.card.get("measure") or score.name, score.card.get("extractor")
    return f"{measure}-{extractor}" if extractor not in (None, "points", measure) else str(measure)


# --- side by side ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One score of several runs, with cards alike.

    Attributes:
        name: the score's.
        cells: each run's, None where it has none.
    """

    name: str
    cells: Sequence[Score | None]

    @property
    def better(self) -> str:
        """`lower`, `higher` or `real`."""
        return next(score.better for score in self.cells if score)

    @property
    def real(self) -> float | None:
        """What real data score; None where that is not known."""
        known = [score.floor for score in self.cells if score]
        return next((value for value in known if value is not None), None)

    def best(self) -> tuple[int | None, str]:
        """The run whose score is the best by more than chance, and in words why there is none.

        The best must differ from the next by more than their two spreads together, the root of the sum of their
        squares; else it would be noise that is taken for progress.
        """
        there = [(i, score) for i, score in enumerate(self.cells) if score and math.isfinite(score.value)]
        if len(there) < 2:
            return None, ""
        if self.better == "real" and self.real is None:
            return None, "real data's not known"
        ranked = sorted(there, key=lambda each: cost(each[1].value, each[1].card))
        (first, one), (_, other) = ranked[:2]
        if one.spread is None or other.spread is None:
            return None, "spread not known"
        ahead = cost(other.value, other.card) - cost(one.value, one.card)
        return (first, "") if ahead > math.hypot(one.spread, other.spread) else (None, "within the spread")
