"""A detector of PyOD on one split: a child of `anomaly.py`, in an environment that has PyOD.

    python bench/anomaly_peer.py DETECTOR SPLIT.npz SCORES.npy SEED

PyOD's own defaults; columns are standardised before by the training rows, as its documentation asks of its neural
detectors, and as kNN has them.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np


def detector(name: str) -> Any:
    """A detector at its defaults."""
    if name == "ECOD":
        from pyod.models.ecod import ECOD

        return ECOD()
    if name == "ALAD":
        from pyod.models.alad import ALAD

        return ALAD()
    if name == "AnoGAN":
        from pyod.models.anogan import AnoGAN

        return AnoGAN()
    from pyod.models.mo_gaal import MO_GAAL

    return MO_GAAL()


def main() -> None:
    """Fit and score."""
    name, split, out, seed = sys.argv[1:]
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(int(seed))
    np.random.seed(int(seed))
    with np.load(split) as held:
        fit, test = held["fit"], held["test"]
    mean, deviation = fit.mean(0), fit.std(0)
    deviation[deviation == 0] = 1
    fitted = detector(name).fit((fit - mean) / deviation)
    np.save(out, np.nan_to_num(fitted.decision_function((test - mean) / deviation)))


if __name__ == "__main__":
    main()
