"""ESRGAN's generator: residual blocks of residual blocks of dense convolutions, without batch norm.

Wang et al., 2018, Section 3.1 (arXiv:1809.00219).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import GAIN, SLOPE, scaled
from gansmith.networks.srresnet import check_scale, steps_of

SHARE = 0.2
"""What a residual branch is multiplied by before it is added."""


def _conv(inputs: int, outputs: int, gain: float = 1.0) -> Conv2d:
    layer = Conv2d(inputs, outputs, 3, padding=1)
    scaled(layer, gain * GAIN)
    return layer


class Dense(nn.Module):
    """Five convolutions, each of all that lies before it; x + 0.2 times the last.

    Args:
        width: channels.
        growth: channels that each of the first four adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        # A tenth of the usual weights at the start (Section 3.1: smaller first values).
        self.convs = nn.ModuleList([_conv(width + i * growth, growth if i < 4 else width, 0.1) for i in range(5)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        held = x
        for conv in self.convs[:4]:  # type: ignore[union-attr]
            held = torch.cat([held, F.leaky_relu(conv(held), SLOPE)], 1)
        return torch.add(x, self.convs[4](held), alpha=SHARE)


class Block(nn.Module):
    """Three dense blocks; x + 0.2 times their outcome (the residual-in-residual dense block).

    Args:
        width: channels.
        growth: of each dense block.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*[Dense(width, growth) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → the same."""
        return torch.add(x, self.dense(x), alpha=SHARE)


class Generator(nn.Module):
    """Small picture → large picture.

    Args:
        shape: (C, H, W) of the large one; sides are free after the training.
        scale: how many times larger: 2, 3 or 4.
        width: channels.
        blocks: residual-in-residual dense blocks.
        growth: channels that each dense convolution adds.

    Attributes:
        scale: as given.
        channels: of both pictures.
        reach: pixels of the small picture, each way, on which a pixel of the large one depends.
        breadth: numbers that its widest layer holds for each pixel of the small picture.
    """

    def __init__(
        self, shape: Sequence[int], scale: int = 4, width: int = 64, blocks: int = 23, growth: int = 32
    ) -> None:
        super().__init__()
        check_scale(scale, shape)
        self.scale, self.channels, self.steps = scale, shape[0], steps_of(scale)
        self.first = scaled(Conv2d(shape[0], width, 3, padding=1))
        self.blocks = nn.Sequential(*[Block(width, growth) for _ in range(blocks)])
        self.middle = scaled(Conv2d(width, width, 3, padding=1))
        self.ups = nn.ModuleList([_conv(width, width) for _ in self.steps])
        self.wide = _conv(width, width)
        self.last = scaled(Conv2d(width, shape[0], 3, padding=1))
        self.breadth = max(width + 4 * growth, width * scale**2)
        far, size = 2.0 + 15 * blocks, 1
        for step in self.steps:
            size *= step
            far += 1 / size
        # A pixel more, for neighbours that are copies of one small pixel.
        self.reach = math.ceil(far + 2 / size) + 1

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C, scale · H, scale · W]."""
        x = self.first(data)
        x = x + self.middle(self.blocks(x))
        for step, up in zip(self.steps, self.ups, strict=True):
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=step, mode="nearest")), SLOPE, inplace=True)
        return self.last(F.leaky_relu(self.wide(x), SLOPE, inplace=True))


_PUBLISHED = (
    (re.compile(r"(?:body|RRDB_trunk)\.(\d+)\.(?:rdb|RDB)(\d)\.conv(\d)"), "blocks.{}.dense.{}.convs.{}"),
    (re.compile(r"(?:conv_up|upconv)(\d)"), "ups.{}"),
    (re.compile(r"conv_first"), "first"),
    (re.compile(r"conv_body|trunk_conv"), "middle"),
    (re.compile(r"conv_hr|HRconv"), "wide"),
    (re.compile(r"conv_last"), "last"),
)
"""How the authors' files name the layers, in ESRGAN's and in Real-ESRGAN's; they count from 1 but for the blocks."""


def of_published(held: Mapping[str, Any]) -> Generator | None:
    """The network that a file of ESRGAN's or Real-ESRGAN's weights holds, which takes pictures in [0, 1].

    Args:
        held: what the file holds: weights by name, or these under `params_ema` or `params`.

    Returns:
        None where they are those of another network.
    """
    inner = held.get("params_ema", held.get("params", held))
    named: dict[str, torch.Tensor] = {}
    for key, value in inner.items() if isinstance(inner, Mapping) else ():
        stem, _, kind = str(key).rpartition(".")
        found = [(pattern.fullmatch(stem), name) for pattern, name in _PUBLISHED]
        own = next((name.format(*_from_zero(match)) for match, name in found if match), None)
        if own is None or not isinstance(value, torch.Tensor):
            return None
        named[f"{own}.{kind}"] = value
    first, grown = named.get("first.weight"), named.get("blocks.0.dense.0.convs.0.weight")
    if first is None or grown is None or first.dim() != 4 or grown.dim() != 4:
        return None
    blocks = 1 + max(int(name.split(".")[1]) for name in named if name.startswith("blocks."))
    scale = 2 ** sum(name.startswith("ups.") and name.endswith("weight") for name in named)
    if scale not in (2, 4):
        return None
    network = Generator((first.shape[1], scale, scale), scale, first.shape[0], blocks, grown.shape[0])
    try:
        network.load_state_dict(named)
    except RuntimeError:  # other layers, or others' shapes
        return None
    return network


def _from_zero(match: re.Match[str]) -> list[int]:
    numbers = [int(each) for each in match.groups()]
    return [numbers[0], *(n - 1 for n in numbers[1:])] if len(numbers) > 1 else [n - 1 for n in numbers]
