"""`gansmith train`: train a GAN."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansmith.cli.flags import Parser, add_data_flags, add_device_flag, add_length_flags, data_fields, length
from gansmith.errors import DONE, Refused

EXAMPLES = """\
  gansmith train --data digits --out runs/first --minutes 1
  gansmith train --data path/to/pictures --resolution 64 --out runs/mine --dry-run
  gansmith train dcgan --data mnist --data-root ~/data --images 2M --out runs/dcgan
  gansmith train r3gan --data cifar10 --penalties.r1.weight 0.5 --batch=128 --seed 1 --out runs/r3gan
  gansmith train --from runs/first --data path/to/digits --epochs 5 --out runs/tuned
  gansmith train pix2pix --data path/to/pictures --derive edges --resolution 64 --data.reserve 200 --out runs/drawn
  gansmith train cyclegan --data A:photos B:paintings --resolution 128 --out runs/painted
  torchrun --standalone --nproc-per-node 2 -m gansmith train dcgan --data mnist --out runs/two

Any field of a recipe is a flag by its dotted name; `gansmith zoo NAME` shows the fields of a recipe."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("train", "Train a GAN, and write a run folder with all that it leaves behind.", EXAMPLES)
    flags.add_argument("recipe", nargs="?", default="auto", help="a name that `gansmith zoo` lists, or a .yaml (auto)")
    flags.add_argument("--data", metavar="NAME_OR_PATH", help="catalogue name, folder, .zip, .npz, parquet or hub id")
    flags.add_argument("--out", metavar="DIR", help="the run's folder (runs/RECIPE-DATA)")
    add_length_flags(flags)
    flags.add_argument("--from", dest="start_from", metavar="RUN", help="start from a trained run (fine-tuning)")
    flags.add_argument(
        "--derive", choices=("edges", "grey", "blur", "mask"), help="pairs: make A of each picture, as B"
    )
    flags.add_argument("--dry-run", action="store_true", help="print the resolved plan, and train nothing")
    add_device_flag(flags)
    add_data_flags(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args, fields = parser().read_with_fields(two_sides(argv))
    wanted = arguments(args, fields)

    import gansmith

    if args.dry_run:
        for line in gansmith.plan(**wanted).lines():
            print(line)
        return DONE

    from gansmith.cli.display import follow

    return follow(lambda display: gansmith.train(**wanted, listeners=(display,)))


def two_sides(argv: Sequence[str]) -> list[str]:
    """The arguments with `--data A:DIR B:DIR` as one."""
    out = list(argv)
    for i in range(len(out) - 1):
        first = out[i].removeprefix("--data=")
        if first.startswith("A:") and out[i + 1].startswith("B:") and (first != out[i] or out[i - 1 : i] == ["--data"]):
            return [*out[:i], f"{out[i]} {out[i + 1]}", *out[i + 2 :]]
    return out


def arguments(args: argparse.Namespace, fields: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `gansmith.train` that the command line asks for.

    Raises:
        Refused: more than one length.
    """
    return {
        "recipe": args.recipe,
        "data": args.data,
        "out": args.out or default_out(args.recipe, args.data),
        **length(args),
        "start_from": args.start_from,
        "device": args.device,
        "data_root": args.data_root,
        "overrides": {**data_fields(args), **({} if args.derive is None else {"data.derive": args.derive}), **fields},
    }


def default_out(recipe: str, data: str | None) -> str:
    """A folder that does not exist yet, named after the recipe and the data.

    Raises:
        Refused: under torchrun, where each process might choose another.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise Refused("--out is missing", "Under torchrun the run's folder must be given.")
    parts = [Path(recipe).stem, Path(data.rstrip("/")).stem if data else ""]
    name = "-".join(re.sub(r"[^\w.-]+", "_", part) for part in parts if part)
    out, n = Path("runs") / name, 1
    while out.exists():
        n += 1
        out = Path("runs") / f"{name}-{n}"
    return str(out)
