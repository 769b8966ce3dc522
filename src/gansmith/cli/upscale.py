"""`gansmith upscale`: pictures made larger by a trained network."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansmith.cli.flags import Parser, add_device_flag, new_file, whole
from gansmith.errors import DONE, PARTLY, Refused

EXAMPLES = """\
  gansmith upscale photo.jpg --run runs/esrgan                      writes photo-x4.jpg
  gansmith upscale photos/ --run runs/esrgan --out large/ --compare before-after.html
  gansmith upscale photo.png --run runs/esrgan --sharpness 0.7      between the run and the one that it began from
  gansmith upscale photo.png --weights RealESRGAN_x4plus.pth        published (pip install 'gansmith[esrgan]')"""


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, not {text!r}")
    return value


def pixels(text: str) -> int:
    """A whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of pixels, not {text!r}")
    return int(text)


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("upscale", "Make pictures larger with a trained network.", EXAMPLES)
    flags.add_argument("source", metavar="PICTURE_OR_FOLDER", help="what to make larger")
    flags.add_argument("--run", metavar="DIR", help="a run of srresnet, esrgan-psnr, esrgan, …")
    flags.add_argument("--weights", metavar="FILE", help="published weights in a run's place (.pth, .safetensors)")
    flags.add_argument("--scale", type=whole, metavar="N", help="refuse a network of another scale than this")
    flags.add_argument("--out", metavar="PATH", help="file or folder to write (beside the source, with -x4)")
    flags.add_argument("--sharpness", type=share, metavar="S", help="0 to 1: between a run and its first stage")
    flags.add_argument("--psnr-run", metavar="DIR", help="the first stage's run (the one that --run began from)")
    flags.add_argument("--ensemble", action="store_true", help="the mean over eight turns: better, and 8x slower")
    flags.add_argument("--compare", metavar="PAGE", help="write a page that shows before and after (.html)")
    flags.add_argument("--tile", type=whole, metavar="N", help="pixels of a tile's side: less takes less memory")
    flags.add_argument("--overlap", type=pixels, metavar="N", help="pixels that a tile reads beyond itself")
    flags.add_argument("--checkpoint", default="latest", metavar="C", help="latest, or images on the clock (latest)")
    flags.add_argument("--force", action="store_true", help="write over a page that exists")
    add_device_flag(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    if (args.run is None) == (args.weights is None):
        raise Refused("upscale takes either a run or a file of weights", "--run DIR, or --weights FILE.")
    if args.weights is not None and (args.sharpness is not None or args.psnr_run is not None):
        raise Refused("--sharpness: it lies between two runs, and published weights are none")
    if not Path(args.source).exists():
        raise Refused(f"{args.source}: no such picture or folder")
    page = None if args.compare is None else new_file(args.compare, ".html", "a page is", args.force)
    if args.run is not None:
        from gansmith.run import Run

        Run(Path(args.run)).info()  # refuses what is no run before torch is imported
    upscaler = _upscaler(args)
    if args.scale is not None and args.scale != upscaler.scale:
        raise Refused(f"--scale {args.scale}: {upscaler.name} makes pictures {upscaler.scale} times larger")
    from gansmith.applications.upscaling import upscale

    begun, several = time.monotonic(), Path(args.source).is_dir()
    done = upscale(args.source, upscaler, args.out, progress=_progress if several else None)
    for problem in done.problems:
        print(f"  passed over: {problem.path}: {problem.reason}", file=sys.stderr)
    if page is not None and done.made:
        from gansmith.applications.slider import write_page

        write_page(page, done.made, upscaler.scale, f"{Path(args.source).name}, {upscaler.scale} times larger")
    print(_said(done, upscaler, time.monotonic() - begun, page))
    return PARTLY if done.problems else DONE


def _upscaler(args: argparse.Namespace) -> Any:
    from gansmith.applications import upscaling

    how: dict[str, Any] = {
        "device": args.device, "tile": args.tile, "overlap": args.overlap, "ensemble": args.ensemble,
    }  # fmt: skip
    if args.weights is not None:
        return upscaling.of_weights(args.weights, **how)
    first = {"sharpness": args.sharpness, "psnr_run": args.psnr_run, "checkpoint": args.checkpoint}
    if args.psnr_run is not None and args.sharpness is None:
        raise Refused("--psnr-run: is used by --sharpness alone", "Such as --sharpness 0.5.")
    return upscaling.of_run(args.run, **first, **how)


def _progress(number: int, total: int, name: str) -> None:
    print(f"  {number:,} of {total:,}  {name}", file=sys.stderr, flush=True)


def _said(done: Any, upscaler: Any, seconds: float, page: Path | None) -> str:
    if len(done.made) == 1:
        where = str(done.made[0][1])
    elif done.made:
        where = f"{len(done.made):,} pictures into {done.made[0][1].parent}"
    else:
        where = "nothing written"
    each = f", {seconds / done.megapixels:.2f} s a megapixel" if done.megapixels else ""
    skipped = f"; {len(done.problems):,} passed over" if done.problems else ""
    made = (
        f"{where}: {upscaler.scale} times larger, by {upscaler.name}, {done.megapixels:.2f} megapixels{each}{skipped}"
    )
    return made + (f"\n{page}: before and after" if page is not None and done.made else "")
