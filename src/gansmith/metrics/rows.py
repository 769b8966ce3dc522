"""Feature vectors that come in parts, for the metrics that need all of them at once."""

from __future__ import annotations

import numpy as np
import torch

from gansmith.collectives import gather_each
from gansmith.errors import Refused
from gansmith.metrics.frechet import Features


class Rows:
    """All feature vectors of parts, ranks or files, in order; what `Moments` is for mean and covariance.

    Their precision is kept: a float32 part stays float32, for half the memory.
    """

    def __init__(self) -> None:
        self._parts: list[torch.Tensor] = []

    @property
    def n(self) -> int:
        """How many vectors were seen."""
        return sum(len(part) for part in self._parts)

    def update(self, features: Features) -> Rows:
        """Take in more feature vectors, [N, d]; gives itself back.

        Raises:
            Refused: where they are not [N, d], or have another d than those before.
        """
        rows = features.detach() if isinstance(features, torch.Tensor) else torch.from_numpy(np.array(features))
        if rows.ndim != 2:
            raise Refused(f"features: expected an array [N, d], not {list(rows.shape)}")
        if self._parts and self._parts[0].shape[1] != rows.shape[1]:
            raise Refused(f"features of {rows.shape[1]} dimensions, but those before had {self._parts[0].shape[1]}")
        self._parts.append(rows)
        return self

    def merge(self, other: Rows) -> Rows:
        """Take in all that another accumulator has seen, after its own; gives itself back."""
        for part in other._parts:
            self.update(part)
        return self

    def gather(self) -> Rows:
        """All ranks' vectors, in the ranks' order: the same on each of them."""
        own = torch.cat(self._parts) if self._parts else torch.zeros(0, 0)
        whole = Rows()
        for rows in gather_each(own):
            if len(rows):
                whole.update(rows)
        return whole

    def compute(self) -> torch.Tensor:
        """Give all vectors, [N, d].

        Raises:
            Refused: where none were seen.
        """
        if not self._parts:
            raise Refused("no features were given")
        return torch.cat(self._parts)
