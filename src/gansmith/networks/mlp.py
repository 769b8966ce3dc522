"""Perceptrons: the classic tutorial's pair, and any wider or deeper one, for images, points and vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from gansmith.networks.layers import Critic, Dropout, SpectralLinear, Squash, checked_moments, one_hot


class Generator(nn.Module):
    """Noise → data through hidden layers with ReLU.

    A class is given by its one-hot vector, joined to the noise (Mirza and Osindero, 2014).

    Args:
        shape: of one example.
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        hidden: widths of the hidden layers.
        dropout: probability of dropout after each hidden layer.
        slope: of the activation for negative inputs; 0 is ReLU.
        squash: end in tanh, for images; None does so for images only.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        slope: float = 0.0,
        squash: bool | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        squash = len(self.shape) == 3 if squash is None else squash
        layers = _hidden(noise + classes, hidden, dropout, slope)
        layers.append(nn.Linear(hidden[-1], math.prod(self.shape)))
        if squash:
            layers.append(Squash())
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, *shape]."""
        if labels is not None and self.classes:
            noise = torch.cat([noise, one_hot(labels, self.classes, noise)], 1)
        return self.layers(noise).view(-1, *self.shape)


class Discriminator(Critic):
    """Data → logit through hidden layers with LeakyReLU.

    A class is given by its one-hot vector, joined to the data (Mirza and Osindero, 2014).

    Args:
        shape: of one example.
        classes: number of classes; 0 is unconditional.
        hidden: widths of the hidden layers.
        dropout: probability of dropout after each hidden layer.
        slope: of the activation for negative inputs.
        spectral: spectral norm in each layer.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        slope: float = 0.2,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        layers = _hidden(math.prod(shape) + classes, hidden, dropout, slope, spectral)
        self.layers, self.end = nn.Sequential(*layers), _linear(spectral)(hidden[-1], 1)
        self.feature_width, self.told = hidden[-1], bool(classes)

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, *shape], int64 [B] → [B, F], the last hidden layer."""
        flat = data.flatten(1)
        if labels is not None and self.classes:
            flat = torch.cat([flat, one_hot(labels, self.classes, flat)], 1)
        return self.layers(flat)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F] → [B]."""
        return self.end(features).squeeze(1)


class Encoder(nn.Module):
    """Data → latent vector, or its mean and log variance, through hidden layers with LeakyReLU.

    A class is given by its one-hot vector, joined to the data.

    Args:
        shape: of one example.
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        moments: 1 gives a vector, 2 the mean and the log variance of one.
        hidden: widths of the hidden layers.
        dropout: probability of dropout after each hidden layer.
        slope: of the activation for negative inputs.
        spectral: spectral norm in each layer.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        moments: int = 1,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        slope: float = 0.2,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.classes, self.moments = classes, checked_moments(moments)
        layers = _hidden(math.prod(shape) + classes, hidden, dropout, slope, spectral)
        self.layers = nn.Sequential(*layers, _linear(spectral)(hidden[-1], moments * noise))

    def forward(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, *shape], int64 [B] → [B, moments · noise]."""
        flat = data.flatten(1)
        if labels is not None and self.classes:
            flat = torch.cat([flat, one_hot(labels, self.classes, flat)], 1)
        return self.layers(flat)


def _linear(spectral: bool) -> type[nn.Linear]:
    return SpectralLinear if spectral else nn.Linear


def _hidden(width: int, hidden: Sequence[int], dropout: float, slope: float, spectral: bool = False) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for wide in hidden:
        # In place: a product's output is read by nothing else, and what is kept for the gradient is kept once.
        activation = nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)
        layers += [_linear(spectral)(width, wide), activation]
        if dropout:
            layers.append(Dropout(dropout))
        width = wide
    return layers
