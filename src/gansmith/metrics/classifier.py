"""Scores of a classifier's logits: the Inception Score, by its name only on Inception's."""

from __future__ import annotations

import numpy as np

from gansmith.errors import Refused
from gansmith.metrics.frechet import Features, as_features
from gansmith.metrics.kernel import Spread
from gansmith.metrics.measure import Materials, Measure, Value


def classifier_score(logits: Features, *, splits: int = 10, seed: int | None = None) -> Spread:
    """Compute the classifier score, which on Inception's logits (without bias) is the Inception Score.

        CS = exp(E_x KL(p(y|x) ‖ p(y)))

    Salimans et al., 2016, Section 4 (arXiv:1606.03498). Between 1 and the number of classes. It never looks at
    real data.

    Args:
        logits: of generated examples, [N, classes].
        splits: parts of equal size, each scored alone.
        seed: shuffle the rows first; None leaves them in order.

    Returns:
        Mean and standard deviation over the splits.

    Raises:
        Refused: not a finite [N, classes], or fewer rows than splits.
    """
    rows = as_features(logits, "logits")
    if not 1 <= splits <= len(rows):
        raise Refused(f"{splits} splits need as many samples or more, not {len(rows)}")
    if seed is not None:
        rows = rows[np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))]
    values = []
    for part in rows.tensor_split(splits):
        log_p = part.log_softmax(1)
        p = log_p.exp()
        log_mean = p.mean(0).log()
        values.append(float((p * (log_p - log_mean)).sum(1).mean().exp()))
    return Spread(float(np.mean(values)), float(np.std(values)))


SPLITS = 10


def _score(materials: Materials) -> dict[str, Value]:
    assert materials.fake.logits is not None
    found = classifier_score(materials.fake.logits, splits=SPLITS)
    return {"": Value(found.mean, found.deviation, f"standard deviation over {SPLITS} splits")}


def _accuracy(materials: Materials) -> dict[str, Value]:
    logits, labels = materials.fake.logits, materials.fake.labels
    assert logits is not None
    assert labels is not None
    right = float((logits.argmax(1) == labels).mean())
    return {"": Value(right, (right * (1 - right) / len(labels)) ** 0.5, "standard error of a share")}


MEASURES = (
    Measure(
        "cs", _score, "classifier score: sure and varied verdicts (on Inception, the Inception Score)", "real",
        frozenset({"logits"}), least=SPLITS, settings={"splits": SPLITS}, leaning="higher", alone=True,
    ),
    Measure(
        "accuracy", _accuracy, "share of samples that the classifier names by the label that was asked for", "higher",
        frozenset({"logits", "labels"}), least=1, alone=True,
    ),
)  # fmt: skip
