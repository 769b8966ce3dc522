"""Synthetic tables on UCI Adult: what classifiers learn from made rows, column shapes, pair trends, and rows/s.

    python bench/tables.py --data-root DIR [--seeds 0,1,2] [--epochs 300] [--peer PYTHON] [--only tablegan,ctgan,…]

Of each seed 23,000 rows are trained on, and the rest test. F1 is of >50K, by AdaBoost, a decision tree, logistic
regression and an MLP at scikit-learn's defaults (`gansmith.metrics.efficacy`), trained on as many made rows as real
ones; shapes and trends are against the training rows. Each training has one thread and one core; rows/s are of its CPU
seconds, and leave out what comes before the first step (mixtures, encoding, trying the compiler out). `peer` is the
package ctgan 0.12.1 at its defaults, by the Python of an environment that has it. The copula is Gaussian, of normal
scores, kinds in order of their frequency.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import child, flags, record, report, table
from numpy.typing import NDArray

from gansmith.data import tables
from gansmith.metrics import columns as likeness
from gansmith.metrics.efficacy import efficacy

TRAIN = 23_000
OURS = {"tablegan": "auto", "ctgan": "ctgan", "tvae": "tvae"}
METHODS = ("real", *OURS, "peer", "copula", "marginals")


def parts(root: Path, seed: int, count: int) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Rows to train on, and to test with."""
    whole = tables.read_csv(root / "tabular" / "adult.csv")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(whole.count)
    return tables.taken(whole.columns, order[:count]), tables.taken(whole.columns, order[count:])


def marginals(train: tables.Columns, seed: int) -> dict[str, NDArray[Any]]:
    """Each column by itself."""
    draw = np.random.Generator(np.random.PCG64(seed))
    return {name: values[draw.integers(0, len(values), len(values))] for name, values in train.items()}


def copula(train: tables.Columns, seed: int) -> dict[str, NDArray[Any]]:
    """A Gaussian copula on the columns' own distributions."""
    from scipy.stats import norm

    draw = np.random.Generator(np.random.PCG64(seed))
    count, ordered, scores = tables.rows_of(train), {}, []
    for name, values in train.items():
        if likeness.numeric(values):
            rank = likeness.plain(values)
        else:
            code, _, number = likeness.codes(values, values[:0])
            often = np.bincount(code, minlength=number)
            rank = (-often).argsort().argsort()[code].astype(float)
        place = np.lexsort((draw.random(count), rank))  # ties in any order
        ordered[name] = values[place]
        uniform = np.empty(count)
        uniform[place] = (np.arange(count) + 0.5) / count
        scores.append(norm.ppf(uniform))
    made = norm.cdf(draw.multivariate_normal(np.zeros(len(scores)), np.corrcoef(scores), count))
    index = np.minimum((made * count).astype(int), count - 1)
    return {name: values[index[:, i]] for i, (name, values) in enumerate(ordered.items())}


def trained(order: dict[str, Any]) -> None:
    """A child: train one of ours, and leave as many rows."""
    import gansmith
    from gansmith.engine.listener import Listener, Progress

    class Clock(Listener):
        """The CPU seconds of the training itself."""

        def progress(self, progress: Progress) -> None:
            self.images, self.cpu = progress.images, progress.cpu_seconds

    train, _ = parts(Path(order["root"]), order["seed"], order["count"])
    clock, begun = Clock(), time.process_time()
    model = gansmith.TableGAN(
        epochs=order["epochs"], method=OURS[order["method"]], target="income", seed=order["seed"],
        overrides={"snapshots": 1},
    ).fit(train, listeners=[clock], name="adult")  # fmt: skip
    whole = time.process_time() - begun
    Path(order["out"]).write_text(tables.csv_text(model.columns(order["count"], seed=order["seed"])), encoding="utf-8")
    report({"cpu_seconds": clock.cpu, "rows_per_second": clock.images / clock.cpu, "whole_cpu_seconds": whole})


def peer(python: str, order: dict[str, Any]) -> dict[str, Any]:
    """The peer's training, in its own environment."""
    train, _ = parts(Path(order["root"]), order["seed"], order["count"])
    rows = Path(order["out"]).with_suffix(".train.csv")
    rows.write_text(tables.csv_text(train), encoding="utf-8")
    env = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "OMP_NUM_THREADS": "1"}
    command = [python, str(Path(__file__).with_name("tables_peer.py")), json.dumps({**order, "rows": str(rows)})]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peer failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))


def measured(name: str, made: tables.Columns, train: tables.Columns, test: tables.Columns) -> dict[str, Any]:
    """A row of the table, of one seed."""
    found = efficacy(made, test, "income", ">50K")
    return {
        "method": name, "f1": statistics.fmean(found.values()), **{f"f1 {key}": value for key, value in found.items()},
        "shapes": likeness.mean(likeness.shapes(train, made)), "trends": likeness.mean(likeness.trends(train, made)),
    }  # fmt: skip


def main() -> None:
    """Measure each method on each seed, and print the table."""
    parser = flags(__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=float, default=300)
    parser.add_argument("--only", default=",".join(METHODS))
    parser.add_argument("--peer", metavar="PYTHON", help="of an environment with ctgan==0.12.1; none leaves it out")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where made rows are kept, and not made again")
    args = parser.parse_args()
    if args.child:
        trained(json.loads(args.child))
        return
    only, count = args.only.split(","), 2000 if args.quick else TRAIN
    epochs, seeds = (1, [0]) if args.quick else (args.epochs, [int(s) for s in args.seeds.split(",")])
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            train, test = parts(args.data_root, seed, count)
            for name in only:
                if name == "peer" and args.peer is None:
                    continue
                order = {"method": name, "root": str(args.data_root), "seed": seed, "count": count}
                order |= {"epochs": int(epochs), "out": str(folder / f"{name}-{seed}.csv")}
                made, took = rows_of(name, order, train, args.peer)
                rows.append({"seed": seed, **measured(name, made, train, test), **took})
                print(json.dumps(rows[-1]), flush=True)
    print(table(summary(rows)))
    record("tables", summary(rows), quick=args.quick)
    record("tables-seeds", rows, quick=args.quick)


def rows_of(name: str, order: dict[str, Any], train: tables.Columns, python: str | None) -> tuple[Any, dict[str, Any]]:
    """A method's made rows, and what they took; those that were kept are not made again."""
    if name in ("real", "copula", "marginals"):
        return {"real": lambda: train, "copula": lambda: copula(train, order["seed"]),
                "marginals": lambda: marginals(train, order["seed"])}[name](), {}  # fmt: skip
    out = Path(order["out"])
    told = out.with_suffix(".json")
    if not told.exists():
        took = peer(str(python), order) if name == "peer" else child("tables.py", order, threads=1)
        told.write_text(json.dumps(took), encoding="utf-8")
    return tables.read_csv(out).columns, json.loads(told.read_text(encoding="utf-8"))


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line a method: means over seeds, and the spread of F1."""
    real = statistics.fmean([r["f1"] for r in rows if r["method"] == "real"] or [float("nan")])
    shown = []
    for name in dict.fromkeys(r["method"] for r in rows):
        mine = [r for r in rows if r["method"] == name]
        mean = {key: statistics.fmean(r[key] for r in mine) for key in mine[0] if key not in ("method", "seed")}
        shown.append({
            "method": name, "F1": f"{mean['f1']:.3f}",
            "least and most": f"{min(r['f1'] for r in mine):.3f}–{max(r['f1'] for r in mine):.3f}",
            "of real": f"{mean['f1'] / real:.3f}", "shapes": f"{mean['shapes']:.3f}",
            "trends": f"{mean['trends']:.3f}", "rows/CPU-s": mean.get("rows_per_second"),
        })  # fmt: skip
    return shown


if __name__ == "__main__":
    main()
