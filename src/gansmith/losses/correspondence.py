"""PatchNCE: a place of the output is more like the same place of the input than like any other place of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def patch_nce(queries: torch.Tensor, keys: torch.Tensor, temperature: float = 0.07) -> torch.Tensor:
    """The cross entropy of finding a query's own place among all that are sampled.

    L = −(1/P) Σ_p log( exp(q_p · k_p / τ) / Σ_s exp(q_p · k_s / τ) ), of features of length 1 within one picture; no
    gradient goes into the keys. Park et al., 2020, Section 3 (arXiv:2007.15651).

    Args:
        queries: features of places of the output, [B, P, F].
        keys: of the same places of the input, [B, P, F].
        temperature: τ.

    Returns:
        [B].
    """
    likeness = queries @ keys.detach().transpose(1, 2) / temperature  # [B, P, P]
    own = likeness.diagonal(dim1=1, dim2=2)
    return (torch.logsumexp(likeness, 2) - own).mean(1)


def sampled(features: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The features at some places of each example: [B, C, H, W], int64 [B, P] in H·W → [B, P, C]."""
    rows = features.flatten(2).transpose(1, 2)
    return rows.gather(1, places.unsqueeze(2).expand(-1, -1, rows.shape[2]))


def matched(features: torch.Tensor, channels: int) -> torch.Tensor:
    """A picture [B, C, H, W] with another number of channels: its mean, repeated; itself where nothing changes."""
    if features.shape[1] == channels:
        return features
    return features.mean(1, keepdim=True).expand(-1, channels, -1, -1)


def normalised(features: torch.Tensor) -> torch.Tensor:
    """Features [..., F] of length 1, float32 at least."""
    wide = features if features.dtype == torch.float64 else features.float()
    return F.normalize(wide, dim=-1)
