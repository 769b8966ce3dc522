"""The datasets that have a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gansmith.data import points, published
from gansmith.data.dataset import Dataset
from gansmith.data.digits import digits
from gansmith.data.stacked import stacked_mnist
from gansmith.fields import Data


@dataclass(frozen=True)
class Entry:
    """A dataset of the catalogue.

    Attributes:
        name: what users call it.
        modality: `image` or `points`.
        shape: of one example.
        count: examples in the train and in the test split.
        summary: one line.
        licence: its terms, as its authors give them.
        ships: whether it needs neither a download nor a `--data-root`.
    """

    name: str
    modality: str
    shape: tuple[int, ...]
    count: tuple[int, int]
    summary: str
    licence: str
    ships: bool
    _read: Callable[[str, str | None], Dataset]

    def open(self, spec: Data) -> Dataset:
        """The split that `spec` names, whole and in its own size; the two joined for `all`.

        Raises:
            Refused: its files are not there and cannot be had, or are damaged.
        """
        if spec.split != "all":
            return self._read(spec.split, spec.root)
        return _joined(self._read("train", spec.root), self._read("test", spec.root))


def _joined(train: Dataset, test: Dataset) -> Dataset:
    assert train.array is not None
    assert test.array is not None
    labels = None
    if train.labels is not None and test.labels is not None:
        labels = np.concatenate([train.labels, test.labels])
    array = np.concatenate([train.array, test.array])
    return replace(train, array=array, labels=labels, count=len(array), split="all", notes=train.notes + test.notes)


def _drawn(make: Callable[[str], Dataset]) -> Callable[[str, str | None], Dataset]:
    return lambda split, root: make(split)


_POINTS = (points.COUNTS["train"], points.COUNTS["test"])
_UCI, _BY_SA, _MIT, _NONE = "CC BY 4.0", "CC BY-SA 3.0", "MIT", "drawn here, no terms"

CATALOGUE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "digits", "image", (1, 8, 8), (1500, 297), "handwritten digits, tiny; ships with scikit-learn", _UCI, True,
            _drawn(digits),
        ),
        Entry("mnist", "image", (1, 28, 28), (60_000, 10_000), "handwritten digits", _BY_SA, False, published.mnist),
        Entry(
            "fashion-mnist", "image", (1, 28, 28), (60_000, 10_000), "clothes, in MNIST's form", _MIT, False,
            published.fashion_mnist,
        ),
        Entry(
            "cifar10", "image", (3, 32, 32), (50_000, 10_000), "small colour photographs of ten kinds of thing",
            "research use", False, published.cifar10,
        ),
        Entry(
            "stacked-mnist", "image", (3, 28, 28), (60_000, 10_000), "a digit in each channel, 1,000 modes", _BY_SA,
            False, stacked_mnist,
        ),
        Entry("ring", "points", (2,), _POINTS, "8 Gaussians on a circle", _NONE, True, _drawn(points.ring)),
        Entry("grid", "points", (2,), _POINTS, "25 Gaussians on a square grid", _NONE, True, _drawn(points.grid)),
        Entry("spiral", "points", (2,), _POINTS, "two arms of a spiral", _NONE, True, _drawn(points.spiral)),
        Entry("two-gaussians", "points", (2,), _POINTS, "2 Gaussians", _NONE, True, _drawn(points.two_gaussians)),
        Entry("line", "points", (2,), _POINTS, "a straight line", _NONE, True, _drawn(points.line)),
        Entry("disjoint", "points", (2,), _POINTS, "two squares that lie apart", _NONE, True, _drawn(points.disjoint)),
        Entry("moons", "points", (2,), _POINTS, "two half circles", _NONE, True, _drawn(points.moons)),
    )
}  # fmt: skip
"""The datasets that have a name, by that name."""
