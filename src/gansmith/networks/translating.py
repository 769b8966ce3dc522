"""What networks from pictures to pictures share: which way they go, padding at any size, norms and first weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.layers import BatchNorm, InstanceNorm

Shapes = Mapping[str, Sequence[int]]
"""Shapes of what lies beside the examples, by name; `b` is the other side of a translation."""


def other(shape: Sequence[int], beside: Shapes | None) -> tuple[int, ...]:
    """The shape of the other side, (C, H, W); that of the examples themselves where nothing lies beside them.

    Raises:
        ValueError: no images, or of another size.
    """
    found = tuple((beside or {}).get("b", shape))
    if len(shape) != 3 or len(found) != 3:
        raise ValueError(f"a translation is of images, not of {tuple(shape)} into {found}")
    if found[1:] != tuple(shape[1:]):
        sizes = " and ".join(f"{height}x{width}" for _, height, width in (tuple(shape), found))
        raise ValueError(f"both sides of a translation are of one size, not {sizes}")
    return found


def normed(kind: str, features: int, affine: bool = False) -> nn.Module:
    """A norm by its name: `instance`, `batch` (of the whole batch, with scale and shift) or `none`.

    Args:
        kind: its name.
        features: channels.
        affine: instance norm learns a scale and a shift.

    Raises:
        ValueError: another name.
    """
    if kind == "instance":
        return InstanceNorm(features, affine)
    if kind == "batch":
        return BatchNorm(features)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm is instance, batch or none, not {kind!r}")


def begin(network: nn.Module) -> None:
    """First weights N(0, 0.02²) of convolutions, scales of norms N(1, 0.02²), and biases of 0 (arXiv:1611.07004)."""
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, InstanceNorm | BatchNorm) and isinstance(weight, nn.Parameter):
            nn.init.normal_(weight, 1.0, 0.02)
        if isinstance(bias := getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(bias)


def padded(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Reflect an image's lower and right edges until both sides are multiples; the last row again where it is short."""
    down, right = (-side % multiple for side in x.shape[2:])
    if not (down or right):
        return x
    mode = "reflect" if down < x.shape[2] and right < x.shape[3] else "replicate"
    return F.pad(x, (0, right, 0, down), mode=mode)


def mirrored(x: torch.Tensor, by: int) -> torch.Tensor:
    """The image with `by` pixels reflected beyond each edge."""
    return F.pad(x, (by, by, by, by), mode="reflect")
