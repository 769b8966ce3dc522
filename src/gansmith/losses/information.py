"""How much an example tells of the code that it was made of: InfoGAN's lower bound of the mutual information.

L_I(G, Q) = E[log Q(c|x)] + H(c) ≤ I(c; x), Chen et al., 2016, Equations 4 and 5 (arXiv:1606.03657). Pure functions, one
value for each example, in nats; more is better.
"""

from __future__ import annotations

import math

import torch

WIDEST = 10.0
"""Bound of a learned log-variance on either side: beyond, its exponential would drown everything else."""


def categorical(scores: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Of a code that is one of K, each as likely: log softmax(s)_c + log K; log K at most.

    Args:
        scores: [B, K].
        codes: int64 [B].

    Returns:
        [B].
    """
    return scores.log_softmax(1).gather(1, codes.unsqueeze(1)).squeeze(1) + math.log(scores.shape[1])


def gaussian(means: torch.Tensor, codes: torch.Tensor, log_variances: torch.Tensor | None = None) -> torch.Tensor:
    """Of V codes uniform in [-1, 1], Q normal: Σ_i log N(c_i; μ_i, σ_i²) + log 2.

    Args:
        means: μ, [B, V].
        codes: c, [B, V].
        log_variances: log σ², [B, V], held within ±`WIDEST`; None is σ = 1, as in the authors' experiments, of which
            the bound is no tight one: its maximum is −0.23 a code.

    Returns:
        [B].
    """
    log_variances = torch.zeros_like(means) if log_variances is None else log_variances.clamp(-WIDEST, WIDEST)
    apart = (codes - means).square() * (-log_variances).exp()
    return (math.log(2) - 0.5 * (math.log(2 * math.pi) + log_variances + apart)).sum(1)
