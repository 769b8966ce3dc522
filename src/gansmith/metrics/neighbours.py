"""Precision, recall, density and coverage: whose neighbourhoods the samples of each side lie in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_pair
from gansmith.metrics.measure import Materials, Measure, Value

BLOCK = 1 << 22
"""Distances held at a time, of as many vectors on one side as on the other."""

CHUNK = 32
"""Distances whose least is looked at before each of them."""

KS = {"prdc": 5, "pr3": 3}
"""Which neighbour each measure takes."""


class Neighbours(NamedTuple):
    """What `precision_recall_density_coverage` found, with its k, and the standard error of the density's mean."""

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    density_error: float


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
    return _neighbours(real, fake, (k,))[k]


def _neighbours(real: Features, fake: Features, ks: Sequence[int]) -> dict[int, Neighbours]:
    """The same for several k, of which all distances are computed once."""
    a, b = as_pair(real, fake, "real", "fake", exact=False)
    for k in ks:
        if k < 1 or min(len(a), len(b)) <= k:
            raise Refused(f"the {k} nearest neighbours need more than {k} vectors a side, not {min(len(a), len(b))}")
    dtype = torch.promote_types(a.dtype, b.dtype)
    a, b = a.to(dtype), b.to(dtype)
    centre = _mean(a)  # nearer to zero, so that less cancels
    around_a, around_b = _radii(a, centre, ks), _radii(b, centre, ks)
    counts = {k: _Counts(len(a), len(b), a.device) for k in ks}
    for of_fake, of_real, squares in _tiles(b, a, centre):
        for k, one in counts.items():
            # As bytes, of which sums and maxima are faster than of truths.
            balls = (squares < around_a[k][of_real]).view(torch.uint8)
            one.hits[of_fake] += balls.sum(1, dtype=torch.int32)
            one.held[of_real] |= balls.amax(0) > 0
            one.inside[of_real] |= (squares < around_b[k][of_fake, None]).view(torch.uint8).amax(0) > 0
    return {k: one.found(k) for k, one in counts.items()}


class _Counts:
    """What is counted over all tiles.

    Attributes:
        held: of each real ball, whether it holds some fake.
        inside: of each real, whether it is in some fake ball.
        hits: of each fake, how many real balls hold it.
    """

    def __init__(self, real: int, fake: int, device: torch.device) -> None:
        self.held = torch.zeros(real, dtype=torch.bool, device=device)
        self.inside = torch.zeros(real, dtype=torch.bool, device=device)
        self.hits = torch.zeros(fake, dtype=torch.int64, device=device)

    def found(self, k: int) -> Neighbours:
        """Shares of them, and the density."""
        precision, recall, coverage = (float(e.double().mean()) for e in (self.hits > 0, self.inside, self.held))
        dense = self.hits.double() / k
        error = float(dense.std()) / len(dense) ** 0.5
        return Neighbours(precision, recall, float(dense.mean()), coverage, k, error)


def _tiles(
    x: torch.Tensor, y: torch.Tensor, centre: torch.Tensor, *, half: bool = False
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Squared distances [n, m] between some rows of either set, and which rows; valid until the next.

    Rows are centred as they come, since a centred copy of all would be as large as they are.

    Args:
        x: rows, [N, d].
        y: rows, [M, d].
        centre: taken from both, [d].
        half: x and y are one set, so each pair of its parts comes only once.
    """
    size = max(1, math.isqrt(BLOCK))
    out, shifted = x.new_empty(size * size), torch.empty_like(y[:size])
    norms_x = _norms(x, centre)
    norms_y = norms_x if half else _norms(y, centre)
    for at in range(0, len(x), size):
        of_x = slice(at, min(at + size, len(x)))
        part = x[of_x] - centre
        for start in range(at if half else 0, len(y), size):
            of_y = slice(start, min(start + size, len(y)))
            other = torch.sub(y[of_y], centre, out=shifted[: of_y.stop - start])
            squares = out[: len(part) * len(other)].view(len(part), len(other))
            torch.addmm(norms_y[of_y], part, other.T, alpha=-2, out=squares)
            yield of_x, of_y, squares.add_(norms_x[of_x, None])


ROWS = 256
"""Rows copied at a time: a temporary of all would be as large as the features."""


def _mean(rows: torch.Tensor) -> torch.Tensor:
    """Mean of rows, summed in float64."""
    total = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for part in rows.split(ROWS):
        total += part.to(torch.float64).sum(0)
    return (total / len(rows)).to(rows.dtype)


def _norms(rows: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Squared distance of each row from the centre."""
    # Into memory that is there: small results between large temporaries would leave the heap full of holes.
    norms, shifted = rows.new_empty(len(rows)), torch.empty_like(rows[:ROWS])
    for part, norm in zip(rows.split(ROWS), norms.split(ROWS), strict=True):
        torch.sum(torch.sub(part, centre, out=shifted[: len(part)]).square_(), 1, out=norm)
    return norms


def _radii(x: torch.Tensor, centre: torch.Tensor, ks: Sequence[int]) -> dict[int, torch.Tensor]:
    """Squared distance from each row to its k-th neighbour, for each k."""
    k = max(ks)
    least = x.new_full((len(x), k), torch.inf)
    for rows, columns, squares in _tiles(x, x, centre, half=True):
        if rows == columns:
            squares.fill_diagonal_(torch.inf)  # itself is no neighbour
        else:
            turned = torch.cat([_least(strip.T.contiguous(), k) for strip in squares.split(256, 1)])
            least[columns] = _least(torch.cat([least[columns], turned], 1), k)
        least[rows] = _least(torch.cat([least[rows], _least(squares, k)], 1), k)
    ordered = least.sort(1).values.T.contiguous()
    return {k: ordered[k - 1] for k in ks}


def _least(values: torch.Tensor, k: int) -> torch.Tensor:
    """The k least of each row, in any order, or all where there are fewer.

    They stand in the k chunks whose own least are least, so few values need be sorted.
    """
    if values.shape[1] % CHUNK == 0 and values.shape[1] > 2 * k * CHUNK:
        chunks = values.view(len(values), -1, CHUNK)
        which = chunks.amin(2).topk(k, dim=1, largest=False, sorted=False).indices
        values = chunks.gather(1, which[:, :, None].expand(-1, -1, CHUNK)).flatten(1)
    return values.topk(min(k, values.shape[1]), dim=1, largest=False, sorted=False).values


def _measured(materials: Materials, name: str, parts: tuple[str, ...]) -> dict[str, Value]:
    real, fake, shared = materials.real.features, materials.fake.features, materials.shared
    if name not in shared:
        names = [each for each in KS if each == name or each in materials.asked]
        of = _neighbours(real, fake, [KS[each] for each in names])
        shared |= {each: of[KS[each]] for each in names}
    found: Neighbours = shared[name]
    counts = {"precision": len(fake), "recall": len(real), "coverage": len(real)}
    out = {}
    for part in parts:
        value = getattr(found, part)
        if part == "density":
            out[part] = Value(value, found.density_error, "standard error of a mean, the neighbourhoods fixed")
        else:
            error = (value * (1 - value) / counts[part]) ** 0.5
            out[part] = Value(value, error, "standard error of a share, the neighbourhoods fixed")
    return out


MEASURES = (
    Measure(
        "prdc", lambda m: _measured(m, "prdc", ("precision", "recall", "density", "coverage")),
        "precision, recall, density and coverage by 5 nearest neighbours (Naeem et al.)",
        "higher", least=6, settings={"k": KS["prdc"]},
    ),
    Measure(
        "pr3", lambda m: {f"{part}3": value for part, value in _measured(m, "pr3", ("precision", "recall")).items()},
        "precision and recall by 3 nearest neighbours (Kynkäänniemi et al.)", "higher", least=4,
        settings={"k": KS["pr3"]},
        slow=True,
    ),
)  # fmt: skip
