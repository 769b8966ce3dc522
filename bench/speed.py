"""Images a second of `gan`, `dcgan` and `r3gan-small` on the CPU, against naive loops over the same networks.

    python bench/speed.py --data-root DIR [--pairs 5] [--seconds 12] [--only r3gan-small]

Each measurement is a fresh process pinned to so many cores; the two sides alternate (A B A B …), and a ratio
is of neighbours, so that a machine that speeds up or slows down does so for both. The warm-up, snapshots and
scoring lie outside of the timed stretch. Both sides have the same networks, batch, data (MNIST's 60,000
training images), updates for each image and, in the rows called fp32, float32 products. The reference of
`gan` is the tutorial loop as published, which is its faster form.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from common import child, flags, record, run_child, table

WARM_UP = 3.0
OVERRIDES: dict[str, dict[str, Any]] = {
    "gan": {"batch": 64, "conditional": False},
    "dcgan": {"batch": 64, "conditional": False, "generator.width": 64, "discriminator.width": 64},
    "r3gan-small": {"batch": 64, "conditional": False},  # 128, 64 and 32 channels at 7, 14 and 28 pixels
}


def gansmith_rate(recipe: str, overrides: dict[str, Any], root: Path, seconds: float) -> float:
    """Measure images/s of gansmith's trainer on MNIST, by the public `gansmith.train`."""
    import gansmith
    from gansmith.engine.listener import Listener, Progress

    class Meter(Listener):
        """Notes when how many images had been shown, and ends the training as Ctrl-C does."""

        def __init__(self) -> None:
            self.marks: list[tuple[float, int]] = []
            self.ended = False

        def progress(self, progress: Progress) -> None:
            now = time.perf_counter()
            self.marks.append((now, progress.images))
            if now - self.marks[0][0] > WARM_UP + seconds and not self.ended:
                self.ended = True  # a second one would be let through
                os.kill(os.getpid(), signal.SIGINT)

    meter = Meter()
    with tempfile.TemporaryDirectory() as folder:
        gansmith.train(
            recipe,
            data="mnist",
            data_root=str(root),
            out=str(Path(folder) / "run"),
            minutes=3 * (seconds + 2 * WARM_UP) / 60,  # ended before; a measured length may be off
            overrides={**overrides, "snapshots": 1, "score": False},
            listeners=(meter,),
        )
    begun = meter.marks[0][0]
    timed = [mark for mark in meter.marks if mark[0] >= begun + WARM_UP]
    if len(timed) < 2:
        raise SystemExit(f"{recipe}: only {len(meter.marks)} progress reports; give more --seconds")
    (start, before), (stop, after) = timed[0], timed[-1]
    return (after - before) / (stop - start)


def naive_rate(recipe: str, overrides: dict[str, Any], root: Path, seconds: float) -> float:
    """Measure images/s of the naive loop over the same recipe's networks."""
    import tutorial

    images, labels = tutorial.read_mnist(root, "train")
    if recipe == "gan":
        return tutorial.train(images, labels, corrected=False, seconds=seconds + WARM_UP, warm_up=WARM_UP).rate
    import naive

    from gansmith.recipe import load

    resolved = load(recipe, overrides)
    loop = naive.NAIVE[recipe](resolved, (1, 28, 28))
    return naive.rate(loop, images[:, None], resolved.batch, seconds=seconds, warm_up=WARM_UP)


def work(order: dict[str, Any]) -> float:
    """Measure one side once."""
    measure = gansmith_rate if order["side"] == "gansmith" else naive_rate
    return measure(order["recipe"], order["overrides"], Path(order["root"]), order["seconds"])


def compare(
    recipe: str, precision: str, compile_: str, threads: int, root: Path, pairs: int, seconds: float
) -> dict[str, Any]:
    """Measure both sides in turn, and give the table's row."""
    ours, theirs = [], []
    for _ in range(pairs):
        for side, rates in (("naive", theirs), ("gansmith", ours)):
            overrides = dict(OVERRIDES[recipe])
            if side == "gansmith":
                overrides |= {"precision": precision, "compile": compile_}
            order = {"side": side, "recipe": recipe, "overrides": overrides, "root": str(root), "seconds": seconds}
            rates.append(child("speed.py", order, threads=threads))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "recipe": recipe,
        "precision": precision,
        "compiled": compile_ == "on",
        "threads": threads,
        "naive, images/s": round(statistics.median(theirs)),
        "gansmith, images/s": round(statistics.median(ours)),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
        "pairs": pairs,
    }


def main() -> None:
    """Print the table."""
    parser = flags(__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--only", choices=sorted(OVERRIDES), action="append")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 by default")
    parser.add_argument(
        "--compile", choices=("on", "off"), default="off", help="a short training does not compile (off)"
    )
    args = parser.parse_args()
    if run_child(args.child, work):
        return
    pairs, seconds = (1, 3.0) if args.quick else (args.pairs, args.seconds)
    rows = []
    for recipe in args.only or OVERRIDES:
        for threads in args.threads or (1, 2):
            # `gan` is measured in the tutorial's own arithmetic alone.
            for precision in ("fp32",) if recipe == "gan" else ("fp32", "auto"):
                rows.append(compare(recipe, precision, args.compile, threads, args.data_root, pairs, seconds))
                print(table(rows[-1:]).splitlines()[-1], flush=True)
    print("\n" + table(rows))
    record("speed", rows, quick=args.quick)


if __name__ == "__main__":
    main()
