"""Precision, recall, density and coverage: whose neighbourhoods the samples of each side lie in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_pair

BLOCK = 1 << 24
"""Distances held at a time."""


class Neighbours(NamedTuple):
    """What `precision_recall_density_coverage` found, with its k."""

    precision: float
    recall: float
    density: float
    coverage: float
    k: int


def precision_recall_density_coverage(real: Features, fake: Features, *, k: int = 5) -> Neighbours:
    """Compute precision, recall, density and coverage by k nearest neighbours.

    With r(x) the distance from x to its k-th neighbour in its own set, itself not counted, and all balls open:

        precision = share of fakes in some real ball      recall = share of reals in some fake ball
        density = mean over fakes of (real balls that hold it) / k
        coverage = share of real balls that hold some fake

    Kynkäänniemi et al., 2019, Equations 1 and 2 (arXiv:1904.06991, with k = 3); Naeem et al., 2020, Equations
    4 and 5 (arXiv:2002.09797, with k = 5). Distances are computed in the features' own precision, by blocks:
    float32 features give near ties by chance, and half the time and memory.

    Args:
        real: features of real examples, [N, d].
        fake: features of generated ones, [M, d].
        k: which neighbour gives the radius.

    Raises:
        Refused: not a finite [N, d] each, unlike d, or not more than k vectors.
    """
    a, b = as_pair(real, fake, "real", "fake", exact=False)
    if k < 1 or min(len(a), len(b)) <= k:
        raise Refused(f"the {k} nearest neighbours need more than {k} vectors a side, not {min(len(a), len(b))}")
    dtype = torch.promote_types(a.dtype, b.dtype)
    centre = a.to(torch.float64).mean(0).to(dtype)  # nearer to zero, so that less cancels
    a, b = a.to(dtype) - centre, b.to(dtype) - centre
    around_a, around_b = _radii(a, k), _radii(b, k)
    norms = a.square().sum(1)
    held = torch.zeros(len(a), dtype=torch.bool, device=a.device)  # real ball: does it hold some fake?
    inside = torch.zeros(len(a), dtype=torch.bool, device=a.device)  # real: is it in some fake ball?
    precise = dense = 0
    for start, part in _blocks(b, len(a)):
        squares = _squares(part, a, norms)
        balls = squares < around_a
        precise += int(balls.any(1).sum())
        dense += int(balls.sum())
        held |= balls.any(0)
        inside |= (squares < around_b[start : start + len(part), None]).any(0)
    return Neighbours(
        precise / len(b), float(inside.double().mean()), dense / (k * len(b)), float(held.double().mean()), k
    )


def _blocks(rows: torch.Tensor, against: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Parts of rows, and where each begins, whose distances to so many others can be held at a time."""
    size = max(1, BLOCK // against)
    for start in range(0, len(rows), size):
        yield start, rows[start : start + size]


def _squares(part: torch.Tensor, whole: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    """Squared distances [b, N] of some rows to all."""
    return torch.addmm(norms, part, whole.T, alpha=-2).add_(part.square().sum(1, keepdim=True))


def _radii(x: torch.Tensor, k: int) -> torch.Tensor:
    """Squared distance from each row to its k-th neighbour."""
    norms, found = x.square().sum(1), []
    for start, part in _blocks(x, len(x)):
        squares = _squares(part, x, norms)
        own = torch.arange(len(part), device=x.device)
        squares[own, own + start] = -1.0  # itself comes first, however its distance rounds
        found.append(squares.topk(k + 1, dim=1, largest=False, sorted=False).values.amax(1))
    return torch.cat(found)
