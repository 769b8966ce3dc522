"""What it would cost to reproduce each recipe's row of its paper: the file that `gansmith zoo NAME` shows it from.

    python bench/zoo_cost.py [--only NAME] [--quick]

The command of a recipe's `reproduce` says how many examples of which shape. Of each kind of round that such a training
has (with the penalties that are due in it, of each phase) one is played, in float32 on one thread, with random data and
few examples, twice, from which follows what the recipe's own batch would cost. Operations are those of products and
convolutions, as torch's own formulas count them, and seconds the processor's; each kind counts as often as it comes.
So the sum is exact in operations, and a rough one in seconds.
"""

from __future__ import annotations

import json
import math
import shlex
import time
from collections import Counter as Tally
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import flags, processor, table
from gpu import Counter

from gansmith import zoo
from gansmith.build import build
from gansmith.cli.train import arguments, parser
from gansmith.data.catalogue import CATALOGUE
from gansmith.data.dataset import Dataset
from gansmith.engine import hardware
from gansmith.engine.player import Player
from gansmith.recipe import Recipe, load, read_fields
from gansmith.training import facts_of

FILE = Path(str(resources.files("gansmith.zoo"))) / "costs.json"
CLASSES = {"mnist": 10, "cifar10": 10, "imagenet": 1000, "ring": 8}
"""Of the data that commands name; other data have none."""


def wanted() -> dict[str, tuple[Recipe, Dataset]]:
    """By recipe what its command trains, and data of that form; of recipes that make something of noise alone."""
    out: dict[str, tuple[Recipe, Dataset]] = {}
    for name in zoo.shipped():
        command = shlex.split((read_fields(name)[0].get("reproduce") or {}).get("command", "").split("&&")[0])
        if command[:2] != ["gansmith", "train"]:
            continue
        args, fields = parser().read_with_fields(command[2:])
        given = arguments(args, fields)
        length = {"images": given["images"]} if "images" in given else {}
        recipe = load(given["recipe"], {**given["overrides"], **length})
        data = random_data(str(given["data"]).rstrip("/"), recipe)
        if data is None or given["start_from"] is not None or "cpu_minutes" in given:
            continue
        with torch.device("meta"):  # without memory for its networks
            if build(recipe, facts_of(data)).use is None:
                out[name] = (recipe, data)
    return out


def random_data(name: str, recipe: Recipe) -> Dataset | None:
    """Data of the form that a command's have; None where it does not say which."""
    draw, spec = np.random.default_rng(0), recipe.data
    known = CATALOGUE.get(name)
    modality = known.modality if known is not None else "image"
    if known is not None and modality == "points":
        shape: tuple[int, ...] = known.shape
        array = draw.normal(size=(512, *shape)).astype(np.float32)
    else:
        first = known.shape if known is not None else (3, 0, 0)
        side = spec.resolution if spec.resolution is not None else first[1:]
        height, width = (side, side) if isinstance(side, int) else side
        if not height:
            return None
        shape = (spec.channels or first[0], height, width)
        array = draw.integers(256, size=(32, *shape), dtype=np.uint8)
    classes = CLASSES.get(name, 0)
    if recipe.conditional is False or spec.labels is False or not classes:
        return Dataset("random", modality, shape, len(array), array=array)
    labels = draw.integers(classes, size=len(array))
    names = tuple(str(i) for i in range(classes))
    return Dataset("random", modality, shape, len(array), array=array, labels=labels, classes=names)


def player_of(recipe: Recipe, data: Dataset, batch: int) -> Player:
    """Plays a recipe in float32 with so many examples at a time."""
    small = recipe.model_copy(update={"batch": batch, "microbatch": None})
    numerics = hardware.decide("fp32", "off", torch.device("cpu"), 1)
    return Player(build(small, facts_of(data)), data, small, torch.device("cpu"), numerics)


def cost(recipe: Recipe, data: Dataset) -> dict[str, Any]:
    """Operations and processor seconds of each image of a training, over all of its phases and kinds of rounds.

    What an image costs in batches of n is b + a / n, where a is what is done to weights alone (an optimizer's step,
    orthogonal regularization): n and half as many tell both, and so what it costs in the recipe's own.
    """
    side = max(data.shape)
    few = 16 if side <= 32 else 4 if side <= 256 else 2  # for which 20 GB are enough
    if data.modality == "points" or recipe.batch <= few:
        operations, seconds = of_batches(recipe, data, recipe.batch)
    else:
        (half, slow), (whole, fast) = (of_batches(recipe, data, n) for n in (few // 2, few))
        less = 1 - few / recipe.batch
        operations, seconds = whole - max(half - whole, 0) * less, fast - max(slow - fast, 0) * less
    return {
        "images": recipe.images, "shape": list(data.shape), "operations": float(f"{operations:.4g}"),
        "seconds": float(f"{seconds:.3g}"), "on": processor(),
    }  # fmt: skip


def of_batches(recipe: Recipe, data: Dataset, batch: int) -> tuple[float, float]:
    """Operations and processor seconds of each image in batches of this size."""
    player = player_of(recipe, data, batch)
    operations = seconds = 0.0
    for span in player.spans():
        share = (span.end - span.begin) / player.total
        each = phase(player, round((span.begin + span.end) / 2))
        operations, seconds = operations + share * each[0], seconds + share * each[1]
    player.close()
    return operations, seconds


def phase(player: Player, images: int) -> tuple[float, float]:
    """Operations and processor seconds of each image at this time of the training."""
    player.images = images
    player.round()  # which enters the phase, and warms up
    every = [lazy.every for lazy in player.recipe.penalties.values()] + [move.every for move in player.moves]
    kinds: Tally[tuple[Any, ...]] = Tally()
    begins: dict[tuple[Any, ...], int] = {}
    for number in range(math.lcm(*every)):
        kind = tuple(
            tuple(player.game.variant(move.name, step) for step in steps(move, number))
            for move in player.moves
            if move.phase in (None, player.phase)
        )
        kinds[kind] += 1
        begins.setdefault(kind, number)
    operations = seconds = shown = 0.0
    for kind, often in kinds.items():
        player.images, player.rounds = images, begins[kind]
        player.steps = {move.name: next(iter(steps(move, begins[kind])), 0) for move in player.moves}
        began = time.process_time()
        with Counter() as counter:
            player.round()
        seconds += often * (time.process_time() - began)
        operations += often * counter.total
        shown += often * (player.images - images)
    return operations / shown, seconds / shown


def steps(move: Any, number: int) -> range:
    """The numbers of a move's steps in a round."""
    first = -(-number // move.every) * move.steps
    return range(first, first + (move.steps if number % move.every == 0 else 0))


def main() -> None:
    """Measure, and write the file."""
    options = flags(__doc__)
    options.add_argument("--only", action="append", metavar="NAME", help="these recipes; the file's others are kept")
    args = options.parse_args()
    torch.set_num_threads(1)
    held: dict[str, Any] = dict(zoo.costs())
    smallest_first = sorted(wanted().items(), key=lambda item: (math.prod(item[1][1].shape), item[0]))
    for name, (recipe, data) in smallest_first:
        if args.only and name not in args.only:
            continue
        held[name] = cost(recipe, data)
        print(table([{"recipe": name, **held[name]}]).splitlines()[-1], flush=True)
        if not args.quick:
            FILE.write_text(json.dumps({"recipes": dict(sorted(held.items()))}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
