"""What judges an example and a latent vector together."""

from __future__ import annotations

import torch
from torch import nn

from gansmith.networks.layers import GAIN, SLOPE, SpectralLinear, scaled, settle


class JointHead(nn.Module):
    """Features of an example, and a latent vector → logit: a layer for the vector, two for both.

    As the discriminators of Donahue et al., 2017 (arXiv:1605.09782), and Dumoulin et al., 2017 (arXiv:1606.00704),
    where an example and a vector go through layers of their own before they are joined.

    Args:
        features: length of a feature vector.
        noise: dimensions of a latent vector.
        hidden: width of each layer.
        spectral: spectral norm in each layer.
    """

    def __init__(self, features: int, noise: int, hidden: int, spectral: bool = False) -> None:
        super().__init__()
        layer = SpectralLinear if spectral else nn.Linear
        self.of_noise = scaled(layer(noise, hidden), GAIN)
        self.joined = scaled(layer(features + hidden, hidden), GAIN)
        self.again = scaled(layer(hidden, hidden), GAIN)
        self.last = scaled(layer(hidden, 1))
        settle(self)
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, features: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """[B, F], [B, noise] → logits [B]."""
        x = torch.cat([features, self.activation(self.of_noise(noise))], 1)
        return self.last(self.activation(self.again(self.activation(self.joined(x))))).squeeze(1)
