"""What an extractor is: examples in, feature vectors out, with what names and identifies it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray


@runtime_checkable
class Extractor(Protocol):
    """Turns examples into feature vectors.

    Attributes:
        name: the extractor's name in a card (`domain`, `pixels`).
        version: raised whenever the same input would give other features.
        checksum: sha256 in hex over all that decides the features; unlike checksums, unlike scores.
        dims: length of a feature vector.
        card: what else a reader of the score must know (range, resize and filter, accuracy), plain JSON.
    """

    name: str
    version: int
    checksum: str
    dims: int

    @property
    def card(self) -> Mapping[str, Any]:
        """What else a reader of the score must know."""
        ...

    def features(self, examples: NDArray) -> NDArray[np.float32]:
        """Features of examples [N, *shape], [N, dims]."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """An extractor that names classes too."""

    def features_and_logits(self, examples: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features [N, dims] and logits [N, classes] of examples, in one pass."""
        ...


@runtime_checkable
class TellsApart(Protocol):
    """An extractor that gives distances of pairs by itself, its vectors being too long to keep many."""

    def apart(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Squared distances, float64 [n], of the features of pairs of images, 0 to 255, [n, C, H, W] each."""
        ...


def as_tensor(examples: NDArray) -> torch.Tensor:
    """Make a tensor of examples: sharing their memory, unless that is read-only or in another order."""
    return torch.from_numpy(np.require(examples, requirements=["C", "W"]))


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute in true float32 inside, whatever route or autocast a training has chosen around it.

    A score must not depend on how fast the training multiplies, and `set_float32_matmul_precision` is global.
    """
    rooms: Any = torch.backends  # which makes these attributes at run time
    backends = [rooms.mkldnn.matmul, rooms.mkldnn.conv]
    if torch.cuda.is_available():
        backends += [rooms.cuda.matmul, rooms.cudnn.conv]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
