"""`gansmith`: find the command, run it, and say plainly what went wrong.

Why argparse and not tyro: tyro builds its flags from a type, and here the type is open. A recipe's
networks, penalties and augmentations take whatever their constructors take, a user's own included, so
`--generator.width` cannot be in any static type; the recipe itself validates it, and names the nearest
field. What is left for the parser is a handful of flags a command, which argparse holds without a
dependency: it imports in 6 ms where tyro takes 56 (of the half second that `--help` has), and its help
reads the same on every terminal. Each command is imported only when it is called.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence

from gansmith.errors import REFUSED, GansmithError, Refused, nearest

COMMANDS = {
    "train": "train a GAN on your data",
    "resume": "go on with a training exactly where it stopped",
    "sample": "make pictures, arrays or a film with a trained GAN",
    "translate": "translate pictures with a trained pix2pix, CycleGAN or CUT",
    "upscale": "make pictures larger with a trained network",
    "eval": "score a run, or any pictures, each score with its card",
    "compare": "put runs side by side: scores, curves, samples",
    "bench": "train and score a suite of recipes alike, over several seeds",
    "playground": "see a GAN learn, watch runs and explore models, in the browser",
    "anomaly": "learn what is normal, and say what is not: tables and pictures",
    "augment": "make labelled examples from few, and measure whether they help",
    "runs": "list runs: recipe, data, progress, best score",
    "zoo": "list the recipes that come with gansmith, or show one",
    "data": "look at a dataset: what it holds, and what is wrong with it",
    "table": "learn a table from a CSV, make rows like its own, and measure them",
    "doctor": "say what this machine has, and what is missing",
}

HELP = """\
Train a GAN on real data, watch it, stop and resume it, and use the result.

usage: gansmith COMMAND ...

commands:
{commands}

`gansmith COMMAND --help` tells more; `gansmith --version` says which this is.

examples:
  gansmith train --data digits --out runs/first --minutes 1   train on 8x8 digits that come along
  gansmith sample runs/first -n 64 --out grid.png             a picture of what it has learnt
  gansmith data path/to/pictures                              is my folder fit to train on?
  gansmith train --data path/to/pictures --resolution 64 --out runs/mine
  gansmith train dcgan --data mnist --optimizer.lr 1e-4 --batch 128 --out runs/dcgan --dry-run
"""

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended before it had done anything."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments, without the program's name; None takes the process's.

    Returns:
        The exit code: 0 done, 1 done in part, 2 refused, 3 a gate said no.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    rank = os.environ.get("RANK", "0")
    with _silence() if rank != "0" else contextlib.nullcontext():
        try:
            return _dispatch(arguments)
        except GansmithError as error:
            # Every rank refuses the same input, and one says so; unless it went wrong on one of them alone.
            if not (rank != "0" if error.silent is None else error.silent):
                print(f"gansmith: error: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print("\ngansmith: interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            # The reader (`| head`) has seen enough. Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            if error.filename is None:
                raise  # not about a file that the user named: a defect, which a traceback helps to mend
            print(f"gansmith: error: {error.filename}: {error.strerror}", file=sys.stderr)
            return REFUSED


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[1] in COMMANDS:
            return _dispatch([arguments[1], "--help"])
        width = max(map(len, COMMANDS))
        print(HELP.format(commands="\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())), end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"gansmith {version()}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        near = nearest(name, list(COMMANDS))
        hint = f"; did you mean `gansmith {near}`?" if near else ""
        raise Refused(f"no command {name!r}{hint}", "`gansmith --help` lists the commands.")
    try:
        return importlib.import_module(f"gansmith.cli.{name}").run(rest)
    except SystemExit as exit_:  # argparse leaves this way after --help
        return int(exit_.code or 0)


def version() -> str:
    """The installed version, or "unknown" where the package runs from its source folder."""
    from importlib import metadata

    try:
        return metadata.version("gansmith")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
