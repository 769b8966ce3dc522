"""The brightness of pictures: by it super-resolution is scored."""

from __future__ import annotations

import torch


def luma(x: torch.Tensor) -> torch.Tensor:
    """The brightness by which super-resolution is scored, of pictures in [-1, 1]: [B, C, H, W] → [B, 1, H, W].

    Y = 16 + 65.481 R + 128.553 G + 24.966 B of values from 0 to 1 (ITU-R BT.601, as MATLAB's `rgb2ycbcr` has it), on
    the scale of 0 to 255 brought to [-1, 1] again. Grey is its own; alpha does not count.
    """
    if x.shape[1] < 3:
        return x[:, :1]
    weights = torch.tensor((65.481, 128.553, 24.966), dtype=x.dtype, device=x.device) / 255
    y = (x[:, :3] * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)
    return y + (weights.sum() + 32 / 255 - 1)
