"""Heads on a discriminator's features: scores of classes and codes, or an embedding beside one for each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.layers import BatchNorm, SpectralLinear, wide


def _linear(inputs: int, outputs: int, spectral: bool, bias: bool = True) -> nn.Linear:
    return SpectralLinear(inputs, outputs, bias) if spectral else nn.Linear(inputs, outputs, bias)


class Head(nn.Module):
    """Features → scores, by linear layers.

    Args:
        inputs: length of a feature vector.
        outputs: scores.
        hidden: widths of layers between, each with LeakyReLU.
        norm: batch norm in these.
        spectral: divide each weight by its largest singular value, as a discriminator with spectral norm does.
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: Sequence[int] = (), norm: bool = False, spectral: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in hidden:
            layers.append(_linear(inputs, width, spectral, bias=not norm))
            layers += [BatchNorm(width), nn.LeakyReLU(0.2)] if norm else [nn.LeakyReLU(0.2)]
            inputs = width
        self.layers = nn.Sequential(*layers, _linear(inputs, outputs, spectral))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, inputs] → [B, outputs]."""
        return self.layers(features)


class Proxies(nn.Module):
    """Features → an embedding of length 1; and one of length 1 for each class, its proxy.

    As in ReACGAN and ContraGAN (Kang et al., 2021, arXiv:2111.01118; Kang and Park, 2020, arXiv:2006.12681).

    Args:
        inputs: length of a feature vector.
        classes: number of classes.
        width: dimensions of an embedding.
        spectral: divide the embedding's weight by its largest singular value.
    """

    def __init__(self, inputs: int, classes: int, width: int, spectral: bool = False) -> None:
        super().__init__()
        self.embedding, self.proxies = _linear(inputs, width, spectral), nn.Embedding(classes, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, inputs] → [B, width], float32 at least: in bfloat16 lengths would be a hundredth off."""
        return F.normalize(wide(self.embedding(features)), dim=1)

    def of(self, labels: torch.Tensor) -> torch.Tensor:
        """The proxies of classes, int64 [B] → [B, width]."""
        return F.normalize(wide(self.proxies(labels)), dim=1)


class Places(nn.Module):
    """Features of places at several depths → embeddings, by two layers of each depth's own (CUT, arXiv:2007.15651).

    Args:
        inputs: channels at each depth.
        width: dimensions of an embedding, and of the layer between.
    """

    def __init__(self, inputs: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(each, width), nn.ReLU(), nn.Linear(width, width)) for each in inputs
        )

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """[B, P, C] of each depth → [B, P, width] of each."""
        return [layer(each) for layer, each in zip(self.layers, features, strict=True)]
