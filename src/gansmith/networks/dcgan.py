"""DCGAN: strided convolutions with batch norm (Radford et al., 2015, arXiv:1511.06434), any size from 8 up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gansmith.networks.convolution import Conv2d, ConvTranspose2d
from gansmith.networks.layers import (
    BatchNorm,
    Critic,
    SpectralConv2d,
    SpectralLinear,
    Squash,
    checked_moments,
    one_hot,
    pad_to,
    settle,
    stages,
)


class Generator(nn.Module):
    """Noise → image by transposed 4x4 convolutions of stride 2, batch norm, ReLU, and tanh at the end.

    A class is given by its one-hot vector, joined to the noise.

    Args:
        shape: (C, H, W), sides from 8.
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        width: channels before the last layer; doubled at each halving of the resolution.
        dense: width of a dense layer after the noise, as InfoGAN's for MNIST has one (Chen et al., 2016, Appendix C.1,
            arXiv:1606.03657); 0 is none.
    """

    def __init__(self, shape: Sequence[int], noise: int, classes: int = 0, width: int = 64, dense: int = 0) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        number, self.base = stages(_checked(shape))
        wide = width << number - 1
        inputs = noise + classes
        self.dense = nn.Identity()
        if dense:
            self.dense = nn.Sequential(nn.Linear(inputs, dense, bias=False), BatchNorm(dense), nn.ReLU())
        self.first = nn.Linear(dense or inputs, wide * self.base[0] * self.base[1], bias=False)
        layers: list[nn.Module] = [BatchNorm(wide), nn.ReLU()]
        for _ in range(number - 1):
            layers += [ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False), BatchNorm(wide // 2), nn.ReLU()]
            wide //= 2
        self.layers = nn.Sequential(*layers, ConvTranspose2d(wide, shape[0], 4, 2, 1), Squash())
        initialise(self)

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, C, H, W] in [-1, 1]."""
        if labels is not None and self.classes:
            noise = torch.cat([noise, one_hot(labels, self.classes, noise)], 1)
        # The linear layer's outputs are laid out as (H, W, C): the convolutions' own memory format.
        first = self.first(self.dense(noise)).view(len(noise), *self.base, -1).permute(0, 3, 1, 2)
        return self.layers(first)[:, :, : self.shape[1], : self.shape[2]]


class Discriminator(Critic):
    """Image → logit by 4x4 convolutions of stride 2, batch norm but for the first, and LeakyReLU.

    A class is given by projection: its embedding's product with the features' sum over places joins the logit (Miyato
    and Koyama, 2018, Equation 3, arXiv:1802.05637). By their mean it would be too faint to be learnt from.

    Args:
        shape: (C, H, W), sides from 8.
        classes: number of classes; 0 is unconditional.
        width: channels after the first layer; doubled at each halving of the resolution.
        norm: batch norm, as published; a penalty on each example's gradient wants none.
        dense: width of a dense layer before the logit, as InfoGAN's for MNIST has one; 0 is none.
        spectral: spectral norm in each layer.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 64,
        norm: bool = True,
        dense: int = 0,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.layers, width, self.base, self.padded = _down(shape, width, norm, spectral)
        inputs, self.dense = width * self.base[0] * self.base[1], None
        linear = SpectralLinear if spectral else nn.Linear
        if dense:
            normed = [BatchNorm(dense)] if norm else []
            self.dense = nn.Sequential(linear(inputs, dense, bias=not norm), *normed, nn.LeakyReLU(0.2))
        self.last = linear(dense, 1) if dense else (SpectralConv2d if spectral else Conv2d)(width, 1, self.base)
        self.feature_width = dense or inputs
        if classes:
            self.embedding = nn.Embedding(classes, dense or width)
        initialise(self)
        settle(self)

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F], the coarsest grid, or the dense layer's."""
        # As (H, W, C), which is how convolutions lay it out: no copy.
        grid = self.layers(pad_to(data, *self.padded)).permute(0, 2, 3, 1).flatten(1)
        return grid if self.dense is None else self.dense(grid)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B]."""
        whole = features
        if self.dense is None:
            grid = features.view(len(features), *self.base, -1).permute(0, 3, 1, 2)
            features, whole = grid.sum((2, 3)), grid
        logits = self.last(whole).flatten()
        if labels is not None and self.classes:
            logits = logits + (features * (one_hot(labels, self.classes, features) @ self.embedding.weight)).sum(1)
        return logits


class Encoder(nn.Module):
    """Image → latent vector, or its mean and log variance: the discriminator's convolutions, and a dense layer.

    A class is given by its one-hot vector, joined to the coarsest grid.

    Args:
        shape: (C, H, W), sides from 8.
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        moments: 1 gives a vector, 2 the mean and the log variance of one.
        width: channels after the first layer; doubled at each halving of the resolution.
        norm: batch norm.
        spectral: spectral norm in each layer.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        moments: int = 1,
        width: int = 64,
        norm: bool = True,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.classes, self.moments = classes, checked_moments(moments)
        self.layers, width, base, self.padded = _down(shape, width, norm, spectral)
        linear = SpectralLinear if spectral else nn.Linear
        self.last = linear(width * base[0] * base[1] + classes, moments * noise)
        initialise(self)
        settle(self)

    def forward(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W], int64 [B] → [B, moments · noise]."""
        flat = self.layers(pad_to(data, *self.padded)).permute(0, 2, 3, 1).flatten(1)
        if labels is not None and self.classes:
            flat = torch.cat([flat, one_hot(labels, self.classes, flat)], 1)
        return self.last(flat)


def _down(
    shape: Sequence[int], width: int, norm: bool = True, spectral: bool = False
) -> tuple[nn.Sequential, int, tuple[int, int], tuple[int, int]]:
    """Convolutions to the coarsest grid; its channels and size, and the size that an image is padded to before."""
    number, base = stages(_checked(shape))

    def convolution(inputs: int, outputs: int, bias: bool = True) -> nn.Module:
        if spectral:
            return SpectralConv2d(inputs, outputs, 4, 1, bias, 2)
        return Conv2d(inputs, outputs, 4, 2, 1, bias=bias)

    layers: list[nn.Module] = [convolution(shape[0], width), nn.LeakyReLU(0.2)]
    for _ in range(number - 1):
        normed = [BatchNorm(width * 2)] if norm else []
        layers += [convolution(width, width * 2, not norm), *normed, nn.LeakyReLU(0.2)]
        width *= 2
    return nn.Sequential(*layers), width, base, (base[0] << number, base[1] << number)


def initialise(network: nn.Module) -> None:
    """N(0, 0.02²) for weights and N(1, 0.02²) for batch norm's scales (Radford et al., 2015, Section 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, BatchNorm):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def _checked(shape: Sequence[int]) -> Sequence[int]:
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"dcgan makes images of 8 pixels a side or more, not {tuple(shape)}")
    return shape
