"""What `gansmith zoo` shows as scored here: the file is written from the results of the suite `zoo`.

    gansmith bench zoo --data-root DIR --out OUT
    python bench/zoo_scores.py OUT

Of each recipe the Fréchet distance's median over seeds, the least and the most.
"""

from __future__ import annotations

import argparse
import json
import statistics
from importlib import resources
from pathlib import Path
from typing import Any

from common import processor

from gansmith.page import duration
from gansmith.suites.running import read_results
from gansmith.suites.suite import load_suite

DATA, SCORE = "mnist", "fd-mnist"
HOW = (
    "after one processor minute on MNIST; real digits have 5.6, less is better. Recipes that were made for hours have\n"
    "hardly begun by then: this says what a minute brings, and not which is best. `gansmith zoo NAME` tells more."
)


def scores(out: Path) -> dict[str, dict[str, Any]]:
    """By recipe what it scored; those that failed in every seed have none."""
    suite = load_suite("zoo")
    found = read_results(suite, out)
    rows: dict[str, dict[str, Any]] = {}
    for name, row in suite.all_rows().items():
        results = found.of_row(name, DATA)
        values = [one.scores[SCORE] for one in results if SCORE in one.scores]
        if values:
            spent = duration(statistics.median(one.cpu_seconds for one in results))
            narrow = ", narrow" if any(net in row.fields for net in ("generator", "discriminator")) else ""
            rows[row.recipe] = {
                "score": SCORE, "value": round(statistics.median(values), 2), "low": round(min(values), 2),
                "high": round(max(values), 2), "seeds": len(values),
                "how": f"MNIST{narrow}, {spent} of one core, {processor()}; gansmith bench zoo",
            }  # fmt: skip
    return rows


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="the suite's folder")
    rows = scores(parser.parse_args().out)
    file = Path(str(resources.files("gansmith.zoo"))) / "scores.json"
    file.write_text(json.dumps({"how": HOW, "recipes": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{file.name}: {len(rows)} recipes")


if __name__ == "__main__":
    main()
