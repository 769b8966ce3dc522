"""`gansmith sample`: what a trained GAN makes, as a grid, single pictures, an array or a film."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.cli.flags import Parser, add_device_flag, positive, seed, whole
from gansmith.errors import DONE, Refused, nearest

if TYPE_CHECKING:
    from PIL.Image import Image

EXAMPLES = """\
  gansmith sample runs/first -n 64 --seed 0 --out grid.png
  gansmith sample runs/first -n 16 --label 3 --truncation .7 --out threes.png
  gansmith sample runs/first -n 10000 --out samples.npz      images: uint8 [N, C, H, W]; labels, if it has any
  gansmith sample runs/first -n 100 --out singles/           one file each
  gansmith sample runs/first --out film.gif                  a film from sample to sample (.mp4 with ffmpeg)
  gansmith sample runs/codes --walk 10 --out walk.png        a row a sample, along one number of its latent"""

FILMS, PICTURES = (".gif", ".mp4"), (".png", ".jpg", ".jpeg", ".webp")
PAUSE = 2.0
"""Seconds of a film from one sample to the next."""

STEPS = 10
"""Of a walk, where no columns are given."""


def truncation(text: str) -> float:
    """A factor in (0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, and at most 1, not {text!r}")
    return value


def vector(text: str) -> tuple[float, ...]:
    """Numbers with commas between."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, not {text!r}")
    return found


def dimension(text: str) -> int:
    """A whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, not {text!r}")
    return int(text)


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("sample", "Make pictures, arrays or a film with a trained GAN.", EXAMPLES)
    flags.add_argument("run", metavar="DIR", help="the run's folder")
    flags.add_argument("-n", "--number", type=whole, metavar="N", help="how many (64; in a film 16)")
    flags.add_argument("--seed", type=seed, default=0, metavar="S", help="equal seeds give equal samples (0)")
    flags.add_argument("--label", metavar="L", help="one class only, by its name or number")
    flags.add_argument("--condition", type=vector, metavar="V", help="one vector only, as 0.1,0.2 (--condition=-1,0)")
    flags.add_argument("--walk", type=dimension, metavar="D", help="vary number D of each latent, counted from 0")
    flags.add_argument("--truncation", type=truncation, default=1.0, metavar="T", help="in (0, 1]; less is safer (1)")
    flags.add_argument("--out", default="samples.png", metavar="PATH", help="picture, .npz, .gif, .mp4 or folder/")
    flags.add_argument("--columns", type=whole, metavar="N", help="of a grid (one a class; else about square)")
    flags.add_argument("--seconds", type=positive, default=8.0, metavar="N", help="length of a film (8)")
    flags.add_argument("--fps", type=positive, default=20.0, metavar="N", help="frames a second of a film (20)")
    flags.add_argument("--checkpoint", default="latest", metavar="C", help="latest, or images on the clock (latest)")
    flags.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    add_device_flag(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    out, kind = destination(args.out, args.force)
    from gansmith.run import Run

    Run(Path(args.run)).info()  # refuses what is no run before torch is imported

    import gansmith

    model = gansmith.load(args.run, checkpoint=args.checkpoint, device=args.device)
    n = args.number or (16 if kind == "film" else 64 if args.walk is None else 8)
    if args.label is not None and args.condition is not None:
        raise Refused("--label and --condition: a model takes the one or the other")
    asked = args.label if args.condition is None else args.condition
    try:
        labels = model.labels_for(n, asked)
    except ValueError as error:
        raise Refused(f"--{'label' if args.condition is None else 'condition'}: {error}") from None
    if args.walk is not None:
        made = _walk(model, out, kind, n, labels, args)
    elif kind == "film":
        made = _film(model, out, n, labels, args)
    else:
        examples = model.sample(n, seed=args.seed, label=asked, truncation=args.truncation)
        made = _write(model, out, kind, examples, labels, args)
    print(f"{out}: {made} of {args.run} after {model.images:,} images, seed {args.seed}")
    return DONE


def destination(text: str, force: bool) -> tuple[Path, str]:
    """Where samples go, and what that is: `picture`, `npz`, `film` or `folder`.

    A named file is replaced, as with any program's `--out`; but single files are not mixed into a folder
    that holds other things, unless by `--force`.

    Raises:
        Refused: an ending that says nothing, a folder that is not empty, or a film that cannot be made here.
    """
    path = Path(text)
    ending = path.suffix.lower()
    if text.endswith("/") or path.is_dir() or not ending:
        if path.is_file():
            raise Refused(f"{path}: is a file; single pictures need a folder")
        if path.is_dir() and any(path.iterdir()) and not force:
            raise Refused(f"{path}: the folder is not empty", "Give another --out, or --force to write into it.")
        return path, "folder"
    kinds = {".npz": "npz", **dict.fromkeys(FILMS, "film"), **dict.fromkeys(PICTURES, "picture")}
    if ending not in kinds:
        near = nearest(ending, list(kinds))
        hint = f"; did you mean {near}?" if near else ""
        raise Refused(
            f"{path}: cannot write {ending}{hint}", f"Possible: {', '.join(kinds)}, or a folder by a final /."
        )
    if kinds[ending] == "film":
        from gansmith.media import check_film

        check_film(path)
    return path, kinds[ending]


def _write(model: Any, out: Path, kind: str, examples: Any, labels: Any, args: argparse.Namespace) -> str:
    from gansmith import media

    n = f"{len(examples):,} samples"
    classed = labels if model.classes else None  # a vector is neither a colour nor a part of a name
    if kind == "npz":
        media.save_npz(out, examples, labels)
    elif model.modality == "points":
        if kind == "folder":
            raise Refused(f"{out}: points are no pictures", "Give an .npz for the numbers, or a .png for a plot.")
        media.save_image(out, media.scatter(examples, labels=classed))
    elif kind == "folder":
        media.save_singles(out, examples, classed, classes=model.classes, seed=args.seed)
    else:
        each_class = len(model.classes) if model.classes and args.label is None and len(model.classes) <= 32 else None
        media.save_image(out, media.grid(examples, args.columns or each_class))
    return n


def _walk(model: Any, out: Path, kind: str, n: int, labels: Any, args: argparse.Namespace) -> str:
    from gansmith import media

    if kind != "picture" or model.modality != "image":
        raise Refused(f"{out}: a walk is a picture of images", "Give a .png, or leave --walk out.")
    steps = args.columns or STEPS
    try:
        z = model.walk(args.walk, n, steps, seed=args.seed)
    except ValueError as error:
        raise Refused(f"--walk: {error}") from None
    told = None if labels is None else labels.repeat(steps, axis=0)
    media.save_image(out, media.grid(model.decode(z, told, truncation=args.truncation), steps))
    return f"{n:,} samples, each in {steps} steps of latent {args.walk},"


def _film(model: Any, out: Path, n: int, labels: Any, args: argparse.Namespace) -> str:
    from gansmith import media

    if model.modality != "image":
        raise Refused(f"{out}: a film needs images, and this model makes {model.modality}")
    frames = round(args.seconds * args.fps)
    stops = max(2, round(args.seconds / PAUSE))
    count = media.film(film_frames(model, n, labels, args, stops, max(1, frames // stops)), out, args.fps)
    return f"a film of {n:,} samples, {count:,} frames,"


def film_frames(model: Any, n: int, labels: Any, args: argparse.Namespace, stops: int, steps: int) -> Iterator[Image]:
    """The frames of a looping film: a grid in which each sample goes from latent to latent.

    Args:
        model: the generator.
        n: samples in a frame.
        labels: int64 [n], or None; each cell keeps its class.
        args: seed, truncation, columns and label as the command has them.
        stops: latents that each cell passes.
        steps: frames from one to the next.
    """
    from gansmith import media

    latents = model.latents(n * stops, args.seed)
    each_class = len(model.classes) if model.classes and args.label is None and n > len(model.classes) else None
    for z in media.tour(latents.reshape(stops, n, -1), steps):
        yield media.grid(model.decode(z, labels, truncation=args.truncation), args.columns or each_class)
