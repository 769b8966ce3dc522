"""What augmentations of images have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch


def colours(name: str, shape: Sequence[int]) -> int:
    """How many of the channels are colours, and no alpha.

    Args:
        name: of the augmentation.
        shape: (C, H, W) of an image: grey, grey and alpha, RGB, or RGB and alpha.

    Raises:
        ValueError: any other shape.
    """
    if len(shape) != 3 or not 1 <= shape[0] <= 4:
        raise ValueError(f"{name} augments images of 1 to 4 channels, not examples of shape {tuple(shape)}")
    return 3 if shape[0] >= 3 else 1


def checked(strengths: Mapping[str, float]) -> dict[str, float]:
    """The strengths, each of which is a probability.

    Raises:
        ValueError: one that is not in [0, 1].
    """
    for name, strength in strengths.items():
        if not 0 <= strength <= 1:
            raise ValueError(f"{name}: a strength is a probability in [0, 1], not {strength}")
    return dict(strengths)


def over(each: torch.Tensor) -> torch.Tensor:
    """One value an example, [B], for [B, C, H, W]."""
    return each.view(-1, 1, 1, 1)
