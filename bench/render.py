"""Render bench/results/*.json as Markdown tables, the newest measurement of each first.

python bench/render.py [NAME ...] [--all]
"""

from __future__ import annotations

import argparse
import json

from common import RESULTS, table


def main() -> None:
    """Print the tables."""
    flags = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    flags.add_argument("names", nargs="*", help="such as speed or quality; all by default")
    flags.add_argument("--all", action="store_true", help="older measurements too")
    args = flags.parse_args()
    files = [RESULTS / f"{name}.json" for name in args.names] or sorted(RESULTS.glob("*.json"))
    for file in files:
        if not file.is_file():
            raise SystemExit(f"{file}: no results; run bench/{file.stem}.py first")
        held = json.loads(file.read_text(encoding="utf-8"))
        print(f"## {file.stem}\n")
        for entry in reversed(held if args.all else held[-1:]):
            host = entry["host"]
            print(table(entry["rows"]))
            print(
                f"\n`{entry['command']}`, {entry['when'][:10]}, commit {entry['commit']}; "
                f"{host['processor']}, {host['cores']} cores; torch {entry['torch']}, Python {entry['python']}\n"
            )


if __name__ == "__main__":
    main()
