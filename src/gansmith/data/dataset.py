"""What a dataset is, to everything above: named examples of one modality, with shape, labels and count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


class Problem(NamedTuple):
    """A file that could not be used, and why."""

    path: str
    reason: str


class Modes(NamedTuple):
    """The truth about a mixture of Gaussians, for scores that count modes.

    Attributes:
        centres: float32 [modes, 2], in the order of the labels.
        sigma: standard deviation of each mode, along each axis.
    """

    centres: NDArray[np.float32]
    sigma: float


class Beside(NamedTuple):
    """A dataset that goes along with another.

    Attributes:
        dataset: its examples; what they are beside them (labels, conditions) is not looked at.
        paired: its n-th example belongs to the other's n-th; otherwise it is fed in an order of its own.
    """

    dataset: Dataset
    paired: bool = True


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named examples of one modality.

    Either `array` holds every example, or `read(i)` gives the i-th; never neither.

    Attributes:
        name: what to call it: the catalogue's name, or the last part of the path.
        modality: `image`, `points`, or `vectors`.
        shape: of one example: (channels, height, width) of an image, (2,) of a point, (D,) of a vector.
        count: number of examples.
        array: uint8 [count, C, H, W] for images, float32 [count, *shape] otherwise; or None.
        read: the i-th example in the same form (called in worker threads or processes, so picklable
            and free of shared state); or None.
        labels: int64 [count], or None.
        classes: a name for each label, or None.
        conditions: float32 [count, V], a vector for each example that networks are told of in the labels' place; or
            None.
        split: the split that this is; `all` where the source knows no splits.
        fingerprint: sha256 in hex over the examples as they are fed, and their labels; equal data,
            equal fingerprint, in memory or not.
        problems: files that were passed over, and why.
        notes: what the reader decided on its own, one plain line each (resized, channels taken, …).
        modes: centres and width of the mixture that points are drawn from, or None.
        stack: classes of one channel, where each channel is a picture of its own and the label is the number
            that they spell, the first channel first; or None.
        beside: other datasets whose examples come along in `Batch.more`, by name: a pair's other half, or another
            domain.
    """

    name: str
    modality: str
    shape: tuple[int, ...]
    count: int
    array: NDArray[np.uint8] | NDArray[np.float32] | None = None
    read: Callable[[int], NDArray[np.uint8]] | None = None
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] | None = None
    conditions: NDArray[np.float32] | None = None
    split: str = "train"
    fingerprint: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = field(default=())
    modes: Modes | None = None
    stack: int | None = None
    beside: Mapping[str, Beside] = field(default_factory=dict[str, Beside])

    @property
    def kinds(self) -> str:
        """What its examples are called: images, points, vectors."""
        return self.modality.removesuffix("s") + "s"


class Batch(NamedTuple):
    """Examples on the device, ready to use.

    Attributes:
        data: float [B, *shape]; images in [-1, 1].
        labels: int64 [B]; or float [B, V], where a vector is the condition; or None.
        more: whatever else a play needs, by name (a pair's other half, a condition), first axis B.
    """

    data: torch.Tensor
    labels: torch.Tensor | None = None
    more: dict[str, torch.Tensor] = {}  # noqa: RUF012  (NamedTuple default, never written to)
