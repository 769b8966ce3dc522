"""The Vendi score: how many unlike samples there are, effectively."""

from __future__ import annotations

import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_features, gram
from gansmith.metrics.measure import Materials, Measure, Value, jackknife


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
    products = gram(rows if len(rows) <= rows.shape[1] else rows.T)
    shares = torch.linalg.eigvalsh(products.div_(len(rows)))
    shares = shares[shares > 0]
    return float((-(shares * shares.log()).sum()).exp())


def _measured(materials: Materials) -> dict[str, Value]:
    rows = materials.fake.features
    value = vendi_score(rows)
    # Each of the left-out groups costs as much as the whole, which is little but for very long vectors.
    error = jackknife(vendi_score, rows, seed=materials.seed) if rows.shape[1] <= 512 else None
    return {"": Value(value, error, "standard error, by leaving out tenths" if error is not None else "")}


MEASURES = (
    Measure(
        "vendi", _measured, "Vendi score: how many unlike samples there are, effectively", "real", least=20,
        settings={"kernel": "cosine"}, leaning="higher", alone=True,
    ),
)  # fmt: skip
