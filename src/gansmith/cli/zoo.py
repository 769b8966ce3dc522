"""`gansmith zoo`: the recipes that come along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from gansmith.cli.flags import Parser
from gansmith.cli.terminal import pairs, table
from gansmith.errors import DONE

EXAMPLES = """\
  gansmith zoo               all recipes, by year
  gansmith zoo dcgan         one: its paper, what it is, and its YAML
  gansmith zoo dcgan --yaml > mine.yaml      a copy to change, for `gansmith train mine.yaml`"""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("zoo", "List the recipes that come with gansmith, or show one.", EXAMPLES)
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
    """A table of all recipes, the oldest paper first."""
    from gansmith.recipe import read_fields, zoo_names

    rows = []
    for name in zoo_names():
        fields, _ = read_fields(name)
        year = str((fields.get("paper") or {}).get("year", ""))
        rows.append((year, name, _one_line(fields.get("summary"))))
    rows.sort()
    return table(("year", "recipe", "what it is"), rows)


def shown(name: str) -> str:
    """A recipe's paper, summary, deviations and YAML.

    Raises:
        Refused: no such recipe, with the nearest name.
    """
    from gansmith.recipe import read_fields

    fields, _ = read_fields(name)
    facts = [(word, _one_line(value)) for word, value in _facts(fields) if value]
    return f"{fields.get('name', name)}\n{pairs(facts)}\n\n{yaml_of(name)}"


def _facts(fields: Mapping[str, Any]) -> list[tuple[str, object]]:
    paper = fields.get("paper") or {}
    cited = ", ".join(str(paper[key]) for key in ("title", "authors", "year") if paper.get(key))
    link = f"https://arxiv.org/abs/{paper['arxiv']}" if paper.get("arxiv") else None
    return [
        ("what", fields.get("summary")),
        ("paper", cited),
        ("", link),
        ("differs", fields.get("deviations")),
        ("train", f"gansmith train {fields.get('name')} --data NAME_OR_PATH --out DIR"),
    ]


def yaml_of(name: str) -> str:
    """The recipe's file as it is, comments included.

    Raises:
        Refused: no such recipe, with the nearest name.
    """
    from gansmith.recipe import read_fields

    read_fields(name)  # refuses what cannot be read
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name).read_text(encoding="utf-8")
    return resources.files("gansmith.zoo").joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def _one_line(text: object) -> str:
    return " ".join(str(text or "").split())
