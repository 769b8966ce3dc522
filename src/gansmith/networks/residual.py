"""What residual networks with spectral norm and attention are made of: SNGAN's, SAGAN's and BigGAN's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import SpectralConv2d, SpectralLinear

Begun = TypeVar("Begun", bound=nn.Conv2d | nn.Linear)


def begun(layer: Begun, gain: float = 1.0) -> Begun:
    """Weights uniform with deviation gain · √(2 / (inputs + outputs)) (Glorot and Bengio, 2010), biases zero."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    if isinstance(layer, SpectralConv2d | SpectralLinear):
        layer.norm.settle(layer.weight)
    return layer


def convolution(inputs: int, outputs: int, kernel: int, spectral: bool, gain: float = 1.0, bias: bool = True) -> Conv2d:
    """A convolution that keeps the size, begun; its weight through `SpectralNorm` or as it is."""
    kind = SpectralConv2d if spectral else Conv2d
    return begun(kind(inputs, outputs, kernel, padding=kernel // 2, bias=bias), gain)


def linear(inputs: int, outputs: int, spectral: bool, bias: bool = True) -> nn.Linear:
    """A linear layer, begun; its weight through `SpectralNorm` or as it is."""
    return begun((SpectralLinear if spectral else nn.Linear)(inputs, outputs, bias=bias))


def twice(x: torch.Tensor) -> torch.Tensor:
    """Twice the size by nearest neighbours."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Attention(nn.Module):
    """Self-attention over an image's places: y_j = x_j + γ W_v Σ_i β_ji W_h x_i, β_j = softmax_i((W_f x_i)ᵀ W_g x_j).

    Zhang et al., 2019, Equations 1 to 3 (arXiv:1805.08318); γ is 0 at first. As in the authors' code, W_f and W_g
    have an eighth of the channels and W_h a half, and keys and values are the maxima of 2x2 places.

    Args:
        channels: in and out.
        spectral: normalise the weights.
    """

    def __init__(self, channels: int, spectral: bool) -> None:
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = convolution(channels, narrow, 1, spectral, bias=False)
        self.key = convolution(channels, narrow, 1, spectral, bias=False)
        self.value = convolution(channels, half, 1, spectral, bias=False)
        self.last = convolution(half, channels, 1, spectral, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        queries = self.query(x).flatten(2).transpose(1, 2)
        keys = F.max_pool2d(self.key(x), 2, ceil_mode=True).flatten(2)
        values = F.max_pool2d(self.value(x), 2, ceil_mode=True).flatten(2).transpose(1, 2)
        scores = queries @ keys  # [B, H W, places]
        # In plain operations, which differentiate twice, where torch's fused attention does not.
        weights = (scores.float() if scores.dtype == torch.bfloat16 else scores).softmax(2).to(values.dtype)
        seen = (weights @ values).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.gamma * self.last(seen)


class Up(nn.Module):
    """Twice the size: W₂ φ(norm(W₁ up(φ(norm(x))))) + up(W x), up by nearest neighbours, φ = ReLU.

    Gulrajani et al., 2017 (arXiv:1704.00028); Miyato et al., 2018, Appendix B.4 (arXiv:1802.05957).

    Args:
        inputs, outputs: channels.
        norm: channels → a norm, which is called with the block's input and what it is conditioned on.
        spectral: normalise the weights.
    """

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], spectral: bool) -> None:
        super().__init__()
        gain = math.sqrt(2)
        self.before, self.between = norm(inputs), norm(outputs)
        self.first = convolution(inputs, outputs, 3, spectral, gain)
        self.second = convolution(outputs, outputs, 3, spectral, gain)
        self.shortcut = convolution(inputs, outputs, 1, spectral)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W], what the norms take → [B, O, 2H, 2W]."""
        inner = self.first(twice(F.relu(self.before(x, condition))))
        inner = self.second(F.relu(self.between(inner, condition)))
        return inner + twice(self.shortcut(x))  # a 1x1 convolution and nearest neighbours can be exchanged


class Down(nn.Module):
    """Half the size, or the same: pool(W₂ φ(W₁ φ(x))) + W pool(x), pool by means of 2x2, φ = ReLU.

    Gulrajani et al., 2017 (arXiv:1704.00028); Miyato et al., 2018, Appendix B.4 (arXiv:1802.05957). Where neither
    size nor channels change, x is added as it is.

    Args:
        inputs, outputs: channels.
        halve: halve the size.
        image: x is an image, to which no φ is applied.
        spectral: normalise the weights.
        wide: W₁ gives the outputs' channels already, as it does of an image, and in BigGAN; else it keeps the inputs'.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, image: bool, spectral: bool, wide: bool = False) -> None:
        super().__init__()
        self.halve, self.image = halve, image
        inner, gain = outputs if image or wide else inputs, math.sqrt(2)
        self.first = convolution(inputs, inner, 3, spectral, gain)
        self.second = convolution(inner, outputs, 3, spectral, gain)
        self.shortcut = convolution(inputs, outputs, 1, spectral) if halve or inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, H/2, W/2], or [B, O, H, W]."""
        inner = self.second(F.relu(self.first(x if self.image else F.relu(x))))
        if self.halve:
            inner, x = F.avg_pool2d(inner, 2), F.avg_pool2d(x, 2)
        return inner + self.shortcut(x)


def place(attention: int | None, shape: Sequence[int], sides: Sequence[int]) -> int | None:
    """Which of a network's grids attention is applied to.

    Args:
        attention: the side in pixels that is asked for; None is none.
        shape: of the image.
        sides: shorter sides of the grids.

    Returns:
        The index of the first of the finest that is no larger, and at most half of the image; of the coarsest, where
        there is none such.
    """
    if attention is None:
        return None
    most = min(attention, math.ceil(min(shape[1:]) / 2))
    fit = [side for side in sides if side <= most]
    return list(sides).index(max(fit) if fit else min(sides))
