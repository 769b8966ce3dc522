"""Losses of class scores and of embeddings: how a head on the discriminator's features learns of classes.

Pure functions, one value for each example; labels are int64 [B].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gansmith import collectives


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The auxiliary classifier's loss: −log softmax(s)_y.

    Odena et al., 2017, Equation 3 (arXiv:1610.09585).

    Args:
        scores: [B, K].
        labels: of the classes that are asked for.

    Returns:
        [B].
    """
    return F.cross_entropy(scores, labels, reduction="none")


def multi_hinge(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The multi-class hinge loss: max(0, 1 − s_y + max_{k≠y} s_k), of Crammer and Singer, 2001.

    Kavalerov et al., 2021, A Multi-Class Hinge Loss for Conditional GANs (arXiv:1912.04216). With K + 1 scores, the
    discriminator minimises it with real examples' labels and with the label K of every fake, the generator with the
    classes that its fakes were asked for.

    Args:
        scores: [B, K], K at least 2.
        labels: of the scores that should be the highest.

    Returns:
        [B].
    """
    at = labels.unsqueeze(1)
    others = scores.scatter(1, at, -torch.inf).amax(1)
    return torch.relu(1 - scores.gather(1, at).squeeze(1) + others)


def data_to_data(
    embeddings: torch.Tensor,
    proxies: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = 0.5,
    margin: float = 0.98,
    others_margin: float | None = None,
) -> torch.Tensor:
    """The data-to-data cross-entropy (D2D-CE): an example is drawn to its class, and away from those of other classes.

    −log(e^p / (e^p + Σ_j e^(n_j))), p = min(f·v_y − m_p, 0) / τ, n_j = max(f·f_j − m_n, 0) / τ, over the examples j of
    other classes. What is near enough to its proxy, or far enough from others, costs nothing more.
    Kang et al., 2021, Section 3 (arXiv:2111.01118).

    Args:
        embeddings: f, [B, E], of length 1.
        proxies: v_y, that of each example's class, [B, E], of length 1.
        labels: of the examples; those of all ranks' batches are compared.
        temperature: τ.
        margin: m_p.
        others_margin: m_n; None is 1 − m_p, as in the paper.

    Returns:
        [B].
    """
    least = 1 - margin if others_margin is None else others_margin
    near = ((embeddings * proxies).sum(1) - margin).clamp(max=0) / temperature
    alike, same, _ = _compared(embeddings, labels)
    far = ((alike - least).clamp(min=0) / temperature).masked_fill(same, -torch.inf)
    return torch.cat([near.unsqueeze(1), far], 1).logsumexp(1) - near


def conditional_contrastive(
    embeddings: torch.Tensor, proxies: torch.Tensor, labels: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """ContraGAN's conditional contrastive loss (2C): an example is drawn to its class, and to the examples of that.

    −log((e^(f·v_y/τ) + Σ_{j: y_j=y} e^(f·f_j/τ)) / (e^(f·v_y/τ) + Σ_j e^(f·f_j/τ))), over the other examples j.
    Kang and Park, 2020, Section 3 (arXiv:2006.12681).

    Args:
        embeddings: f, [B, E], of length 1.
        proxies: v_y, that of each example's class, [B, E], of length 1.
        labels: of the examples; those of all ranks' batches are compared.
        temperature: τ.

    Returns:
        [B].
    """
    own = (embeddings * proxies).sum(1, keepdim=True) / temperature
    alike, same, itself = _compared(embeddings, labels)
    every = (alike / temperature).masked_fill(itself, -torch.inf)
    like = every.masked_fill(~same, -torch.inf)
    return torch.cat([own, every], 1).logsumexp(1) - torch.cat([own, like], 1).logsumexp(1)


def _compared(embeddings: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Products with the embeddings of all ranks, [B, all]; whether classes are the same; whether it is itself."""
    alike = embeddings @ collectives.gather_rows(embeddings).T
    same = labels.unsqueeze(1) == collectives.gather_rows(labels)
    at = torch.arange(len(labels), device=labels.device) + collectives.rank() * len(labels)
    itself = at.unsqueeze(1) == torch.arange(same.shape[1], device=labels.device)
    return alike, same, itself
