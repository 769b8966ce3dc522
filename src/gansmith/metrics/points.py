"""Points as their own features."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.errors import Refused


class PointExtractor:
    """Points, as they are.

    Args:
        shape: (d,) of the points.
    """

    name = "points"
    version = 1

    def __init__(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 1:
            raise Refused(f"points are vectors, not {shape}")
        self.shape, self.dims = shape, shape[0]
        self.checksum = hashlib.sha256(f"{self.name} {self.version} {shape}".encode()).hexdigest()
        self.card: dict[str, Any] = {"range": "float32, as given", "resize": None}

    def features(self, examples: NDArray) -> NDArray[np.float32]:
        """Give points [N, d] back, in float32.

        Raises:
            Refused: where they have another number of dimensions.
        """
        if examples.shape[1:] != self.shape:
            raise Refused(f"these points are {examples.shape[1:]}, but the reference's are {self.shape}")
        return np.asarray(examples, np.float32)
