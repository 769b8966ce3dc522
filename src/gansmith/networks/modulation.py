"""The layers of StyleGAN2: styles that modulate a convolution, noise at each layer, and the mapping of noise to them.

Karras et al., 2020, Analyzing and Improving the Image Quality of StyleGAN (arXiv:1912.04958).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gansmith import draws
from gansmith.networks.convolution import blur, conv2d, conv_transpose2d
from gansmith.networks.equalised import EqualisedLinear, pixel_norm
from gansmith.networks.layers import SLOPE, one_hot

ROOT = math.sqrt(2)
"""Gain of an activation, for the variance that it halves."""


class ModulatedConv2d(nn.Module):
    """A convolution whose weights are modulated by each example's style, and demodulated to unit deviation.

    w′_oik = s_i w_oik / √n, and w″_oik = w′_oik / √(Σ_ik w′_oik² + ε): Karras et al., 2020, Equations 1 and 3
    (arXiv:1912.04958), with the equalised learning rate of n inputs. As a convolution is linear, scaling an example's
    channels by s before, and by 1/√Σ after, is the same; and one convolution then serves the whole batch.

    Args:
        inputs, outputs: channels.
        kernel: its side in pixels.
        demodulate: as above; the layer that makes an image does not.
        up: twice the size: stretched by the convolution, and blurred by the filter [1, 3, 3, 1]/4.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, demodulate: bool = True, up: bool = False) -> None:
        super().__init__()
        self.demodulate, self.up, self.padding = demodulate, up, kernel // 2
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def scales(self, style: torch.Tensor, gain: float = 1.0) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What an example's channels are scaled by before and after: [B, inputs] → the same, [B, outputs] or None."""
        before = style / math.sqrt(self.weight[0].numel())
        if not self.demodulate:
            return before * gain, None
        wide = torch.float64 if before.dtype == torch.float64 else torch.float32
        energy = self.weight.to(wide).square().sum((2, 3))
        after = (before.to(wide).square() @ energy.t() + 1e-8).rsqrt()
        return before, (after * gain).to(style.dtype)

    def forward(
        self, x: torch.Tensor, style: torch.Tensor, noise: torch.Tensor | None = None, gain: float = 1.0
    ) -> torch.Tensor:
        """The convolution, plus noise and bias, times a gain.

        Args:
            x: [B, C, H, W].
            style: [B, C].
            noise: added to all channels of the result, [B or 1, 1, H, W].
            gain: a factor of it all.

        Returns:
            [B, O, H, W], or [B, O, 2H, 2W].
        """
        before, after = self.scales(style, 4 * gain if self.up else gain)
        x = x * before[:, :, None, None]
        if self.up:
            x = blur(conv_transpose2d(x, self.weight.transpose(0, 1), None, 2), 1)
        else:
            x = conv2d(x, self.weight, None, 1, self.padding)
        shift = (self.bias * gain)[:, None, None]
        if after is None:
            x = x + shift
        else:
            x = torch.addcmul(shift, x, after[:, :, None, None])
        return x if noise is None else torch.add(x, noise, alpha=gain)


def drawn(kind: str, purpose: str, rows: int, *shape: int, like: torch.Tensor) -> torch.Tensor:
    """Numbers of the step by their purpose, `normal` or `uniform` [rows, *shape]; torch's own outside of a step."""
    source = draws.current()
    if source is None:
        return (torch.randn if kind == "normal" else torch.rand)(rows, *shape, device=like.device).to(like.dtype)
    each = source.stop - source.start
    # A pass over fewer examples, or over two sets of fakes, has its own number of rows.
    names = [purpose if i == 0 else f"{purpose} {i}" for i in range(-(-rows // each))]
    parts = [getattr(source, kind)(name, *shape) for name in names]
    return (torch.cat(parts) if len(parts) > 1 else parts[0])[:rows].to(like.dtype)


class LayerNoise(nn.Module):
    """A normal number for each place, times a strength that is learned, and 0 at first.

    In training each example's are new. In eval mode they are constant, so that an image is a function of its styles.

    Args:
        place: which layer it is: its numbers are keyed by that.
        height, width: of the layer's result.
    """

    def __init__(self, place: int, height: int, width: int) -> None:
        super().__init__()
        self.place = place
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("constant", torch.randn(height, width))
        self.constant: torch.Tensor

    def forward(self, rows: int) -> torch.Tensor:
        """[rows or 1, 1, H, W]."""
        if not self.training:
            return self.constant.to(self.strength.dtype)[None, None] * self.strength
        numbers = drawn("normal", f"layer {self.place}", rows, 1, *self.constant.shape, like=self.strength)
        return numbers * self.strength


class StyledConv2d(nn.Module):
    """φ(g (modulated convolution + noise + bias)), its style an affine map of w that begins near 1.

    Args:
        inputs, outputs: channels.
        width_w: dimensions of w.
        place: which layer it is.
        size: height and width of the result.
        up: twice the size.
        gain: g.
    """

    def __init__(
        self, inputs: int, outputs: int, width_w: int, place: int, size: tuple[int, int], up: bool = False,
        gain: float = ROOT,
    ) -> None:  # fmt: skip
        super().__init__()
        self.gain = gain
        self.style = EqualisedLinear(width_w, inputs, begin=1.0)
        self.convolution = ModulatedConv2d(inputs, outputs, 3, up=up)
        self.noise = LayerNoise(place, *size)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W], [B, width_w] → [B, O, H, W], or twice the size."""
        x = self.convolution(x, self.style(w), self.noise(len(w)), self.gain)
        return F.leaky_relu(x, SLOPE, inplace=True)


class ToImage(nn.Module):
    """A modulated 1x1 convolution into an image's channels, not demodulated.

    Args:
        inputs, outputs: channels.
        width_w: dimensions of w.
    """

    def __init__(self, inputs: int, outputs: int, width_w: int) -> None:
        super().__init__()
        self.style = EqualisedLinear(width_w, inputs, begin=1.0)
        self.convolution = ModulatedConv2d(inputs, outputs, 1, demodulate=False)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W], [B, width_w] → [B, O, H, W]."""
        return self.convolution(x, self.style(w))


class Mapping(nn.Module):
    """Noise and class → w: both normalised, side by side, through layers that learn at a hundredth of the rate.

    Karras et al., 2019, Section 2 (arXiv:1812.04948); with classes as Karras et al., 2020 (arXiv:2006.06676), for
    CIFAR-10.

    Args:
        noise: dimensions of the latent vector; 0 maps a class alone.
        classes: number of classes, whose embeddings have `width` dimensions; 0 is unconditional.
        width: dimensions of w.
        layers: how many.
    """

    RATE = 0.01
    """Of the learning rate."""

    def __init__(self, noise: int, classes: int, width: int, layers: int) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"mapping_layers must be 1 or more, not {layers}")
        self.noise, self.classes = noise, classes
        self.embedding = EqualisedLinear(classes, width, bias=False) if classes else None
        widths = [noise + (width if classes else 0), *[width] * layers]
        self.layers = nn.ModuleList(EqualisedLinear(n, m, factor=ROOT, rate=self.RATE) for n, m in pairwise(widths))

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, width]; no labels are the mean over classes, and no noise is any [B, …]."""
        parts = [pixel_norm(noise)] if self.noise else []
        if self.embedding is not None:
            like = self.embedding.weight
            if labels is None:
                of = like.new_full((len(noise), self.classes), 1 / self.classes)
            else:
                of = one_hot(labels, self.classes, like)
            parts.append(pixel_norm(self.embedding(of)))
        x = torch.cat(parts, 1).to(next(self.parameters()).dtype)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
        return x
