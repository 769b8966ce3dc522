"""`gansmith zoo`: the recipes that come along, and those of plug-ins."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gansmith.cli.flags import Parser
from gansmith.cli.terminal import pairs, table
from gansmith.errors import DONE
from gansmith.page import duration, figure

EXAMPLES = """\
  gansmith zoo               all recipes by family, with what they scored here
  gansmith zoo dcgan         one: the idea, the loss, when to use it, what goes wrong, and its YAML
  gansmith zoo dcgan --yaml > mine.yaml      a copy to change, for `gansmith train mine.yaml`"""

OTHER = "other"
WIDTH = 100
"""Characters a line of an explanation."""

AS_IT_IS = ("", "again", "train")
"""What is copied: never broken over lines."""

GPU = 1e13
"""Operations a second that a GPU is taken to reach, where a cost is told in its hours."""

INDENT = " " * len("  reports  ")


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("zoo", "List the recipes that come with gansmith, or explain one.", EXAMPLES)
    flags.add_argument("name", nargs="?", help="a recipe")
    flags.add_argument("--yaml", action="store_true", help="the YAML alone")
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    if args.name is None:
        print(listing())
    else:
        print(yaml_of(args.name) if args.yaml else shown(args.name), end="")
    return DONE


def listing() -> str:
    """All recipes by family, the family of the oldest paper first; and what each scored here."""
    from gansmith import zoo
    from gansmith.recipe import read_fields

    _, owners, problems = zoo.plugged()
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    families: dict[str, list[tuple[str, ...]]] = {}
    scores = zoo.scores()
    for name in zoo.names():
        fields, _ = read_fields(name)
        year, family = str((fields.get("paper") or {}).get("year", "")), str(fields.get("family") or OTHER)
        what = _one_line(fields.get("summary")).partition(". ")[0].rstrip(".")
        own = f" (plug-in {owners[name]})" if name in owners else ""
        families.setdefault(family, []).append((year, name, _score(scores.get(name)), what + own))
    rows: list[tuple[str, ...]] = []
    for family, members in sorted(families.items(), key=lambda item: (item[0] == OTHER, min(item[1])[0], item[0])):
        for i, (year, name, score, what) in enumerate(sorted(members)):
            rows.append((family if i == 0 else "", name, year, score, what))
    headers = ("family", "recipe", "year", "scored here", "what it is")
    if not any(row[3] for row in rows):  # a column of nothing would cost the last one its width
        headers, rows = (*headers[:3], headers[4]), [(*row[:3], row[4]) for row in rows]
        return table(headers, rows)
    return f"{table(headers, rows)}\n\nScored here: {zoo.scored_how()}"


def _score(found: Mapping[str, Any] | None) -> str:
    return f"{found['score']} {figure(found['value'])}" if found else ""


def shown(name: str) -> str:
    """A recipe in plain paragraphs, its paper, what it scored, and its YAML.

    Raises:
        Refused: no such recipe, with the nearest name.
    """
    from gansmith import zoo
    from gansmith.recipe import read_fields

    fields, _ = read_fields(name)
    found = _facts(fields, zoo.scores().get(name), zoo.costs().get(name))
    facts = [(word, _told(word, value)) for word, value in found if value]
    text = "\n\n".join(
        textwrap.fill(" ".join(part.split()), WIDTH) for part in str(fields.get("explanation") or "").split("\n\n")
    )
    told = f"\n{text}\n" if text.strip() else ""
    return f"{fields.get('name', name)}\n{pairs(facts)}\n{told}\n{yaml_of(name)}"


def _told(word: str, value: object) -> str:
    line = _one_line(value)
    return line if word in AS_IT_IS else textwrap.fill(line, WIDTH, subsequent_indent=INDENT)


def _cost(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    shape, images = found["shape"], found["images"]
    size = f"{'x'.join(map(str, (*shape[1:], shape[0])))} pixels" if len(shape) == 3 else f"{shape[0]} numbers"
    core, gpu = (duration(images * each) for each in (found["seconds"], found["operations"] / GPU))
    return (
        f"{images:,} examples of {size}, {figure(found['operations'] / 1e9)} GFLOP each: {core} of one core "
        f"({found['on']}; a round of each kind was measured), or {gpu} of a GPU that reaches {GPU / 1e12:.0f} TFLOP/s"
    )


def _facts(
    fields: Mapping[str, Any], found: Mapping[str, Any] | None, cost: Mapping[str, Any] | None
) -> list[tuple[str, object]]:
    paper, again = fields.get("paper") or {}, fields.get("reproduce") or {}
    cited = ", ".join(str(paper[key]) for key in ("title", "authors", "year") if paper.get(key))
    link = f"https://arxiv.org/abs/{paper['arxiv']}" if paper.get("arxiv") else None
    scored = ""
    if found:
        low, high = (figure(found[end]) for end in ("low", "high"))
        seeds = f"{low} to {high}, {found['seeds']} seeds" if found["seeds"] > 1 else "one seed"
        scored = f"{_score(found)} ({seeds}; {found['how']})"
    return [
        ("what", fields.get("summary")),
        ("paper", cited),
        ("", link),
        ("differs", fields.get("deviations")),
        ("here", scored),
        ("reports", again.get("row")),
        ("again", again.get("command")),
        ("", f"came to: {again['found']}" if again.get("found") else "not reproduced here yet" if again else None),
        ("costs", _cost(cost)),
        ("train", f"gansmith train {fields.get('name')} --data NAME_OR_PATH --out DIR"),
    ]


def yaml_of(name: str) -> str:
    """The recipe's file as it is, comments included.

    Raises:
        Refused: no such recipe, with the nearest name.
    """
    from gansmith import zoo
    from gansmith.recipe import read_fields

    read_fields(name)  # refuses what cannot be read
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name).read_text(encoding="utf-8")
    return zoo.text_of(name) or ""


def _one_line(text: object) -> str:
    return " ".join(str(text or "").split())
