"""What the Lab offers: the losses and penalties of the package that play on points in the plane, found by trying."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from gansmith import build
from gansmith.errors import GansmithError
from gansmith.losses import adversarial
from gansmith.playground.lab.play import Play
from gansmith.playground.lab.settings import DATASETS, Settings, from_drawn

_TRYING = Lock()


def choices() -> dict[str, Any]:
    """The choices by setting, each a list of names."""
    with _TRYING:  # who asks meanwhile waits, and does not try them all again
        return _tried()


@lru_cache(maxsize=1)
def _tried() -> dict[str, Any]:
    losses = build.functions(adversarial, adversarial.AdversarialLoss)
    penalties = sorted({name for room in build.PENALTIES for name in build.functions(*room)})
    return {
        "data": [*DATASETS, "drawn"],
        "loss": [name for name in losses if _plays(loss=name)],
        "penalties": [name for name in penalties if _plays(penalties={name: 0.1})],
        "optimizer": ["adam", "adamw", "rmsprop", "sgd"],
    }


def _plays(**fields: Any) -> bool:
    small = Settings(penalties={}, d_width=4, g_width=4, d_depth=1, g_depth=1, batch=4)
    angle = np.arange(64, dtype=np.float32)
    points = np.stack([np.cos(angle), np.sin(angle)], 1)
    try:
        play = Play(small.model_copy(update=fields), from_drawn(points))
        for _ in range(2):
            play.play()
    except (GansmithError, NotImplementedError, RuntimeError, TypeError, ValueError, IndexError):
        return False
    return True
