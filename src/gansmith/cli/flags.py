"""Flags: argparse with this house's errors, and any recipe field by its dotted name.

A recipe's fields cannot be listed beforehand, since a network's arguments are its constructor's: so
`--generator.width 64` is taken out of the arguments before argparse sees them, and the recipe judges it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from gansmith.errors import Refused, nearest


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses as the rest of gansmith does, and does not guess at short forms."""

    def __init__(self, command: str, summary: str, examples: str) -> None:
        self.known: dict[str, argparse.Action] = {}
        super().__init__(
            prog=f"gansmith {command}",
            description=summary,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Add an argument, and remember its flags."""
        action = super().add_argument(*args, **kwargs)
        self.known.update(dict.fromkeys(action.option_strings, action))
        return action

    def error(self, message: str) -> NoReturn:
        """Refuse, in the house's form."""
        message = re.sub(r"^argument ([^:]+): ", r"\1: ", message)
        raise Refused(message, f"`{self.prog} --help` shows what can be given.")

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse arguments of a command that takes no recipe fields.

        Raises:
            Refused: an argument that the command does not know, with the nearest that it does.
        """
        for token in argv:
            if token == "--":
                break
            if token.startswith("--") and token.split("=")[0] not in self.known:
                raise _unknown(token.split("=")[0], list(self.known))
        return self.parse_args(argv)

    def read_with_fields(self, argv: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
        """Parse arguments, with any recipe field as a flag: `--optimizer.lr 1e-3`, `--batch=128`.

        Returns:
            The command's own arguments, and the recipe's fields by dotted name, values as text.

        Raises:
            Refused: a flag that is neither, with the nearest that is.
        """
        own, fields = self._split(argv)
        return self.parse_args(own), fields

    def _split(self, argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        own: list[str] = []
        fields: dict[str, Any] = {}
        rest = list(argv)
        while rest:
            token = rest.pop(0)
            flag, equals, value = token.partition("=")
            if token == "--":
                return [*own, token, *rest], fields
            if not token.startswith("--"):
                own.append(token)
            elif flag in self.known:
                own.append(token)
                if not equals and self.known[flag].nargs != 0 and rest:
                    own.append(rest.pop(0))  # its value, whatever it looks like
            else:
                name = field_name(flag, list(self.known))
                if not equals:
                    value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
                fields[name] = as_text(value) if value.startswith("#") else value
        return own, fields


def field_name(flag: str, known: Sequence[str]) -> str:
    """The recipe field that a flag names.

    Args:
        flag: such as `--optimizer.lr`.
        known: the command's own flags, among which a misspelt one is looked for too.

    Raises:
        Refused: its first part is no field of a recipe.
    """
    from gansmith.recipe import Recipe

    name = flag.removeprefix("--").replace("-", "_")
    first, dot, rest = name.partition(".")
    if first in Recipe.model_fields:
        return name
    tops = [f"--{field}" for field in Recipe.model_fields]
    raise _unknown(f"--{first}" if dot else flag, tops if dot else [*known, *tops], f".{rest}" if dot else "")


def _unknown(flag: str, known: list[str], tail: str = "") -> Refused:
    near = nearest(flag, known)
    return Refused(f"{flag}{tail}: no such flag" + (f"; did you mean {near}{tail}?" if near else ""))


def as_text(value: str) -> str:
    """Text that the recipe's YAML reader takes for this very string (`#fff` would be a comment to it)."""
    return json.dumps(value)


# --- kinds of values -------------------------------------------------------------------------------


def examples(text: str) -> int:
    """A number of examples: `60000`, `60k`, `2M`."""
    from gansmith.schedule import count

    try:
        return count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> float:
    """A number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above zero, not {text!r}")
    return value


def whole(text: str) -> int:
    """A whole number of one or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of one or more, not {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number of zero or more, below 2^63."""
    if not text.isdecimal() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, not {text!r}")
    return int(text)


def resolution(text: str) -> int | list[int]:
    """Pixels of the side, or HEIGHTxWIDTH."""
    sides = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if not sides:
        raise argparse.ArgumentTypeError(f"expected pixels such as 64, or HEIGHTxWIDTH such as 64x96, not {text!r}")
    return int(sides[1]) if sides[2] is None else [int(sides[1]), int(sides[2])]


def new_file(text: str, ending: str, holds: str, force: bool) -> Path:
    """Where a command's `--out` goes.

    Args:
        text: what was given.
        ending: that the file must have.
        holds: what is written into it, with its verb (`a page is`).
        force: it may be written over.

    Raises:
        Refused: another ending, or a file that is there.
    """
    path = Path(text)
    if path.suffix != ending:
        raise Refused(f"--out {path}: {holds} written as {ending}")
    if path.exists() and not force:
        raise Refused(f"{path}: exists already", "Give another --out, or --force to write over it.")
    return path


# --- flags that several commands have --------------------------------------------------------------

DATA = ("split", "resolution", "channels", "fit", "background", "skip_bad", "limit")


def add_data_flags(parser: Parser) -> None:
    """Add the flags that say how data is read: short forms of the recipe's `data.*` fields."""
    parser.add_argument("--data-root", metavar="R", help="folder in which a catalogue name is looked for")
    parser.add_argument("--split", choices=("train", "test", "all"), help="which split (train)")
    parser.add_argument("--resolution", type=resolution, metavar="PX", help="side in pixels, or HEIGHTxWIDTH")
    parser.add_argument("--channels", type=int, choices=(1, 2, 3, 4), help="1 grey, 2 grey+alpha, 3 RGB, 4 RGBA")
    parser.add_argument("--fit", choices=("crop", "pad", "stretch"), help="how another shape is fitted (crop)")
    parser.add_argument("--background", metavar="COLOUR", help="under transparency and in padding (white)")
    parser.add_argument("--skip-bad", action="store_true", default=None, help="count and pass over unreadable files")
    parser.add_argument("--limit", type=examples, metavar="N", help="use N examples of a seeded shuffle")


def data_options(args: argparse.Namespace) -> dict[str, Any]:
    """What the data flags set, by the option's name."""
    return {name: getattr(args, name) for name in DATA if getattr(args, name) is not None}


def data_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The recipe's `data.*` fields that the data flags set, by dotted name."""
    return {f"data.{k}": as_text(v) if isinstance(v, str) else v for k, v in data_options(args).items()}


LENGTHS = ("images", "epochs", "minutes", "cpu_minutes")


def add_length_flags(parser: Parser) -> None:
    """Add the flags that say how long a training is."""
    parser.add_argument("--images", type=examples, metavar="N", help="length in images: 60000, 60k, 2M")
    parser.add_argument("--epochs", type=positive, metavar="N", help="length in passes over the data")
    parser.add_argument("--minutes", type=positive, metavar="N", help="length in minutes, measured at the start")
    parser.add_argument("--cpu-minutes", type=positive, metavar="N", help="length in processor minutes, likewise")


def length(args: argparse.Namespace) -> dict[str, Any]:
    """The length that was given, by its name; empty where none was.

    Raises:
        Refused: more than one.
    """
    given = {name: getattr(args, name) for name in LENGTHS if getattr(args, name) is not None}
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise Refused(f"{names}: give one length, not {len(given)}")
    return given


def add_device_flag(parser: Parser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps (auto)")
