"""How long a whole evaluation takes, beside its feature pass alone.

    python bench/evaluation.py --data-root DIR [--part mnist] [--part inception] [--samples 10000] [--threads 2]

All default metrics of 10,000 samples. `mnist`: the domain classifier of MNIST (fitted beforehand; its fit is told
apart), real training images in a generator's place, so that no generator's time is counted; cold is without any
features in the cache, warm with those of the reference and the values of real examples. `inception`: the network
that FID takes, with random weights (its time does not depend on them), over colour images; the reference's features
are the samples' own with a little noise, since a metric's time depends on their numbers alone. That part needs the
extra `fid`, and about 15 minutes a core.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import HERE, child, flags, record, run_child, table

PARTS = ("mnist", "inception")


def work(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure one part."""
    return (_mnist if order["part"] == "mnist" else _inception)(order)


def _mnist(order: dict[str, Any]) -> list[dict[str, Any]]:
    import numpy as np

    from gansmith.data import open_dataset
    from gansmith.fields import Data
    from gansmith.metrics.score import Drawn, Scorer

    spec = Data(source="mnist", root=order["root"])
    train, test = open_dataset(spec), open_dataset(spec.model_copy(update={"split": "test"}))
    rows, n = [], order["samples"]
    fakes = np.random.default_rng(0).permutation(train.count)[:n]
    assert train.array is not None
    assert train.labels is not None
    examples, labels = train.array[fakes], train.labels[fakes]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANSMITH_CACHE"] = folder
        began = time.perf_counter()
        extractor = Scorer(train, test, metrics=["fd"], n=n).extractor
        rows.append({"part": "fit the classifier, once", "seconds": time.perf_counter() - began})
        for cached in ("features", "values"):
            for file in (Path(folder) / cached).glob("*"):
                file.unlink()
        for state in ("cold", "warm"):
            began = time.perf_counter()
            scorer = Scorer(train, test, quick=False, labelled=True, n=n)
            scores = scorer.evaluate(lambda count, seed: Drawn(examples[:count], labels[:count]))
            rows.append({"part": f"mnist, {state}", "seconds": time.perf_counter() - began, "scores": len(scores)})
    assert extractor is not None
    began = time.perf_counter()
    extractor.features(examples)
    alone = time.perf_counter() - began
    rows.append({"part": "mnist, feature pass alone", "seconds": alone})
    return rows


def _inception(order: dict[str, Any]) -> list[dict[str, Any]]:
    import numpy as np

    from gansmith.metrics import choice, inception
    from gansmith.metrics.measure import Materials, Side, measures

    sys.path.insert(0, str(HERE.parent / "tests"))
    from peers import write_random_inception

    n, draw = order["samples"], np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "random.pth"
        inception._admit = write_random_inception(file)
        extractor = inception.InceptionExtractor(file)
        base = draw.integers(256, size=(n, 3, 8, 8), dtype=np.uint8).repeat(4, 2).repeat(4, 3)
        images = (base // 2 + draw.integers(128, size=base.shape, dtype=np.uint8)).astype(np.uint8)
        extractor.features(images[:32])
        began = time.perf_counter()
        features, logits = extractor.features_and_logits(images)
        alone = time.perf_counter() - began
    noisy = features + 0.1 * features.std(0) * draw.standard_normal(features.shape, dtype=np.float32)
    materials = Materials(Side(noisy, logits), Side(features, logits), 0, extractor)
    colours: Any = type("Colours", (), {"stack": None, "modes": None})
    names = choice.metrics(colours, "inception", labelled=False)
    rows: list[dict[str, Any]] = [{"part": f"inception, feature pass of {n:,} alone", "seconds": alone}]
    total = alone
    for name in names:
        began = time.perf_counter()
        measures()[name].compute(materials)
        took = time.perf_counter() - began
        total += took
        rows.append({"part": f"inception, {name}", "seconds": took})
    rows.append({"part": "inception, whole evaluation", "seconds": total, "of the pass": total / alone})
    return rows


def main() -> None:
    """Print the table."""
    parser = flags(__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="which (both)")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if run_child(args.child, work):
        return
    rows = []
    for part in args.part or PARTS:
        samples = 300 if args.quick else args.samples
        order = {"part": part, "root": str(args.data_root), "samples": samples}
        found = child("evaluation.py", order, threads=args.threads)
        rows += [{**row, "threads": args.threads} for row in found]
        print(table(rows[-len(found) :]), flush=True)
    record("evaluation", rows, quick=args.quick)


if __name__ == "__main__":
    main()
