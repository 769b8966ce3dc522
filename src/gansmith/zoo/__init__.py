"""The recipes by name, one YAML file each: those that ship, and those of installed plug-ins.

A plug-in is a distribution with an entry point of the group `gansmith.zoo`, whose value names a package that holds
YAML files. What ships goes before what is plugged in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from typing import Any

GROUP = "gansmith.zoo"


def shipped() -> dict[str, Traversable]:
    """The recipes that ship with the package, by name."""
    return _files("gansmith.zoo")


def plugged() -> tuple[dict[str, Traversable], dict[str, str], list[str]]:
    """The recipes of plug-ins by name, the plug-in that each is of, and a line for each that cannot be read."""
    found: dict[str, Traversable] = {}
    owners: dict[str, str] = {}
    problems: list[str] = []
    for entry in metadata.entry_points(group=GROUP):
        try:
            theirs = _files(entry.value)
        except Exception as error:  # whatever importing a stranger's package raises
            problems.append(f"plug-in {entry.name}: {entry.value} cannot be read ({type(error).__name__}: {error})")
            continue
        for name, file in theirs.items():
            if name in found:
                problems.append(f"plug-in {entry.name}: {name} is of plug-in {owners[name]} already")
            elif name in shipped():
                problems.append(f"plug-in {entry.name}: {name} ships with gansmith already")
            else:
                found[name], owners[name] = file, entry.name
    return found, owners, problems


def names() -> list[str]:
    """All names, sorted."""
    return sorted({**plugged()[0], **shipped()})


def text_of(name: str) -> str | None:
    """A recipe's file as it is, or None where there is none of this name."""
    own = shipped()
    file = own[name] if name in own else plugged()[0].get(name)
    return None if file is None else file.read_text(encoding="utf-8")


def scores() -> Mapping[str, Mapping[str, Any]]:
    """What each recipe scored when it was last measured: `score`, `value`, `low`, `high`, `seeds`, by its name."""
    return _measured("scores.json").get("recipes", {})


def scored_how() -> str:
    """How all of `scores` were measured, as people are told."""
    return _measured("scores.json").get("how", "")


def costs() -> Mapping[str, Mapping[str, Any]]:
    """What reproducing a recipe's row costs, by its name.

    `images`, their `shape`, floating-point `operations` and processor `seconds` of each; what it was measured `on`.
    """
    return _measured("costs.json").get("recipes", {})


def _measured(name: str) -> Mapping[str, Any]:
    file = resources.files("gansmith.zoo").joinpath(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _files(package: str) -> dict[str, Traversable]:
    files = resources.files(package).iterdir()
    return {f.name.removesuffix(".yaml"): f for f in files if f.name.endswith(".yaml")}
