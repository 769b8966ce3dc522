"""`gansmith resume`: go on with a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gansmith.cli.flags import Parser, add_device_flag

EXAMPLES = """\
  gansmith resume runs/first

On the same machine and torch version the result is the one that an uninterrupted training gives, bit for
bit; elsewhere it goes on too, and says that it is no longer bit-exact."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("resume", "Go on with a training exactly where it stopped.", EXAMPLES)
    flags.add_argument("run", metavar="DIR", help="the run's folder")
    add_device_flag(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    from gansmith.run import Run

    Run(Path(args.run)).info()  # refuses what is no run before torch is imported

    import gansmith
    from gansmith.cli.display import follow

    if (Path(args.run) / "table.json").exists():
        from gansmith.applications import table

        return follow(lambda display: table.resume(args.run, device=args.device, listeners=(display,)))
    return follow(lambda display: gansmith.resume(args.run, device=args.device, listeners=(display,)))
