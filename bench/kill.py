"""Fifty kills at random instants, each followed by `gansmith resume`: the weights must be those of no kill.

    python bench/kill.py [--kills 50] [--recipe r3gan] [--data digits]

A training is started from the command line with frequent checkpoints, killed by SIGKILL at an instant drawn
uniformly from half of a whole training's time (starting, saving and resuming included), and resumed, until enough
kills are made; then it is let finish. A training that ends before is compared, and another begun. Every tensor of the
last checkpoint (weights, averages, optimisers, states) must equal an uninterrupted training's, bit for bit.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import HERE, flags, record, table


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start the command line in a process group of its own."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with open(log, "ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "gansmith", *arguments], stdout=out, stderr=out, env=env, cwd=HERE.parent,
            start_new_session=True,
        )  # fmt: skip


def finish(arguments: list[str], log: Path) -> float:
    """Run the command line to its end, and give the seconds that it took.

    Raises:
        SystemExit: it failed.
    """
    begun = time.monotonic()
    if start(arguments, log).wait() != 0:
        raise SystemExit(f"gansmith {' '.join(arguments)} failed:\n{log.read_text(errors='replace')[-3000:]}")
    return time.monotonic() - begun


def last(folder: Path) -> dict[str, Any]:
    """Read all tensors of a run's newest checkpoint, by name, and its clock."""
    from safetensors.torch import load_file

    from gansmith.run import Run

    newest = Run(folder).checkpoints()[-1]
    return {"clock": newest.stem, "tensors": load_file(newest)}


def unlike(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """List what differs between two checkpoints."""
    if one["clock"] != other["clock"]:
        return [f"clock {one['clock']} and {other['clock']}"]
    a, b = one["tensors"], other["tensors"]
    same = {name for name in a.keys() & b.keys() if a[name].numpy().tobytes() == b[name].numpy().tobytes()}
    return sorted((a.keys() | b.keys()) - same)


def begun_alike(one: Path, other: Path) -> bool:
    """Tell whether two runs compute alike: each measures its own routes when it begins, and keeps them."""
    from gansmith.run import Run

    return Run(one).info()["numerics"] == Run(other).info()["numerics"]


def main() -> None:
    """Kill, resume, compare, and print the table."""
    parser = flags(__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--every", type=int, default=1000, help="images between checkpoints")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("extra", nargs="*", help="further arguments of `gansmith train`, after --")
    args = parser.parse_args()
    if args.quick:
        args.kills, args.images, args.every = 3, 15_000, 500
    draw = random.Random(args.seed)
    folder = Path(tempfile.mkdtemp(prefix="gansmith-kill-"))
    log = folder / "log"
    common = ["train", args.recipe, "--data", args.data, "--data-root", str(args.data_root)]
    common += ["--images", str(args.images), "--checkpoint-every", str(args.every), "--seed", "7", "--score", "false"]
    common += args.extra
    life = finish([*common, "--out", str(folder / "whole")], log)
    whole = last(folder / "whole")
    kills = early = trainings = 0
    differing: list[str] = []
    while True:
        out = folder / f"killed-{trainings}"
        arguments = [*common, "--out", str(out)]
        while True:
            process = start(arguments, log)
            if kills < args.kills:
                # Over half a life, so that most trainings are killed more than once.
                until = time.monotonic() + draw.uniform(0.3, life / 2)
                while process.poll() is None and time.monotonic() < until:
                    time.sleep(0.002)
            if process.poll() is None and kills < args.kills:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if (out / "run.json").exists() and begun_alike(out, folder / "whole"):
                    arguments, kills = ["resume", str(out)], kills + 1
                else:  # it had not begun to train, so there is nothing to go on with
                    shutil.rmtree(out, ignore_errors=True)
                    early += 1
                continue
            if process.wait() != 0:
                raise SystemExit(f"gansmith {' '.join(arguments)} failed:\n{log.read_text(errors='replace')[-3000:]}")
            break
        trainings += 1
        if begun_alike(out, folder / "whole"):
            differing += unlike(whole, last(out))
        if kills >= args.kills:
            break
    row = {
        "recipe": args.recipe,
        "data": args.data,
        "kills, each resumed": kills,
        "and before the training": early,
        "trainings finished": trainings,
        "tensors compared in each": len(whole["tensors"]),
        "tensors that differ": len(differing),
    }
    print(table([row]))
    record("kill", [row], quick=args.quick)
    shutil.rmtree(folder, ignore_errors=True)
    if differing:
        raise SystemExit("differ: " + ", ".join(differing[:20]))


if __name__ == "__main__":
    main()
