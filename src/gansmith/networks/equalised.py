"""Layers of progressive growing, some of which StyleGAN kept: equalised learning rates, pixel norm, batch deviation.

Karras et al., 2018, Progressive Growing of GANs for Improved Quality, Stability, and Variation (arXiv:1710.10196).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from gansmith import collectives
from gansmith.networks.convolution import Conv2d, conv2d


class EqualisedLinear(nn.Linear):
    """A linear layer whose weights begin standard normal, and are scaled as they are used: c W x + b, c = gain / √n.

    c is the deviation of He et al., 2015, for n inputs. So an optimiser that divides by a gradient's size, as Adam
    does, moves all layers at the same relative speed (Section 4.1).

    Args:
        inputs, outputs: dimensions.
        bias: add one.
        gain: √2 before a (leaky) ReLU, 1 at the end.
        factor: of the result, bias and all: StyleGAN's √2 of an activation, which may as well come before it.
        begin: what the bias adds at first.
        rate: factor of the learning rate: weights and bias begin so much larger, and are scaled down as they are used.
    """

    def __init__(
        self, inputs: int, outputs: int, bias: bool = True, gain: float = 1.0, *,
        factor: float = 1.0, begin: float = 0.0, rate: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, bias)
        self.scale, self.lift = gain * factor * rate / math.sqrt(inputs), factor * rate
        _begin(self, 1 / rate, begin / rate)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[…, inputs] → […, outputs]."""
        return F.linear(input, self.weight * self.scale, _lifted(self.bias, self.lift))


class EqualisedConv2d(Conv2d):
    """A convolution of equalised learning rate, as `EqualisedLinear`; n counts all numbers that an output sees.

    Args:
        inputs, outputs: channels.
        kernel: its side in pixels.
        padding: zeros beyond each edge.
        bias: add one, which begins at zero.
        gain: √2 before a (leaky) ReLU, 1 at the end.
        factor: of the result, bias and all.
        stride: of the places where it is taken.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, padding: int = 0, bias: bool = True, gain: float = 1.0, *,
        factor: float = 1.0, stride: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        self.scale, self.lift = gain * factor / math.sqrt(self.weight[0].numel()), factor
        _begin(self)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, …]."""
        assert not isinstance(self.padding, str)
        bias = _lifted(self.bias, self.lift)
        return conv2d(input, self.weight * self.scale, bias, self.stride[0], self.padding[0], self.groups)


def _begin(layer: nn.Linear | nn.Conv2d, deviation: float = 1.0, bias: float = 0.0) -> None:
    nn.init.normal_(layer.weight, 0.0, deviation)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)


def _lifted(bias: torch.Tensor | None, lift: float) -> torch.Tensor | None:
    return bias if bias is None or lift == 1 else bias * lift


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    """Each place's features [B, C, …] at a mean square of one: b = a / √(mean_c a² + 1e-8) (Section 4.2)."""
    wide = x if x.dtype == torch.float64 else x.float()
    return x * (wide.square().mean(1, keepdim=True) + 1e-8).rsqrt().to(x.dtype)


class BatchDeviation(nn.Module):
    """One more channel: the standard deviation over the batch, averaged over channels and places (Section 3).

    Args:
        group: neighbours in the batch over whom it is taken (as many as divide a batch that it does not); None is the
            whole batch, all ranks included, as in the paper.
    """

    coupled = True

    def __init__(self, group: int | None = None) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C + 1, H, W]."""
        size = len(x) if self.group is None else math.gcd(self.group, len(x))
        wide = x if x.dtype == torch.float64 else x.float()
        sets = wide.unflatten(0, (-1, size))  # [groups, size, C, H, W]
        mean = self._over_ranks(sets.mean(1, keepdim=True))
        variance = self._over_ranks((sets - mean).square().mean(1))
        spread = (variance + 1e-8).sqrt().mean((1, 2, 3))
        each = spread.view(-1, 1).expand(-1, size).reshape(-1, 1, 1, 1).to(x.dtype)
        return torch.cat([x, each.expand(-1, 1, *x.shape[2:])], 1)

    def _over_ranks(self, mean: torch.Tensor) -> torch.Tensor:
        return collectives.all_mean(mean) if self.group is None else mean
