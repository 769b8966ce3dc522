"""Anomaly detection: twelve tables, MNIST and the MVTec bottles, beside what needs no GAN and what PyOD has.

    python bench/anomaly.py --data-root DIR [--part tables] [--peer PYTHON] [--seeds 5] [--work FILE]

Trained on half of the normal examples (drawn by the seed), tested on the other half and all anomalies; of a large set
the first 2,000 drawn training rows, 2,000 normal and 1,000 anomalous test rows. Parts: `tables`; `contaminated`, where
so many of the training rows are anomalies (which are then not tested); `bottle`; `mnist-one`, trained on one digit;
`mnist-nine`, trained on all but one. What is measured is kept in --work, line by line, and not measured again. --peer
is a Python that has PyOD; without one its rows are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import HERE, flags, record, table

PARTS = ("tables", "contaminated", "bottle", "mnist-one", "mnist-nine")
TUNED = ("Ionosphere", "annthyroid", "satellite", "cardio")
"""On these alone the settings of `auto` were chosen; they are rows like the others, and have a mean of their own."""

CAPS = (2000, 2000, 1000)
OURS, PLAIN = ("auto", "fanogan", "ganomaly", "alad"), ("isolation forest", "k nearest neighbours", "PCA")
SLOW = (250, 100, 100)
"""Of these PyOD's AnoGAN is given the first only: it searches a latent vector for each row, which takes it 40 ms."""

PEERS = ("ECOD", "ALAD", "AnoGAN", "MO_GAAL")


class Split(NamedTuple):
    """Training rows, test rows, and which of the latter are anomalous."""

    fit: np.ndarray
    test: np.ndarray
    odd: np.ndarray


def sets(root: Path, bottle: bool = False) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tables by name."""
    found = {}
    for file in sorted((root / "anomaly").glob("*.npz")):
        if ("MVTec" in file.name) == bottle:
            with np.load(file) as held:
                found[file.stem.partition("_")[2]] = held["X"].astype(np.float64), held["y"].astype(int)
    return found


def split(X: np.ndarray, y: np.ndarray, seed: int, contaminated: float = 0.0) -> Split:
    """Half of the normal rows to train on, with a share of anomalies among them if asked; the rest to test."""
    random = np.random.default_rng(seed)
    normal, odd = random.permutation(np.flatnonzero(y == 0)), random.permutation(np.flatnonzero(y == 1))
    half = len(normal) // 2
    fit, rest, odd = normal[:half][: CAPS[0]], normal[half:][: CAPS[1]], odd[: CAPS[2]]
    if contaminated:
        mixed = min(round(len(fit) * contaminated / (1 - contaminated)), len(odd) // 2)
        fit, odd = np.concatenate([fit, odd[:mixed]]), odd[mixed:]
    return Split(X[fit], X[np.concatenate([rest, odd])], np.repeat([False, True], [len(rest), len(odd)]))


def thinned(data: Split) -> Split:
    """What the slowest detector is given."""
    normal, odd = np.flatnonzero(~data.odd)[: SLOW[1]], np.flatnonzero(data.odd)[: SLOW[2]]
    rows = np.concatenate([normal, odd])
    return Split(data.fit[: SLOW[0]], data.test[rows], data.odd[rows])


def digits(root: Path, part: str, seed: int) -> Iterator[tuple[str, Split]]:
    """MNIST by digit: trained on it alone (its whole training split), or on all others (8,000 of them)."""
    from gansmith.data import open_dataset
    from gansmith.fields import Data

    spec = Data(source="mnist", root=str(root))
    train, test = open_dataset(spec), open_dataset(spec.model_copy(update={"split": "test"}))
    for digit in range(10):
        if part == "mnist-one":
            yield str(digit), Split(train.array[train.labels == digit], test.array, test.labels != digit)
        else:
            rows = np.random.default_rng(seed).permutation(np.flatnonzero(train.labels != digit))[:8000]
            yield str(digit), Split(train.array[rows], test.array, test.labels == digit)


def scored(detector: str, data: Split, seed: int, peer: str | None) -> np.ndarray:
    """How anomalous the test rows are, by one detector."""
    from gansmith.applications.anomaly import AnomalyDetector
    from gansmith.applications.baselines import BASELINES, beside

    if detector in OURS:
        members = None if detector == "auto" else 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few rows for an alarm rate, which is not measured here
            return -AnomalyDetector(detector, members=members, random_state=seed).fit(data.fit).score_samples(data.test)
    flat = Split(*(part.reshape(len(part), -1).astype(np.float64) for part in data[:2]), data.odd)
    if detector in BASELINES:
        return beside(data.fit, data.test, seed, [detector])[detector]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "split.npz", Path(folder) / "scores.npy"
        np.savez(given, fit=flat.fit, test=flat.test)
        command = [str(peer), str(HERE / "anomaly_peer.py"), detector.removeprefix("PyOD "), str(given), str(made)]
        subprocess.run([*command, str(seed)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return np.load(made)


def cases(part: str, root: Path, seeds: int) -> Iterator[tuple[str, int, Split]]:
    """Splits by name and seed, seed by seed."""
    for seed in range(seeds):
        if part.startswith("mnist"):
            yield from ((name, seed, data) for name, data in digits(root, part, seed))
        elif part == "contaminated":
            for name, (X, y) in sets(root).items():
                for share in (0.02, 0.1):
                    yield f"{name} {share:.0%}", seed, split(X, y, seed, share)
        else:
            for name, (X, y) in sets(root, part == "bottle").items():
                yield name, seed, split(X, y, seed)


def measure(part: str, args: Any, detectors: list[str]) -> list[dict[str, Any]]:
    """All that is asked for, of which what lies in the work file is taken from it."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    work = Path(args.work)
    known = [json.loads(line) for line in work.read_text().splitlines()] if work.is_file() else []
    found = {(k["part"], k["set"], k["seed"], k["detector"]): k for k in known}
    rows = []
    for name, seed, data in cases(part, args.data_root, args.seeds):
        for detector in detectors:
            key = (part, name, seed, detector)
            if key not in found:
                shown = thinned(data) if detector == "PyOD AnoGAN" else data
                began = sum(os.times()[:4])
                scores = scored(detector, shown, seed, args.peer)
                row = dict(zip(("part", "set", "seed", "detector"), key, strict=True))
                row["auroc"] = float(roc_auc_score(shown.odd, scores))
                row["ap"] = float(average_precision_score(shown.odd, scores))
                row["seconds"] = round(sum(os.times()[:4]) - began, 2)
                found[key] = row
                with work.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, file=sys.stderr, flush=True)
            rows.append(found[key])
    return rows


def summary(part: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each detector: means over sets of means over seeds, and the spread of seeds."""
    lines = []
    for detector in dict.fromkeys(row["detector"] for row in rows):
        mine = [row for row in rows if row["detector"] == detector]
        names = list(dict.fromkeys(row["set"] for row in mine))
        each = {name: np.mean([r["auroc"] for r in mine if r["set"] == name]) for name in names}
        seeds = [np.mean([r["auroc"] for r in mine if r["seed"] == s]) for s in sorted({r["seed"] for r in mine})]
        line: dict[str, Any] = {"detector": detector}
        if part == "contaminated":
            for share in dict.fromkeys(name.split()[-1] for name in names):
                line[f"AUROC, {share}"] = f"{np.mean([v for n, v in each.items() if n.endswith(' ' + share)]):.3f}"
        else:
            line["AUROC"] = f"{np.mean(list(each.values())):.4f}"
            line["AP"] = f"{np.mean([r['ap'] for r in mine]):.3f}"
            if part == "tables":
                unseen = [v for n, v in each.items() if n not in TUNED]
                line["AUROC, 8 sets not tuned on"] = f"{np.mean(unseen):.4f}"
            line["seeds"] = len(seeds)
            line["over seeds"] = f"{min(seeds):.3f} to {max(seeds):.3f}"
            line |= {name: f"{value:.3f}" for name, value in each.items()}
        lines.append(line)
    return lines


def main() -> None:
    """Print the tables."""
    parser = flags(__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="which (all)")
    parser.add_argument("--detector", action="append", help="which (all of the part's)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer", help="a Python that has PyOD")
    parser.add_argument("--work", default="anomaly.jsonl", help="where measurements are kept (anomaly.jsonl)")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    for part in args.part or PARTS:
        seeds = 1 if part.startswith("mnist") else args.seeds
        peers = [f"PyOD {name}" for name in PEERS] if args.peer and part in ("tables", "bottle") else []
        usual = [*OURS, *PLAIN, *peers] if not part.startswith("mnist") else ["auto", "ganomaly", *PLAIN[1:]]
        usual = ["auto", *PLAIN] if part == "contaminated" else usual
        args.seeds = 1 if args.quick else seeds
        lines = summary(part, measure(part, args, args.detector or usual))
        print(f"\n{part}\n\n{table(lines)}", flush=True)
        record("anomaly", [{"part": part, **line} for line in lines], quick=args.quick)


if __name__ == "__main__":
    main()
