"""Peak memory of trainings on MNIST's 60,000 images.

    python bench/memory.py --data-root DIR [--images 50000] [--only fp32]

The peak resident set of a process that does nothing else, torch and all imports included; beside it that of a
process which only imports torch and gansmith.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import child, flags, record, run_child, table

ROWS: tuple[tuple[str | None, dict[str, str]], ...] = (
    (None, {}),
    ("gan", {}),
    ("dcgan", {}),
    ("r3gan-small", {"compile": "off"}),
    ("r3gan-small", {"compile": "on"}),
    ("r3gan-small", {"compile": "on", "precision": "fp32"}),
    ("auto", {}),
)
"""Recipes, and what is fixed of them: whether a step is compiled is decided by a trial, which a busy
machine can tip."""


def work(order: dict[str, Any]) -> float:
    """Train, and give this process's peak resident memory in GB."""
    import torch  # noqa: F401

    import gansmith

    if order["recipe"]:
        overrides = {"snapshots": 2, **order["fixed"]}
        with tempfile.TemporaryDirectory() as folder:
            gansmith.train(
                order["recipe"], data="mnist", data_root=order["root"], out=str(Path(folder) / "run"),
                images=order["images"], overrides=overrides,
            )  # fmt: skip
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    """Print the table."""
    parser = flags(__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="images of each training")
    parser.add_argument("--only", action="append", metavar="NAME", help="rows with this in their name")
    args = parser.parse_args()
    if run_child(args.child, work):
        return
    rows = []
    for recipe, fixed in ROWS:
        name = ", ".join([recipe or "(imports alone)", *(f"{key} {value}" for key, value in fixed.items())])
        if args.only and not any(part in name for part in args.only):
            continue
        images = 1000 if args.quick else args.images
        order = {"recipe": recipe, "root": str(args.data_root), "images": images, "fixed": fixed}
        rows.append({"recipe": name, "peak, GB": round(child("memory.py", order), 3)})
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    print("\n" + table(rows))
    record("memory", rows, quick=args.quick)


if __name__ == "__main__":
    main()
