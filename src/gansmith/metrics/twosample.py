"""The classifier two-sample test: whether a classifier can tell fakes from reals that it has not seen."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_pair
from gansmith.metrics.measure import Materials, Measure, Value


class TwoSample(NamedTuple):
    """Accuracy on held-out examples, the chance of at least it between equal laws, and their number."""

    accuracy: float
    p_value: float
    held_out: int


def two_sample_test(
    real: Features, fake: Features, *, classifier: Literal["neighbours", "linear"] = "neighbours", seed: int = 0
) -> TwoSample:
    """Train a classifier on half of both sets, and test it on the other half.

    Under equal laws the accuracy t̂ is about N(½, 1/4n) of n held-out examples. Lopez-Paz and Oquab, 2017,
    Sections 2 and 3 (arXiv:1610.06545). ½ is the best that a generator can have.

    Args:
        real: features of real examples, [N, d].
        fake: features of generated ones, [M, d]; of the larger set as many are taken as the smaller holds.
        classifier: `neighbours` (√n of them) or `linear` (logistic regression), on standardised features.
        seed: of the halves.

    Raises:
        Refused: not a finite [N, d] each, unlike d, or fewer than 20 vectors a side.
    """
    a, b = as_pair(real, fake, "real", "fake")
    n = min(len(a), len(b))
    if n < 20:
        raise Refused(f"a two-sample test needs 20 samples a side or more, not {n}")
    draw = np.random.Generator(np.random.PCG64(seed))
    chosen = [rows[torch.from_numpy(draw.permutation(len(rows))[:n])].cpu().numpy() for rows in (a, b)]
    half = n // 2
    train, held = (np.concatenate([rows[part] for rows in chosen]) for part in (slice(half), slice(half, None)))
    told, asked = (np.repeat([0, 1], count) for count in (half, n - half))
    scale = train.std(0)
    scale[scale == 0] = 1.0
    train, held = (train - (centre := train.mean(0))) / scale, (held - centre) / scale
    accuracy = float((_fitted(classifier, train, told).predict(held) == asked).mean())
    p_value = 0.5 * math.erfc((accuracy - 0.5) * math.sqrt(2 * len(held)))
    return TwoSample(accuracy, p_value, len(held))


def _fitted(kind: str, x: np.ndarray, y: np.ndarray) -> Any:
    # Imported here: scikit-learn takes a second to load.
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if kind == "linear":
        return LogisticRegression(max_iter=1000).fit(x, y)
    if kind == "neighbours":
        return KNeighborsClassifier(max(1, math.isqrt(len(x))) | 1).fit(x, y)  # odd, so that no vote is even
    raise ValueError(f"classifier is `neighbours` or `linear`, not {kind!r}")


MOST = 5000


def _measured(materials: Materials) -> dict[str, Value]:
    real, fake = materials.real.features[:MOST], materials.fake.features[:MOST]
    found = two_sample_test(real, fake, seed=materials.seed)
    share = found.accuracy
    error = (share * (1 - share) / found.held_out) ** 0.5
    return {"": Value(share, error, "standard error of a share")}


MEASURES = (
    Measure(
        "c2st", _measured, "how often a classifier tells unseen fakes from unseen reals (0.5: it cannot)", "real",
        least=20, settings={"classifier": "nearest neighbours", "most": MOST}, slow=True,
    ),
)  # fmt: skip
