"""Layers of progressive growing, some of which StyleGAN kept: equalised learning rates, pixel norm, batch deviation.

Karras et al., 2018, Progressive Growing of GANs for Improved Quality, Stability, and Variation (arXiv:1710.10196).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from gansmith import collectives
from gansmith.networks.convolution import Conv2d, blur, conv2d

EPS = 1e-8
"""Added to sums of squares."""


class EqualLinear(nn.Linear):
    """A linear layer whose weights begin standard normal, and are scaled as they are used: g (ρ/√n W x + ρ b).

    So Adam's steps are of one size relative to the weights, whatever the layer's fan-in n (Karras et al., 2018,
    Section 4.1, arXiv:1710.10196).

    Args:
        inputs, outputs: dimensions.
        bias: what it adds at first; None adds nothing, ever.
        rate: ρ, a factor of the learning rate: the weights begin so much larger.
        gain: g; √2 where an activation follows, which may be scaled before as well as after.
    """

    def __init__(
        self, inputs: int, outputs: int, bias: float | None = 0.0, rate: float = 1.0, gain: float = 1.0
    ) -> None:
        super().__init__(inputs, outputs, bias=bias is not None)
        self.rate, self.gain = rate, gain
        nn.init.normal_(self.weight, 0.0, 1 / rate)
        if bias is not None:
            nn.init.constant_(self.bias, bias / rate)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[B, inputs] → [B, outputs]."""
        scale = self.gain * self.rate / math.sqrt(self.in_features)
        if self.bias is None:
            return F.linear(input, self.weight) * scale
        return torch.addmm(self.bias, input, self.weight.t(), beta=self.gain * self.rate, alpha=scale)


class EqualConv2d(Conv2d):
    """A convolution whose weights begin standard normal, and are scaled as they are used: g (W/√n ∗ x + b).

    Karras et al., 2018, Section 4.1 (arXiv:1710.10196).

    Args:
        inputs, outputs: channels.
        kernel: its side in pixels.
        bias: add one, 0 at first.
        gain: g.
        down: halve the image: blurred by the filter [1, 3, 3, 1]/8, and convolved at each second place.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, bias: bool = True, gain: float = 1.0, down: bool = False
    ) -> None:
        super().__init__(inputs, outputs, kernel, 2 if down else 1, 0 if down else kernel // 2, bias=bias)
        self.gain, self.down = gain, down
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, H, W], or [B, O, H/2, W/2]."""
        assert not isinstance(self.padding, str)
        weight = self.weight * (self.gain / math.sqrt(self.weight[0].numel()))
        bias = self.bias if self.bias is None or self.gain == 1 else self.bias * self.gain
        return conv2d(blur(input, 2) if self.down else input, weight, bias, self.stride[0], self.padding[0])


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    """Each place's features [B, C, …] at a mean square of one: b = a / √(mean_c a² + 1e-8) (Section 4.2)."""
    wide = x if x.dtype == torch.float64 else x.float()
    return x * (wide.square().mean(1, keepdim=True) + EPS).rsqrt().to(x.dtype)


class BatchDeviation(nn.Module):
    """One more channel: the standard deviation over the batch, averaged over channels and places (Section 3).

    Args:
        group: neighbours in the batch over whom it is taken, or as many below as divide a batch that it does not
            (StyleGAN2), so that ranks whose share is whole groups find what one rank finds; None is the whole batch,
            all ranks included, as in the paper.
    """

    coupled = True

    def __init__(self, group: int | None = None) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C + 1, H, W]."""
        size = len(x) if self.group is None else max(n for n in range(1, self.group + 1) if len(x) % n == 0)
        wide = x if x.dtype == torch.float64 else x.float()
        sets = wide.unflatten(0, (-1, size))  # [groups, size, C, H, W]
        mean = self._over_ranks(sets.mean(1, keepdim=True))
        variance = self._over_ranks((sets - mean).square().mean(1))
        spread = (variance + EPS).sqrt().mean((1, 2, 3))
        each = spread.view(-1, 1).expand(-1, size).reshape(-1, 1, 1, 1).to(x.dtype)
        return torch.cat([x, each.expand(-1, 1, *x.shape[2:])], 1)

    def _over_ranks(self, mean: torch.Tensor) -> torch.Tensor:
        return collectives.all_mean(mean) if self.group is None else mean
