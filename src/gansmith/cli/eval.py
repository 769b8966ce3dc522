"""`gansmith eval`: score a run, or any pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansmith.cli.flags import Parser, add_data_flags, add_device_flag, data_options, examples, new_file, seed
from gansmith.cli.terminal import table
from gansmith.errors import DONE
from gansmith.page import figure, rough
from gansmith.score_table import better_words

if TYPE_CHECKING:
    from gansmith.scores import Evaluation

EXAMPLES = """\
  gansmith eval runs/first                                   what the data and this machine allow
  gansmith eval runs/first --metrics fd,prdc,c2st -n 5000
  gansmith eval runs/cifar --metrics fid,kid --inception weights.pth --reference train
  gansmith eval path/to/pictures --data cifar10 --metrics fd,kd
  gansmith eval samples.npz --data mnist --data-root ~/data --out scores.json"""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("eval", "Score a run, or any pictures, against data; each score with its spread and card.", EXAMPLES)
    flags.add_argument(
        "what", nargs="?", metavar="RUN_OR_IMAGES", help="a run's folder; or pictures: folder, zip, .npz, name"
    )
    flags.add_argument("--data", metavar="NAME_OR_PATH", help="score against these (the run's own data)")
    flags.add_argument("--metrics", metavar="M,M", help="fid, kid, fd, kd, prdc, … (by data and machine); `list` lists")
    flags.add_argument("-n", "--number", type=examples, metavar="N", help="samples (10000, or as many as there are)")
    flags.add_argument("--seed", type=seed, default=0, metavar="S", help="of the samples and the metrics' draws (0)")
    flags.add_argument("--reference", choices=("test", "train"), default="test", help="split to score against (test)")
    flags.add_argument("--checkpoint", default="latest", metavar="C", help="latest, best, or images (latest)")
    flags.add_argument("--inception", metavar="FILE", help="Inception's published weights, for fid, kid and is")
    flags.add_argument("--dinov2", metavar="DIR", help="folder of DINOv2's weights, for fd-dinov2 and its like")
    flags.add_argument("--lpips", metavar="PATH", help="folder or file of LPIPS's weights, for lpips and ppl-lpips")
    flags.add_argument("--download", action="store_true", help="published weights may be downloaded")
    flags.add_argument("--out", metavar="FILE", help="write the scores to this .json too")
    flags.add_argument("--force", action="store_true", help="write over --out")
    add_device_flag(flags)
    add_data_flags(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    flags = parser()
    args = flags.read(argv)
    if args.metrics == "list":
        return _list()
    if args.what is None:
        flags.error("RUN_OR_IMAGES is missing")
    out = None if args.out is None else new_file(args.out, ".json", "scores are", args.force)
    options = data_options(args) | ({"root": args.data_root} if args.data_root is not None else {})
    weights = {"inception": args.inception, "dinov2": args.dinov2, "lpips": args.lpips}

    from gansmith.evaluation import evaluate
    from gansmith.run import write_json

    found = evaluate(
        args.what, args.data, metrics=args.metrics.split(",") if args.metrics else None, n=args.number, seed=args.seed,
        reference=args.reference, checkpoint=args.checkpoint, device=args.device,
        options=options,
        weights={key: value for key, value in weights.items() if value is not None}, download=args.download,
        say=print, progress=_progress if sys.stderr.isatty() else None,
    )  # fmt: skip
    print("\n" + "\n".join(lines(found)))
    if out is not None:
        write_json(out, found.record())
        print(f"\n{out}: the scores and their cards")
    if found.images is not None:
        print(f"\n{Path(args.what) / 'scores.json'} holds the cards, report.html the table.")
    return DONE


def lines(found: Evaluation) -> list[str]:
    """The scores as a table."""
    at = f" after {found.images:,} images" if found.images is not None else ""
    rows = [
        (
            score.name, figure(score.value), "" if score.spread is None else f"± {rough(score.spread)}",
            "" if score.floor is None else figure(score.floor), better_words(score.better),
        )
        for score in found.scores
    ]  # fmt: skip
    n = found.scores[0].card["samples"]
    text = table(("score", "value", "spread", "real data", "better"), rows)
    return [f"{found.what}{at}: {n:,} samples", *text.splitlines()]


def _list() -> int:
    from gansmith.metrics.measure import PUBLISHED, measures

    rows = [(name, f"{measure.what}{' (slow)' if measure.slow else ''}") for name, measure in measures().items()]
    rows += [(name, f"{of} in Inception's features, as published") for name, (of, _) in PUBLISHED.items()]
    print(table(("metric", "what it tells"), rows))
    named = "-domain, -pixels, -inception, -dinov2 (`prdc-pixels`), and for ppl alone -lpips"
    print(f"\nNAME-EXTRACTOR asks for an extractor: {named}.")
    return DONE


def _progress(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} samples", end="\n" if done >= total else "", file=sys.stderr, flush=True)
