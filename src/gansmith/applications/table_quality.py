"""How a table's training is followed: column shapes and pair trends at each snapshot, and what its run remembers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gansmith.data.dataset import Dataset
from gansmith.data.tables import Columns, rows_of, taken
from gansmith.engine.listener import Listener
from gansmith.engine.sampler import Sampler
from gansmith.metrics import columns as likeness
from gansmith.recipe import Recipe
from gansmith.run import Run, write_atomically, write_json

ROWS = 5000
"""Rows of either kind that a snapshot is judged by."""

SEED = 1


class Decoder(Protocol):
    """Makes columns of rows."""

    def decode(self, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Rows as columns."""
        ...


class Quality:
    """Scores a training's samples by their columns.

    Args:
        decoder: makes columns of rows.
        real: the rows of the training.
        name: of the table.
    """

    def __init__(self, decoder: Decoder, real: Columns, name: str) -> None:
        count = rows_of(real)
        some = np.random.Generator(np.random.PCG64(SEED)).permutation(count)[:ROWS]
        self.decoder, self.name, self.real = decoder, name, taken(real, np.sort(some))

    def __call__(self, sampler: Sampler) -> Mapping[str, float]:
        """`trends` and `shapes`, 1 being alike."""
        made = self.decoder.decode(sampler.decode(sampler.latents(ROWS, SEED), batch=1000))
        found = {
            "trends": likeness.mean(likeness.trends(self.real, made)),
            "shapes": likeness.mean(likeness.shapes(self.real, made)),
        }
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def cost(self, scores: Mapping[str, float]) -> float:
        """More alike is better: of trends, where there are any."""
        return -next(iter(scores.values()))

    def cards(self) -> dict[str, dict[str, Any]]:
        """What the two numbers are."""
        return {
            name: {
                "measure": name, "better": "higher", "samples": ROWS, "reference_samples": rows_of(self.real),
                "reference": self.name, "reference_split": "train", "seed": SEED,
            }
            for name in ("trends", "shapes")
        }  # fmt: skip


class Writer(Listener):
    """Puts into the run what is needed to use it and to go on with it: the columns' codes, and the rows.

    Args:
        schema: plain JSON.
        rows: of the training.
        cards: of its scores.
    """

    def __init__(self, schema: Mapping[str, Any], rows: NDArray[np.float32], cards: Mapping[str, Any]) -> None:
        self.schema, self.rows, self.cards = schema, rows, cards

    def begin(self, run: Run, recipe: Recipe, dataset: Dataset, images: int) -> None:
        """Write both, before the first step."""
        write_json(run.path / "table.json", self.schema)
        write_atomically(run.path / "rows.npy", self._fill)
        run.update_info(use="table sample RUN -n 1000 --out rows.csv", cards=dict(self.cards))

    def _fill(self, path: Path) -> None:
        with open(path, "wb") as file:
            np.save(file, self.rows, allow_pickle=False)
