"""gansmith: train, measure and use generative adversarial networks.

>>> import gansmith
>>> run = gansmith.train("auto", "digits", "runs/first", minutes=1)   # doctest: +SKIP
>>> images = gansmith.load("runs/first").sample(64, seed=0)           # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gansmith.applications.anomaly import AnomalyDetector
    from gansmith.applications.augment import Augmented, augment
    from gansmith.applications.table import TableGAN
    from gansmith.applications.translation import translate
    from gansmith.applications.upscaling import upscale
    from gansmith.comparison import compare
    from gansmith.evaluation import evaluate
    from gansmith.model import Model, load
    from gansmith.scores import Evaluation
    from gansmith.training import Plan, plan, resume, train

_WHERE = {
    "AnomalyDetector": "applications.anomaly",
    "Augmented": "applications.augment",
    "Evaluation": "scores",
    "Model": "model",
    "Plan": "training",
    "TableGAN": "applications.table",
    "augment": "applications.augment",
    "compare": "comparison",
    "evaluate": "evaluation",
    "load": "model",
    "plan": "training",
    "resume": "training",
    "train": "training",
    "translate": "applications.translation",
    "upscale": "applications.upscaling",
}

__all__ = [
    "AnomalyDetector",
    "Augmented",
    "Evaluation",
    "Model",
    "Plan",
    "TableGAN",
    "__version__",
    "augment",
    "compare",
    "evaluate",
    "load",
    "plan",
    "resume",
    "train",
    "translate",
    "upscale",
]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: `gansmith --help` must not wait for torch.
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"gansmith.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'gansmith' has no attribute {name!r}")
