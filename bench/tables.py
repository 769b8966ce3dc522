"""Synthetic tables on UCI Adult: what classifiers learn from made rows, column shapes, pair trends, and rows/s.

    python bench/tables.py --data-root DIR [--seeds 0,1,2] [--epochs 300] [--peer PYTHON] [--only tablegan,tvae@100,…]

Of each seed 23,000 rows are trained on, and the rest test. F1 is of >50K, by AdaBoost, a decision tree, logistic
regression and an MLP at scikit-learn's defaults (`gansmith.metrics.efficacy`), trained on as many made rows as real
ones; shapes and trends are against the training rows. Each training has one thread and one core; rows/s are of its CPU
seconds, and leave out what comes before the first step (mixtures, encoding, trying the compiler out). `peer` is the
package ctgan 0.12.1 at its defaults, by the Python of an environment that has it. The copula is Gaussian, of normal
scores, kinds in order of their frequency. A line of the table is the median over seeds; the share of real is of each
seed's own real rows. `METHOD@EPOCHS` has a length of its own; --once names methods that get the first seed alone.
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
OURS: dict[str, dict[str, Any]] = {
    "tablegan": {},
    "tablegan without target": {"target": None},
    "tablegan of width 256": {"overrides": {"generator.hidden": [256, 256]}},
    "tablegan of width 512": {"overrides": {"generator.hidden": [512, 512]}},
    "ctgan": {"method": "ctgan"},
    "tvae": {"method": "tvae"},
}
"""What each sets of `gansmith.TableGAN`."""

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
    own = {"target": "income", **OURS[order["method"]]}
    own["overrides"] = {**own.get("overrides", {}), "snapshots": 1}
    model = gansmith.TableGAN(epochs=order["epochs"], seed=order["seed"], **own)
    model.fit(train, listeners=[clock], name="adult")
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
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--only", default=",".join(METHODS), metavar="METHOD[@EPOCHS],…")
    parser.add_argument("--once", default="", metavar="METHOD[@EPOCHS],…", help="of those, which get one seed")
    parser.add_argument("--peer", metavar="PYTHON", help="of an environment with ctgan==0.12.1; none leaves it out")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where rows and scores are kept, and not made again")
    args = parser.parse_args()
    if args.child:
        trained(json.loads(args.child))
        return
    count, once = 2000 if args.quick else TRAIN, args.once.split(",")
    seeds = [0] if args.quick else [int(s) for s in args.seeds.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            train, test = parts(args.data_root, seed, count)
            for asked in args.only.split(","):
                name, _, own = asked.partition("@")
                if (name == "peer" and args.peer is None) or (asked in once and seed != seeds[0]):
                    continue
                epochs = 1 if args.quick else int(own or args.epochs)
                called = f"{name}, {epochs} epochs" if name in (*OURS, "peer") else name
                out = folder / f"{called.removesuffix(' epochs').replace(', ', '-')}-{seed}.csv"
                order = {"method": name, "root": str(args.data_root), "seed": seed, "count": count, "epochs": epochs}
                row = held(called, {**order, "out": str(out)}, train, test, args.peer)
                rows.append(row)
                print(json.dumps(row), flush=True)
    print(table(summary(rows)))
    record("tables", summary(rows), quick=args.quick)
    record("tables-seeds", rows, quick=args.quick)


def held(
    called: str, order: dict[str, Any], train: tables.Columns, test: tables.Columns, python: str | None
) -> dict[str, Any]:
    """A row of the table, of one seed; where it was measured before, as it was kept."""
    kept = Path(order["out"]).with_suffix(".row.json")
    if not kept.exists():
        made, took = rows_of(order["method"], order, train, python)
        row = {"seed": order["seed"], **measured(called, made, train, test), **took}
        kept.write_text(json.dumps(row), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


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
    """A line a method: medians over seeds, and the spread of F1 and of its share of real rows' in the same seed."""
    real = {r["seed"]: r["f1"] for r in rows if r["method"] == "real"}
    shown = []
    for name in dict.fromkeys(r["method"] for r in rows):
        mine = [r for r in rows if r["method"] == name]
        shares = [r["f1"] / real.get(r["seed"], float("nan")) for r in mine]
        middle = {k: statistics.median(r[k] for r in mine) for k in mine[0] if k not in ("method", "seed")}
        shown.append({
            "method": name, "seeds": len(mine), "F1": f"{middle['f1']:.3f}",
            "least and most": spread([r["f1"] for r in mine]), "of real": f"{statistics.median(shares):.3f}",
            "least and most of it": spread(shares), "shapes": f"{middle['shapes']:.3f}",
            "trends": f"{middle['trends']:.3f}", "rows/CPU-s": middle.get("rows_per_second"),
        })  # fmt: skip
    return shown


def spread(values: list[float]) -> str:
    """Least and most, where there are several."""
    return f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else ""


if __name__ == "__main__":
    main()
