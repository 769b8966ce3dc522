"""Pixels as features: for images without labels, where no classifier can be fitted."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gansmith.errors import Refused
from gansmith.metrics.extractor import as_tensor, exact_float32

LARGEST = 192
"""Most dimensions of a feature vector: 13x13 grey, 8x8 in colour."""


class PixelExtractor:
    """Mean pixel values over a coarse grid, in [-1, 1].

    It sees layout and colour, and nothing finer than its grid: a blur below that leaves the score as it was.

    Args:
        shape: (C, H, W) of the images.
    """

    name = "pixels"
    version = 1

    def __init__(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise Refused(f"pixel features need images (C, H, W), not {shape}")
        channels, height, width = self.shape = shape
        shrink = min(1.0, (LARGEST / (channels * height * width)) ** 0.5)
        self.grid = (max(1, int(height * shrink)), max(1, int(width * shrink)))
        self.dims = channels * self.grid[0] * self.grid[1]
        text = f"{self.name} {self.version} {self.shape} {self.grid}"
        self.checksum = hashlib.sha256(text.encode()).hexdigest()
        height, width = self.grid
        self.card: dict[str, Any] = {"range": "uint8, 0 to 255", "resize": f"{height}x{width}, area means"}

    def features(self, examples: NDArray) -> NDArray[np.float32]:
        """Grid means of images, uint8 [N, C, H, W] to float32 [N, dims].

        Raises:
            Refused: where the images have another shape.
        """
        if examples.shape[1:] != self.shape:
            raise Refused(f"these images are {examples.shape[1:]}, but the reference's are {self.shape}")
        out = []
        with torch.inference_mode(), exact_float32():
            for at in range(0, len(examples), 512):
                images = as_tensor(examples[at : at + 512]).float()
                out.append(self.embed(images).numpy())
        return np.concatenate(out) if out else np.zeros((0, self.dims), np.float32)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Grid means of float images, 0 to 255, [N, C, H, W] to [N, dims]."""
        return functional.adaptive_avg_pool2d(images, self.grid).flatten(1).div(127.5).sub(1)
