"""The package `ctgan` as a benchmark's peer; run by `tables.py` with the Python of an environment of its own.

Imports nothing of gansmith. Reads training rows from a CSV, trains at the package's defaults on one thread, writes as
many made rows, and prints the CPU seconds of the loop (what comes before, fitting mixtures and encoding, left out).
"""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import torch
from ctgan import CTGAN
from ctgan.data_sampler import DataSampler


def main() -> None:
    """Train and sample."""
    order = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    rows = pd.read_csv(order["rows"])
    model = CTGAN(epochs=order["epochs"], enable_gpu=False)
    model.set_random_state(order["seed"])
    mark: dict[str, float] = {}
    plain = DataSampler.__init__

    def noted(self: DataSampler, *args: object, **kwargs: object) -> None:
        plain(self, *args, **kwargs)
        mark["cpu"] = time.process_time()

    DataSampler.__init__ = noted
    model.fit(rows, [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])])
    cpu = time.process_time() - mark["cpu"]
    model.sample(len(rows)).to_csv(order["out"], index=False)
    shown = order["epochs"] * (len(rows) // 500) * 500
    print("RESULT " + json.dumps({"cpu_seconds": cpu, "rows_per_second": shown / cpu}), flush=True)


if __name__ == "__main__":
    main()
