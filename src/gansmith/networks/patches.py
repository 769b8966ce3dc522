"""A small residual network on a grid of patches: for drawings and photographs of 8 to 40 pixels, on a CPU.

At a quarter of the resolution a 3x3 convolution costs a sixteenth and sees a dozen pixels; what is finer is
written and read by one matrix for each patch. No normalisation, as in R3GAN (Huang et al., 2024,
arXiv:2501.05441); blocks as in He et al., 2016, Figure 4e (arXiv:1603.05027), without their norms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import GAIN, SLOPE, ClassLogit, ClassNoise, Critic, pad_to, scaled, squashed


class Block(nn.Module):
    """x + W₂ φ(W₁ φ(x)), with two 3x3 convolutions.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = scaled(Conv2d(width, width, 3, padding=1), GAIN)
        self.second = scaled(Conv2d(width, width, 3, padding=1), GAIN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        inner = self.first(F.leaky_relu(x, SLOPE))
        return x + self.second(F.leaky_relu(inner, SLOPE, inplace=True))


def _grid(shape: Sequence[int], patch: int) -> tuple[int, int]:
    if len(shape) != 3:
        raise ValueError(f"patches makes images, not examples of shape {tuple(shape)}")
    if patch < 1 or min(shape[1:]) < patch:
        raise ValueError(f"patches of {patch} pixels a side need images that are no smaller, not {tuple(shape)}")
    return math.ceil(shape[1] / patch), math.ceil(shape[2] / patch)


class Generator(nn.Module):
    """Noise → dense layer → grid → residual blocks → patches.

    Args:
        shape: (C, H, W).
        noise: dimensions of the latent vector.
        classes: number of classes, whose embeddings join the noise; 0 is unconditional.
        width: channels of the grid.
        blocks: residual blocks.
        patch: pixels of a patch's side.
        hidden: width of the dense layer between noise and grid, the only one that sees the image as a whole.
        embedding: dimensions of a class's embedding.
        squash: end in tanh. Where pixels lie at the ends of their range (drawings), nothing helps more.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        width: int = 64,
        blocks: int = 1,
        patch: int = 4,
        hidden: int = 256,
        embedding: int = 64,
        squash: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.patch, self.squash = tuple(shape), patch, squash
        self.grid = _grid(shape, patch)
        self.start = ClassNoise(classes, embedding)
        self.hidden = scaled(nn.Linear(noise + self.start.width, hidden), GAIN)
        self.first = scaled(nn.Linear(hidden, width * math.prod(self.grid)))
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.last = scaled(Conv2d(width, shape[0] * patch**2, 1))

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W]."""
        x = self.first(F.leaky_relu(self.hidden(self.start(noise, labels)), SLOPE))
        x = self.blocks(x.view(len(noise), *self.grid, -1).permute(0, 3, 1, 2))
        x = F.pixel_shuffle(self.last(F.leaky_relu(x, SLOPE)), self.patch)[:, :, : self.shape[1], : self.shape[2]]
        return squashed(x) if self.squash else x


class Discriminator(Critic):
    """Patches → grid → residual blocks → logit.

    Args:
        shape: (C, H, W).
        classes: number of classes; 0 is unconditional.
        width: channels of the grid.
        blocks: residual blocks.
        patch: pixels of a patch's side.
        features: dimensions in which a class's embedding is compared.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 64,
        blocks: int = 2,
        patch: int = 4,
        features: int = 64,
    ) -> None:
        super().__init__()
        self.patch = patch
        grid = _grid(shape, patch)
        self.padded = (grid[0] * patch, grid[1] * patch)
        self.first = scaled(Conv2d(shape[0] * patch**2, width, 1))
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.feature_width = width * math.prod(grid)
        self.end = ClassLogit(self.feature_width, classes, features, math.sqrt(classes / features))

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F], the grid."""
        x = F.pixel_unshuffle(pad_to(data, *self.padded), self.patch)
        x = F.leaky_relu(self.blocks(self.first(x)), SLOPE)
        return x.permute(0, 2, 3, 1).flatten(1)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B]."""
        return self.end(features, labels)
