"""Augmentation: whether examples that a GAN makes of few help a classifier, against what needs no GAN.

    python bench/augmentation.py --data-root DIR [--only CASE ...] [--seeds 3] [--images N] [--epochs N]

MNIST with 10, 50 and 100 labels a class, tested by its 10,000 test pictures; scikit-learn's digits with 20 a class,
tested by the others; Adult, 5,000 training rows of which 100 earn over 50K, tested by 10,000 others at the true share;
mammography and thyroid of the anomaly sets by five folds. 500 examples are made of each class, or of the rare one. The
verdicts are the product's own sentences.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import flags, record, table

import gansmith
from gansmith.data import open_dataset
from gansmith.fields import Data

N = 500

Case = tuple[Any, Any, dict[Any, int] | int, tuple[Any, Any] | None]


def mnist(root: Path, labels: int) -> Case:
    """So many of each digit, the first of a seeded order; and the test split."""
    found = [open_dataset(Data(source="mnist", root=str(root), split=split)) for split in ("train", "test")]
    train, test = ((each.array, each.labels) for each in found)
    order = np.random.default_rng(0).permutation(len(train[1]))
    chosen = np.concatenate([order[train[1][order] == digit][:labels] for digit in range(10)])
    return train[0][chosen], train[1][chosen], N, test


def digits() -> Case:
    """20 of each digit, and the rest to test by."""
    from sklearn.datasets import load_digits

    held: Any = load_digits()
    images, labels = np.rint(held.images * 255 / 16).astype(np.uint8), held.target
    order = np.random.default_rng(0).permutation(len(labels))
    places = [order[labels[order] == digit] for digit in range(10)]
    chosen, rest = (np.concatenate([each[part] for each in places]) for part in (slice(20), slice(20, None)))
    return images[chosen], labels[chosen], N, (images[rest], labels[rest])


def adult(root: Path) -> Case:
    """5,000 rows of which 100 earn over 50K; 10,000 others to test by."""
    from gansmith.data.tables import read_csv, taken

    held = read_csv(root / "tabular" / "adult.csv")
    columns = {name: values for name, values in held.columns.items() if name != "income"}
    income = np.array([str(value).strip() for value in held.columns["income"].tolist()], dtype=object)
    order = np.random.default_rng(0).permutation(len(income))
    test, rest = order[:10_000], order[10_000:]
    rich = income[rest] == ">50K"
    train = np.concatenate([rest[rich][:100], rest[~rich][:4900]])
    return taken(columns, train), income[train], {">50K": N}, (taken(columns, test), income[test])


def anomalies(root: Path, name: str) -> Case:
    """A set in which 1 is rare, by cross-validation."""
    file = next((root / "anomaly").glob(f"*_{name}.npz"))
    with np.load(file) as held:
        return held["X"].astype(np.float64), held["y"].astype(int), {1: N}, None


def cases(root: Path) -> dict[str, Callable[[], Case]]:
    """By name."""
    return {
        "mnist-10": lambda: mnist(root, 10), "mnist-50": lambda: mnist(root, 50), "mnist-100": lambda: mnist(root, 100),
        "digits-20": digits, "adult": lambda: adult(root), "mammography": lambda: anomalies(root, "mammography"),
        "thyroid": lambda: anomalies(root, "thyroid"),
    }  # fmt: skip


def spelled(gain: Any) -> str:
    """A difference with its interval."""
    return "" if gain is None else f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def measured(name: str, case: Case, seeds: int, **how: Any) -> list[dict[str, Any]]:
    """Rows of one case."""
    X, y, n, test = case
    begun = time.process_time()
    found = gansmith.augment(X, y, n, test=test, folds=5 if test is None else seeds, **how)
    spent = round(time.process_time() - begun)
    assert found.trial is not None
    print(f"\n{name} ({spent} CPU-seconds)\n{found}\n", flush=True)
    return [
        {
            "data": name, "way": row.way, "measure": found.trial.measure, "score": round(row.score, 4),
            "gain": spelled(row.gain), "by the GAN": spelled(row.by_made), "others": dict(row.others),
            "verdict": found.verdict, "cpu_seconds": spent,
            "rejected": dict(found.made.reasons), "made": len(found.made.labels),
        }
        for row in found.trial.rows
    ]  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = flags(__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="CASE")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="where there is a test set")
    parser.add_argument("--images", type=int, metavar="N", help="that a generator of pictures is shown")
    parser.add_argument("--epochs", type=float, metavar="N", help="of a generator of rows")
    args = parser.parse_args()
    known = cases(args.data_root)
    rows: list[dict[str, Any]] = []
    for name in args.only or known:
        images, epochs = (2000, 1) if args.quick else (args.images, args.epochs)
        rows += measured(name, known[name](), args.seeds, images=images, epochs=epochs)
    record("augmentation", rows, quick=args.quick)
    print(table([
        {key: row[key] for key in ("data", "way", "measure", "score", "gain", "by the GAN")} for row in rows
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
