"""The training examples that are nearest to a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.data import Dataset, open_dataset
from gansmith.data.finish import reserve
from gansmith.errors import Refused
from gansmith.metrics import choice, reading
from gansmith.model import Model

WAYS = ("pixels", "features")
"""By pixels, each as much as the other; or in the features of a classifier of the data's own labels."""

SEARCHED = 20_000
"""Examples whose features are looked at, or that are read from files; of more, a seeded choice."""


@dataclass(frozen=True, eq=False)
class Near:
    """The nearest examples.

    Attributes:
        images: uint8 [k, C, H, W], the nearest first.
        rows: int64 [k], their places in the training data.
        distances: float64 [k]: root mean square of the pixels' differences, in levels of 256; or of features.
        labels: their classes' names, or None.
        searched, count: examples that were looked at, and all there are.
    """

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    distances: NDArray[np.float64]
    labels: list[str] | None
    searched: int
    count: int


class Reference:
    """The data that a model was trained on.

    Args:
        dataset: the examples.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._extractor: Any = None
        self._features: NDArray[np.float32] | None = None

    @property
    def bytes(self) -> int:
        """Of what is held."""
        held = (self.dataset.array, self._features)
        return sum(each.nbytes for each in held if each is not None)

    def nearest(self, image: NDArray[np.uint8], by: str = "pixels", k: int = 6) -> Near:
        """The nearest examples to an image, uint8 [C, H, W].

        Raises:
            Refused: another way; or no features can be had, as without labels.
        """
        if by not in WAYS:
            raise Refused(f"nearest by {' or '.join(WAYS)}, not {by!r}")
        data = self.dataset
        if by == "pixels":
            rows = reading.some(data, data.count if data.array is not None else SEARCHED, 0)
            apart = np.concatenate([_pixels(image, part) for part in reading.read(data, rows)])
        else:
            rows = reading.some(data, SEARCHED, 0)
            apart = self._in_features(image, rows)
        near = np.argsort(apart, kind="stable")[:k]
        chosen = rows[near]
        names = None
        if data.labels is not None and data.classes is not None:
            names = [data.classes[int(label)] for label in data.labels[chosen]]
        return Near(reading.array(data, chosen), chosen, apart[near], names, len(rows), data.count)

    def _in_features(self, image: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        if self._extractor is None:
            self._extractor = choice.make("domain", self.dataset, None, choice.Making()).extractor
        if self._features is None:
            self._features = np.concatenate(
                [self._extractor.features(part) for part in reading.read(self.dataset, rows)]
            )
        mine = self._extractor.features(image[None]).astype(np.float64)
        return np.linalg.norm(self._features.astype(np.float64) - mine, axis=1)


def _pixels(image: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    apart = np.empty(len(others))
    for at in range(0, len(others), 1024):
        part = others[at : at + 1024].astype(np.float32) - image.astype(np.float32)
        apart[at : at + 1024] = np.sqrt(np.square(part).reshape(len(part), -1).mean(1, dtype=np.float64))
    return apart


def reference_of(model: Model) -> Reference:
    """The data of a model's training, as far as they can still be opened.

    Raises:
        Refused: they are gone, have changed, or were a Python user's own.
    """
    spec, info = model.recipe.data, model.run.info()
    data = open_dataset(spec)
    if spec.reserve is not None:
        data = reserve(data, spec.reserve)[0]
    if tuple(data.shape) != tuple(model.shape) or data.fingerprint != (info.get("data") or {}).get("fingerprint"):
        raise Refused(f"the training data are not those that it began with ({data.name})")
    return Reference(data)
