"""How good on MNIST, and how soon: `auto` at 90 CPU-seconds and 5 CPU-minutes, and against the tutorial loop.

    python bench/quality.py --data-root DIR [--part quality|unlabelled|reach] [--threads 1]

The measure is the Fréchet distance of 10,000 samples to the 10,000 test images in the 128 features of the
domain classifier (gansmith.metrics.domain), under two classifiers of different seeds, and its ratio to that
classifier's floor: 10,000 training images against the test images, the mean of six disjoint draws.

Each training is a process of its own, whose CPU time counts all its threads. A training's length is given to
`gansmith.train` as CPU-minutes; what it really used is in the table, from its first call to its last (the
resolving of the length, reading the data and writing the run included), and beside it the whole process with
its imports. Samples of `auto` are drawn with labels as frequent as in the training data; those of the tutorial
loop are scored with its dropout off and on, and the better counts. `reach` asks how many CPU-seconds `auto`
needs to the best distance that the tutorial loop reaches in 10 CPU-minutes; the clock of the loop starts at
its first step, that of `auto` at the call of `gansmith.train`, and drawing samples to score is off both clocks.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import child, flags, record, run_child, table

COUNT = 10_000
DRAWS = 6
CLASSIFIERS = (0, 1)


# --- children: each a training ----------------------------------------------------------------------


def auto(order: dict[str, Any]) -> dict[str, Any]:
    """Train `auto`, and leave samples of its averaged weights: at the end, or at each snapshot."""
    import gansmith
    from gansmith.engine.listener import Listener, Progress
    from gansmith.engine.sampler import Sampler, latents
    from gansmith.run import Run

    root, folder = Path(order["root"]), Path(order["folder"])
    _, counts = _labels(root)

    class Watch(Listener):
        """Keeps samples of each snapshot, off the clock."""

        def __init__(self) -> None:
            self.off, self.images, self.marks = 0.0, 0, []

        def progress(self, progress: Progress) -> None:
            self.images = progress.images

        def snapshot(self, images: int, sampler: Sampler) -> None:
            if not order["trace"]:
                return
            now = time.process_time()
            name = f"{images}.npy"
            np.save(folder / name, _draw(sampler, counts))
            self.marks.append({"images": images, "cpu_s": now - began - self.off, "samples": name})
            self.off += time.process_time() - now

    def _draw(sampler: Any, counts: np.ndarray) -> np.ndarray:
        z = latents(COUNT, sampler.noise, 1234)
        labels = np.random.default_rng(1234).choice(len(counts), COUNT, p=counts / counts.sum())
        return sampler.decode(z, labels.astype(np.int64) if sampler.classes else None)

    watch = Watch()
    overrides = {"seed": order["seed"], "snapshots": order["snapshots"], "score": False}
    if not order["conditional"]:
        overrides["conditional"] = False
    began = time.process_time()
    run = gansmith.train(
        "auto",
        data="mnist",
        data_root=str(root),
        out=str(folder / "run"),
        cpu_minutes=order["cpu_s"] / 60,
        overrides=overrides,
        listeners=(watch,),
    )
    used, whole = time.process_time() - began - watch.off, time.process_time() - watch.off
    path = getattr(run, "path", None) or Path(folder / "run")
    np.save(folder / "last.npy", _draw(gansmith.load(str(path)), counts))
    return {"marks": watch.marks, "cpu_s": used, "process_cpu_s": whole, "images": Run(Path(path)).recipe().images}


def loop(order: dict[str, Any]) -> dict[str, Any]:
    """Run the tutorial loop, and leave samples at intervals, with dropout off and on."""
    import tutorial

    images, labels = tutorial.read_mnist(Path(order["root"]), "train")
    folder, marks, off = Path(order["folder"]), [], 0.0
    noise = torch.randn(COUNT, tutorial.NOISE, generator=torch.Generator().manual_seed(1234))

    def draw(generator: torch.nn.Module, mode: bool) -> np.ndarray:
        state = torch.get_rng_state()
        with torch.inference_mode():
            made = torch.cat([generator.train(mode)(part) for part in noise.split(500)])
        generator.train()
        torch.set_rng_state(state)
        # The loop as published learns [0, 1]: there a tanh's negative half is black, as its users show it.
        scaled = made.mul(127.5).add(128) if order["corrected"] else made.mul(255).add(0.5)
        return scaled.clamp(0, 255).to(torch.uint8).numpy()

    def each(generator: torch.nn.Module, shown: int, passed: float) -> None:
        if passed < order["every"] * (len(marks) + 1):
            return
        nonlocal off
        begun = time.process_time()
        for mode in (False, True):
            np.save(folder / f"{shown}-{mode}.npy", draw(generator, mode))
        names = [f"{shown}-{mode}.npy" for mode in (False, True)]
        marks.append({"images": shown, "cpu_s": passed, "samples": names})
        off += time.process_time() - begun

    tutorial.train(
        images, labels, corrected=order["corrected"], seconds=order["cpu_s"], seed=order["seed"],
        clock=lambda: time.process_time() - off, each=each,
    )  # fmt: skip
    return {"marks": marks}


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Do what a child is asked for."""
    return auto(order) if order["kind"] == "auto" else loop(order)


# --- the parent: scoring and tables -----------------------------------------------------------------


def _labels(root: Path) -> tuple[np.ndarray, np.ndarray]:
    import tutorial

    _, labels = tutorial.read_mnist(root, "train")
    return labels, np.bincount(labels, minlength=10)


class Judge:
    """Classifiers of different seeds, each with its reference and its floor."""

    def __init__(self, root: Path) -> None:
        from gansmith.data import open_dataset
        from gansmith.metrics import Moments, Scorer, frechet_of
        from gansmith.recipe import Data

        train, held = (open_dataset(Data(source="mnist", root=str(root), split=split)) for split in ("train", "test"))
        images, test = train.array, held.array
        assert images is not None
        assert test is not None
        self.extractors, self.references, self.floors, self.spreads = [], [], [], []
        order = np.random.default_rng(0).permutation(len(images))
        for seed in CLASSIFIERS:
            fitted: Any = Scorer(train, held, seed=seed, say=print).extractor
            if fitted.accuracy < 0.99:
                raise SystemExit(f"the classifier of seed {seed} is only {fitted.accuracy:.2%} accurate")
            reference = Moments().update(fitted.features(test)).compute()
            draws = [
                frechet_of(Moments().update(fitted.features(images[part])).compute(), reference)
                for part in np.array_split(order, DRAWS)
            ]
            self.extractors.append(fitted)
            self.references.append(reference)
            self.floors.append(statistics.mean(draws))
            self.spreads.append((min(draws), max(draws)))

    def rows(self) -> list[dict[str, Any]]:
        """Describe the classifiers."""
        return [
            {
                "classifier": seed,
                "accuracy": f"{fitted.accuracy:.2%}",
                "checksum": fitted.checksum[:12],
                "floor": round(floor, 2),
                "least of six": round(low, 2),
                "most": round(high, 2),
            }
            for seed, fitted, floor, (low, high) in zip(
                CLASSIFIERS, self.extractors, self.floors, self.spreads, strict=True
            )
        ]

    def score(self, file: Path) -> list[float]:
        """Score a file of samples under each classifier."""
        from gansmith.metrics import Moments, frechet_of

        samples = np.load(file)
        return [
            frechet_of(Moments().update(fitted.features(samples)).compute(), reference)
            for fitted, reference in zip(self.extractors, self.references, strict=True)
        ]


def quality(judge: Judge, args: Any, *, conditional: bool) -> list[dict[str, Any]]:
    """Train `auto` for each budget and seed, and score the end."""
    rows = []
    for budget in args.budgets:
        ratios: list[list[float]] = []
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                order = {
                    "kind": "auto", "root": str(args.data_root), "folder": folder, "seed": seed, "cpu_s": budget,
                    "conditional": conditional, "trace": False, "snapshots": 1,
                }  # fmt: skip
                made = child("quality.py", order, threads=args.threads)
                scores = judge.score(Path(folder) / "last.npy")
            ratios.append([score / floor for score, floor in zip(scores, judge.floors, strict=True)])
            rows.append(
                {
                    "labels": "yes" if conditional else "no",
                    "CPU-seconds asked": budget,
                    "used": round(made["cpu_s"], 1),
                    "with imports": round(made["process_cpu_s"], 1),
                    "images": made["images"],
                    "seed": seed,
                    **{f"FD, classifier {c}": round(s, 2) for c, s in zip(CLASSIFIERS, scores, strict=True)},
                    **{f"x floor {c}": round(r, 3) for c, r in zip(CLASSIFIERS, ratios[-1], strict=True)},
                }
            )
            print(table(rows[-1:]).splitlines()[-1], flush=True)
        middle = [statistics.median(column) for column in zip(*ratios, strict=True)]
        rows.append(
            {
                "labels": "yes" if conditional else "no",
                "CPU-seconds asked": budget,
                "seed": "median",
                **{f"x floor {c}": round(r, 3) for c, r in zip(CLASSIFIERS, middle, strict=True)},
            }
        )
    return rows


def reach(judge: Judge, args: Any) -> list[dict[str, Any]]:
    """Run the tutorial loop in both forms, and find when `auto` reaches the best distance of each."""
    best: dict[str, list[tuple[float, float]]] = {}
    for corrected in (True, False):
        name = "range corrected" if corrected else "as published"
        with tempfile.TemporaryDirectory() as folder:
            order = {
                "kind": "loop", "root": str(args.data_root), "folder": folder, "seed": args.seeds[0],
                "cpu_s": args.loop_seconds, "every": args.every, "corrected": corrected,
            }  # fmt: skip
            marks = child("quality.py", order, threads=args.threads)["marks"]
            curve = [
                (
                    mark["cpu_s"],
                    [min(pair) for pair in zip(*(judge.score(Path(folder) / f) for f in mark["samples"]), strict=True)],
                )
                for mark in marks
            ]
        best[name] = [min((scores[i], cpu) for cpu, scores in curve) for i in range(len(CLASSIFIERS))]
        print(f"tutorial loop, {name}: " + "; ".join(f"{d:.1f} at {s:.0f} s" for d, s in best[name]), flush=True)
    rows = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            order = {
                "kind": "auto", "root": str(args.data_root), "folder": folder, "seed": seed, "conditional": True,
                "cpu_s": args.reach_seconds, "trace": True, "snapshots": args.reach_snapshots,
            }  # fmt: skip
            marks = child("quality.py", order, threads=args.threads)["marks"]
            curve = [(mark["cpu_s"], judge.score(Path(folder) / mark["samples"])) for mark in marks]
        for name, found in best.items():
            for i, (distance, when) in enumerate(found):
                needed = next((cpu for cpu, scores in curve if scores[i] <= distance), None)
                rows.append(
                    {
                        "tutorial loop": name,
                        "classifier": CLASSIFIERS[i],
                        "its best FD": round(distance, 1),
                        "x floor": round(distance / judge.floors[i], 1),
                        "reached at, CPU-s": round(when),
                        "of, CPU-s": args.loop_seconds,
                        "auto, seed": seed,
                        "auto is there at, CPU-s": "not reached" if needed is None else round(needed, 1),
                        "times less": None if needed is None else round(args.loop_seconds / needed, 1),
                    }
                )
    return rows


def main() -> None:
    """Print the tables."""
    parser = flags(__doc__)
    parser.add_argument("--part", choices=("quality", "unlabelled", "reach"), action="append", help="all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", type=float, nargs="+", default=[90.0, 300.0], help="CPU-seconds of auto")
    parser.add_argument("--loop-seconds", type=float, default=600.0, help="CPU-seconds of the tutorial loop")
    parser.add_argument("--every", type=float, default=20.0, help="CPU-seconds between its scores")
    parser.add_argument("--reach-seconds", type=float, default=45.0, help="length of auto's training for `reach`")
    parser.add_argument("--reach-snapshots", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1, help="cores that each training has")
    args = parser.parse_args()
    if run_child(args.child, work):
        return
    if args.quick:
        args.seeds, args.budgets, args.loop_seconds, args.every = [0], [6.0], 6.0, 2.0
        args.reach_seconds, args.reach_snapshots = 8.0, 4
    judge = Judge(args.data_root)
    print(table(judge.rows()) + "\n", flush=True)
    record("classifiers", judge.rows(), quick=args.quick)
    for part in args.part or ("quality", "unlabelled", "reach"):
        if part == "reach":
            rows = reach(judge, args)
        else:
            rows = quality(judge, args, conditional=part == "quality")
        print(f"\n{table(rows)}\n", flush=True)
        record(part, rows, quick=args.quick)


if __name__ == "__main__":
    main()
