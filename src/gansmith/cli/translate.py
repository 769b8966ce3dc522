"""`gansmith translate`: pictures into pictures, with a run that was trained to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gansmith.cli.flags import Parser, add_device_flag, new_file
from gansmith.errors import DONE, PARTLY, Refused

EXAMPLES = """\
  gansmith translate drawing.png --run runs/drawn --out emoji.png
  gansmith translate photos/ --run runs/painted --out painted/      a folder, under the same names
  gansmith translate paintings/ --run runs/painted --reverse        the other way, where both were learnt
  gansmith translate --run runs/drawn --test page.html              inputs, outputs and truths of examples held out"""

NAMED = 10
"""Pictures passed over that are named, at most."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("translate", "Translate pictures with a trained pix2pix, CycleGAN or CUT.", EXAMPLES)
    flags.add_argument("what", nargs="?", metavar="PICTURE_OR_FOLDER", help="what to translate")
    flags.add_argument("--run", required=True, metavar="DIR", help="the run's folder")
    flags.add_argument("--out", default="translated", metavar="PATH", help="folder, or one picture's name (translated)")
    flags.add_argument("--reverse", action="store_true", help="from the second side to the first")
    flags.add_argument("--fit", action="store_true", help="shrink each picture to the size of the training first")
    flags.add_argument("--convert", action="store_true", help="make colour pictures grey for a model of grey ones")
    flags.add_argument("--test", metavar="PAGE.html", help="write a page of inputs, outputs and truths")
    flags.add_argument("--checkpoint", default="latest", metavar="C", help="latest, best, or images (latest)")
    flags.add_argument("--force", action="store_true", help="write over a page, or into a folder that is not empty")
    add_device_flag(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    if (args.what is None) == (args.test is None):
        raise Refused("give a picture or a folder; or --test PAGE.html, and neither")
    page = None if args.test is None else new_file(args.test, ".html", "a page is", args.force)
    out = Path(args.out)
    if page is None and out.is_dir() and any(out.iterdir()) and not args.force:
        raise Refused(f"{out}: the folder is not empty", "Give another --out, or --force to write into it.")
    from gansmith.run import Run

    Run(Path(args.run)).info()  # refuses what is no run before torch is imported

    from gansmith.applications.translation import Translator, translate, write_page

    translator = Translator(args.run, reverse=args.reverse, checkpoint=args.checkpoint, device=args.device)
    model = translator.model
    if page is not None:
        print(f"{write_page(model, page)}: {model.recipe.name} after {model.images:,} images")
        return DONE
    done = translate(args.what, out, translator, convert=args.convert, fit=args.fit, progress=_progress())
    if done.tiled:
        print(f"{done.tiled:,} in overlapping tiles, since they are large: each tile is normalised by itself")
    where = done.written[0] if len(done.written) == 1 else out
    print(f"{where}: {len(done.written):,} translated by {args.run} after {model.images:,} images")
    for problem in done.problems[:NAMED]:
        print(f"passed over: {problem.path} {problem.reason}", file=sys.stderr)
    if done.problems:
        print(f"{len(done.problems):,} of {len(done.written) + len(done.problems):,} passed over", file=sys.stderr)
        return PARTLY
    return DONE


def _progress() -> Callable[[int, int], None] | None:
    """Tells how far it is, where a person looks on."""
    if not sys.stderr.isatty():
        return None

    def tell(done: int, total: int) -> None:
        if total > 1:
            print(f"\r{done:,} of {total:,}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    return tell
