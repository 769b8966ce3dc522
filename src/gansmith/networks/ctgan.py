"""CTGAN's generator for rows of a table (Xu et al., 2019, arXiv:1907.00503).

Its discriminator is `packed` with a perceptron inside; what the outputs mean is the game's affair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from gansmith.networks.layers import BatchNorm, one_hot


class Generator(nn.Module):
    """Noise and a condition → the raw row, by hidden layers that each join their output to their input.

    h ← h ⊕ ReLU(BN(Linear(h))), and a last linear layer: Xu et al., 2019, Section 4.4 (arXiv:1907.00503).

    Args:
        shape: of one row.
        noise: dimensions of the latent vector.
        classes: numbers of the condition; 0 is none.
        hidden: widths of the hidden layers.
        norm: whether there is batch norm.
        slope: of the activation for negative inputs; 0 is ReLU.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        hidden: Sequence[int] = (256, 256),
        norm: bool = True,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        width, layers = noise + classes, []
        for wide in hidden:
            act = nn.LeakyReLU(slope) if slope else nn.ReLU()
            layers.append(nn.Sequential(nn.Linear(width, wide), BatchNorm(wide) if norm else nn.Identity(), act))
            width += wide
        self.layers, self.end = nn.ModuleList(layers), nn.Linear(width, math.prod(self.shape))

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], [B, V] → [B, *shape]."""
        if labels is not None and self.classes:
            noise = torch.cat([noise, one_hot(labels, self.classes, noise)], 1)
        for layer in self.layers:
            noise = torch.cat([noise, layer(noise)], 1)
        return self.end(noise).view(-1, *self.shape)
