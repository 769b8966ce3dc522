"""Run on two ranks by test_rows.py: accumulates its own parts, gathers, and writes what it has."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from test_rows import PARTS, features

from gansmith.collectives import rank
from gansmith.engine import distributed
from gansmith.metrics.frechet import Moments
from gansmith.metrics.rows import Rows

with distributed.joined(torch.device("cpu")):
    moments, rows, empty, x = Moments(), Rows(), Moments(), features()
    for start, end in PARTS[:3] if rank() == 0 else PARTS[3:]:
        moments.update(x[start:end])
        rows.update(x[start:end])
    if rank() == 1:
        empty.update(x[:3])
    found = moments.gather().compute()
    np.savez(
        sys.argv[1], rows=rows.gather().compute(), mean=found.mean, cov=found.cov, n=found.n, empty=empty.gather().n
    )
