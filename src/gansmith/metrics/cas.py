"""The classification accuracy score: how well a classifier that has seen fakes alone names real examples."""

from __future__ import annotations

from gansmith.errors import Refused
from gansmith.metrics.domain import EPOCHS, fit_domain
from gansmith.metrics.measure import Materials, Measure, Value


def _measured(materials: Materials) -> dict[str, Value]:
    fake, real = materials.fake, materials.real
    assert fake.images is not None
    assert real.images is not None
    assert fake.labels is not None
    if real.labels is None:
        raise Refused("cas: the reference has no labels to name")
    taught, asked = fake.labels[: len(fake.images)], real.labels[: len(real.images)]
    fitted = fit_domain(
        fake.images, taught, test=(real.images, asked), seed=materials.seed,
        classes=int(max(taught.max(), asked.max())) + 1, cache=False,
    )  # fmt: skip
    right = fitted.accuracy
    return {"": Value(right, (right * (1 - right) / len(asked)) ** 0.5, "standard error of a share")}


MEASURES = (
    Measure(
        "cas", _measured, "accuracy on reals of a classifier taught by fakes alone (Ravuri and Vinyals, 2019)",
        "higher", frozenset({"images", "labels"}), least=100, bare=True, slow=True,
        settings={"classifier": "domain", "epochs": EPOCHS},
    ),
)  # fmt: skip
