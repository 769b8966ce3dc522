"""The Vendi score: how many unlike samples there are, effectively."""

from __future__ import annotations

import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_features


def vendi_score(x: Features) -> float:
    """Compute the Vendi score with the cosine kernel.

        VS = exp(−Σᵢ λᵢ log λᵢ),   λ the eigenvalues of K / n,   Kᵢⱼ = xᵢ·xⱼ / (|xᵢ| |xⱼ|)

    Friedman and Dieng, 2023, Definition 3.1 (arXiv:2210.02410). Between 1 (all alike) and min(n, d). Where n
    exceeds d the eigenvalues come from the d x d second moment, which has the same ones.

    Args:
        x: features, [N, d].

    Raises:
        Refused: not a finite [N, d], or a vector of zeros, which has no direction.
    """
    rows = as_features(x, "x")
    norms = rows.norm(dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        raise Refused("x: some vectors are zero; the cosine kernel needs a direction")
    rows = rows / norms
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    shares = torch.linalg.eigvalsh(gram / len(rows))
    shares = shares[shares > 0]
    return float((-(shares * shares.log()).sum()).exp())
