"""How well the watch names what goes wrong: runs made to fail in known ways, and healthy ones.

    python bench/watch.py --bed d [--data-root DIR] [--only NAME] [--unwatched] [--signals FILE]
    python bench/watch.py --cost [RECIPE ...] [--data-root DIR]

Beds A to C are what the rules were set on; bed D is of other data, networks, losses and seeds. A run counts as named
right where the first thing that is said of it is what it was made to fail of; a healthy run of which anything is said
is a false alarm. Whether a run fails as meant is measured too, apart from the watch, on samples of its own (`judged`),
and with `--unwatched` nothing else is: so bed D was made without the watch, and then tried once.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import flags, record, table
from watch_bed_c import bed_c
from watch_bed_d import bed_d
from watch_beds import COLLAPSES, CYCLES, DEAD, DIVERGES, HEALTHY, KINDS, OVERFITS, STRONG, Case, bed_a, bed_b

from gansmith.build import build
from gansmith.data import Dataset
from gansmith.engine.hardware import Numerics
from gansmith.engine.listener import Listener
from gansmith.engine.player import Player
from gansmith.engine.signals import Signals
from gansmith.engine.trainer import Diverged, Trainer
from gansmith.networks.layers import run as call
from gansmith.training import facts_of

SAMPLES = 512


class Ear(Listener):
    """Hears what is said, and looks at the samples at each snapshot."""

    def __init__(self, player: Player, held: Dataset) -> None:
        self.player, self.held = player, held
        self.said: list[tuple[int, str]] = []
        self.places: list[np.ndarray] = []
        self.sizes: list[dict[str, float]] = []
        self.spent = 0.0

    def warning(self, images: int, text: str) -> None:
        """Keep the name of the trouble."""
        self.said.append((images, text.split(":")[0]))

    def snapshot(self, images: int, sampler: Any) -> None:
        """Keep where the samples of the weights as they are lie."""
        began = time.process_time()
        self.places.append(samples(self.player, self.held, averaged=False).mean(0))
        self.sizes.append({name: float(flat.master.norm()) for name, flat in self.player.flats.items()})
        self.spent += time.process_time() - began


def examples(data: Dataset, n: int = SAMPLES) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Examples as networks see them, and their labels."""
    assert data.array is not None
    chosen = np.random.default_rng(0).permutation(data.count)[:n]
    x = torch.from_numpy(data.array[chosen].astype(np.float32))
    labels = None if data.labels is None else torch.from_numpy(data.labels[chosen])
    return (x / 127.5 - 1 if data.modality == "image" else x), labels


@torch.no_grad()
def samples(player: Player, held: Dataset, *, averaged: bool) -> np.ndarray:
    """As many samples as there are held-out examples, of the same labels, flat."""
    game = player.shown()
    if not averaged:
        mine = dict(game.named_parameters())
        for flat in player.flats.values():
            for key, view in flat.views(flat.master).items():
                mine[key].copy_(view)
    real, labels = examples(held)
    z = torch.randn(len(real), player.recipe.noise, generator=torch.Generator().manual_seed(1))
    return game.generate(z, labels).float().flatten(1).numpy()


@torch.no_grad()
def logits(player: Player, data: Dataset) -> np.ndarray:
    """The discriminator's logits on real examples."""
    x, labels = examples(data)
    return call(player.shown().discriminator, x, labels, logits=True).numpy()


def above(one: np.ndarray, other: np.ndarray) -> float:
    """The share of pairs in which the first is greater."""
    return float((np.sign(one[:, None] - other[None]).mean() + 1) / 2)


def energy(one: np.ndarray, other: np.ndarray) -> float:
    """The energy distance, in the second's own mean distance."""
    apart = [
        torch.cdist(torch.from_numpy(a), torch.from_numpy(b)).mean().item()
        for a, b in ((one, other), (one, one), (other, other))
    ]
    return (2 * apart[0] - apart[1]) / apart[2] - 1


def covered(fake: np.ndarray, real: np.ndarray) -> float:
    """How evenly samples fall to 24 clusters of the real examples: exp of the entropy, of theirs."""
    from sklearn.cluster import KMeans

    clusters = KMeans(24, n_init=1, random_state=0).fit(real)

    def perplexity(x: np.ndarray) -> float:
        share = np.bincount(clusters.predict(x), minlength=24) / len(x)
        return float(np.exp(-(share[share > 0] * np.log(share[share > 0])).sum()))

    return perplexity(fake) / perplexity(real)


def judged(player: Player, ear: Ear, data: Dataset, held: Dataset, first: np.ndarray, finite: bool) -> dict[str, Any]:
    """What became of a run, by more samples than the watch has, and by none of its code."""
    real = examples(held)[0].flatten(1).numpy()
    if not finite:
        return {"finite": False, "is": [DIVERGES]}
    live, averaged = samples(player, held, averaged=False), samples(player, held, averaged=True)
    if not np.isfinite(live).all() or np.abs(live).max() > 1e6:
        return {"finite": False, "is": [DIVERGES]}
    spread = real.std(0).mean()
    labels = examples(held)[1]
    with torch.no_grad():
        shape = (len(live), *data.shape)
        on_fake = call(player.shown().discriminator, torch.from_numpy(live).view(shape), labels, logits=True).numpy()
    on_held = logits(player, held)
    late = np.stack(ear.places[len(ear.places) // 3 :])
    found: dict[str, Any] = {
        "far": energy(live, real), "far_average": energy(averaged, real), "covered": covered(live, real),
        "covered_average": covered(averaged, real), "won": above(on_held, on_fake),
        "known": above(logits(player, data), on_held), "answers": float(live.std(0).mean() / spread),
        "moved": float(np.abs(live - first).mean() / spread),
        "sway": float(np.sqrt((late.std(0) ** 2).mean()) / np.sqrt(real.var(0).mean())),
        "grown": max(ear.sizes[-1][name] / ear.begun[name] for name in ear.begun),
    }  # fmt: skip
    bad = found["far"] > 0.1
    tests = {
        DEAD: found["answers"] < 1e-3 or found["moved"] < 1e-3,
        DIVERGES: bad and found["grown"] > 3 and found["sway"] > 0.3,
        OVERFITS: found["known"] > 0.75,
        STRONG: bad and found["won"] > 0.99 and found["answers"] > 1e-3,
        COLLAPSES: bad and found["covered"] < 0.5 and found["answers"] > 1e-3,
        CYCLES: bad and found["sway"] > 0.3,
        HEALTHY: found["far_average"] < 0.05
        and found["far"] < 0.1
        and found["covered_average"] > 0.7
        and found["known"] < 0.8,
    }
    return {
        **{k: round(v, 4) for k, v in found.items()},
        "finite": True,
        "is": [name for name, so in tests.items() if so],
    }


def play(case: Case, root: Path, watched: bool) -> dict[str, Any]:
    """Train, and tell what was said and what became of it."""
    recipe, data, held = case.open(root)
    recipe = recipe.model_copy(update={"on_trouble": "say" if watched else "ignore"})
    game = build(recipe, facts_of(data))
    if case.tweak is not None:
        case.tweak(game)
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "bench")
    player = Player(game, data, recipe, torch.device("cpu"), numerics)
    ear = Ear(player, held)
    ear.begun = {name: float(flat.master.norm()) for name, flat in player.flats.items()}
    first = samples(player, held, averaged=False)
    trainer = Trainer(player, None, [ear], held=held)
    began, finite = time.process_time(), True
    try:
        trainer.train()
    except Diverged:
        finite = False
    seconds = time.process_time() - began - ear.spent
    finite = finite and trainer.rollbacks == 0
    fate = judged(player, ear, data, held, first, finite)
    history = trainer.watch.history if trainer.watch else []
    return {
        "run": case.name, "meant": case.meant, "said": [name for _, name in ear.said],
        "at": [round(at / recipe.images, 3) for at, _ in ear.said], "seconds": round(seconds, 2), "fate": fate,
        "history": history,
    }  # fmt: skip


def cost(recipes: list[str], root: Path, images: int) -> list[dict[str, Any]]:
    """The share of a training's processor time that goes to the watch: to its probes, and to its sums in between."""
    import gansmith

    rows = []
    for recipe in recipes:
        spent = {"probe": 0.0, "note": 0.0}
        calls = {"probe": 0, "note": 0}
        kept = {name: getattr(Signals, name) for name in spent}

        def timed(name: str, spent: Any = spent, calls: Any = calls, kept: Any = kept) -> Any:
            def call(*arguments: Any) -> Any:
                began = time.process_time()
                try:
                    return kept[name](*arguments)
                finally:
                    spent[name] += time.process_time() - began
                    calls[name] += 1

            return call

        for name in spent:
            setattr(Signals, name, timed(name))
        try:
            with tempfile.TemporaryDirectory() as folder:
                overrides = {"score": False, "snapshots": 1, "compile": "off"}
                run = gansmith.train(
                    recipe, "mnist", Path(folder) / "run", images=images, data_root=str(root), overrides=overrides
                )
                seconds = list(run.events("progress"))[-1]["cpu_seconds"]
        finally:
            for name, method in kept.items():
                setattr(Signals, name, method)
        rows.append(
            {"recipe": recipe, "images": images, "CPU-seconds": seconds, "probes": calls["probe"],
             "seconds a probe": spent["probe"] / max(calls["probe"], 1), "in probes": f"{spent['probe'] / seconds:.2%}",
             "in sums": f"{spent['note'] / seconds:.2%}", "in all": f"{sum(spent.values()) / seconds:.2%}"}
        )  # fmt: skip
    return rows


def confusion(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Meant against what was said first."""
    out = []
    for meant in (HEALTHY, *KINDS):
        mine = [row for row in rows if row["meant"] == meant]
        line: dict[str, Any] = {"meant": meant, "runs": len(mine)}
        for said in ("nothing", *KINDS):
            line[said] = sum((row["said"] or ["nothing"])[0] == said for row in mine) or None
        out.append(line)
    return out


def main() -> None:
    """Play a bed, and print the table."""
    parser = flags(__doc__)
    parser.add_argument("--cost", nargs="*", metavar="RECIPE", help="what the watch costs on MNIST (auto, gan, dcgan)")
    parser.add_argument("--images", type=int, default=100_000, help="of --cost")
    parser.add_argument("--bed", choices=("a", "b", "c", "d"), default="d")
    parser.add_argument("--only", action="append", metavar="NAME", help="runs whose name or kind has this in it")
    parser.add_argument("--unwatched", action="store_true", help="only measure what becomes of each run")
    parser.add_argument("--signals", type=Path, metavar="FILE", help="keep what the probes found")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.cost is not None:
        rows = cost(args.cost or ["auto", "gan", "dcgan"], args.data_root, 20_000 if args.quick else args.images)
        print(table(rows))
        record("watch-cost", rows, quick=args.quick)
        return
    cases = {"a": bed_a, "b": bed_b, "c": bed_c, "d": bed_d}[args.bed]()
    if args.only:
        cases = [case for case in cases if any(part in f"{case.meant}: {case.name}" for part in args.only)]
    rows = []
    for case in cases[:: 12 if args.quick else 1]:
        row = play(case, args.data_root, not args.unwatched)
        rows.append(row)
        fate = " ".join(f"{k} {v:.3g}" for k, v in row["fate"].items() if isinstance(v, float))
        said, became = row["said"], row["fate"]["is"]
        print(f"{case.meant:25} {case.name:45} {row['seconds']:5.1f} s  said {said}  is {became}  {fate}", flush=True)
        if args.signals:
            args.signals.write_text(json.dumps(rows), encoding="utf-8")
    if args.unwatched:
        return
    print(table(confusion(rows)))
    failing, healthy = ([row for row in rows if (row["meant"] == HEALTHY) is well] for well in (False, True))
    right = sum(row["said"][:1] == [row["meant"]] for row in failing)
    ever = sum(row["meant"] in row["said"] for row in failing)
    alarms = sum(bool(row["said"]) for row in healthy)
    print(f"named right at first: {right} of {len(failing)}; at all: {ever}; false alarms: {alarms} of {len(healthy)}")
    if not args.only:
        summary = {"bed": args.bed, "failing": len(failing), "named right at first": right, "named at all": ever,
                   "healthy": len(healthy), "false alarms": alarms}  # fmt: skip
        kept = [{**{k: v for k, v in row.items() if k != "history"}} for row in rows]
        record("watch", [summary, *confusion(rows), *kept], quick=args.quick)


if __name__ == "__main__":
    main()
