"""The words of a `gansmith train` that a page asks for: what it shows as a command, and what is run, are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gansmith import schedule, zoo
from gansmith.data.catalogue import CATALOGUE
from gansmith.errors import Refused, nearest
from gansmith.playground import asked
from gansmith.playground.asked import Asked
from gansmith.playground.folder import Folder
from gansmith.recipe import Recipe

LENGTHS = ("images", "epochs", "minutes", "cpu_minutes")

FIELDS = 40
"""Fields of a recipe that a page may set."""

_FIELD = re.compile(r"[a-z][\w-]*(\.[\w-]+)*")


def train_words(request: Asked, folder: Folder, *, local: bool) -> tuple[Path, list[str]]:
    """The folder of the new run, and the words.

    Args:
        request: `recipe`, `data`, and if wanted `length` (`kind` and `value`), `name`, `seed`, `root` of the data, and
            `fields` of the recipe (`name` and `value` each).
        folder: where runs are.
        local: who asks sits at this machine: so the data may lie anywhere, and a field may name a file.

    Raises:
        Refused: what is not in the zoo, no data, no length, no field; or a path from another machine.
    """
    recipe, data = asked.text(request, "recipe", "auto"), asked.text(request, "data")
    known = zoo.names()
    if recipe not in known:
        near = nearest(recipe, known)
        raise Refused(f"recipe {recipe!r}: is not in the zoo" + (f"; did you mean {near}?" if near else ""))
    if not data.strip():
        raise Refused("data: name some", f"Known by name: {', '.join(CATALOGUE)}.")
    root = asked.text(request, "root", "").strip()
    _allow(data in CATALOGUE or local, "data by a path")
    _allow(not root or local, "a folder of data")
    name = asked.text(request, "name", "").strip() or f"{recipe}-{_plain(Path(data).stem)}"
    path = folder.new(name)
    words = ["train", recipe, *([f"--data={data}"] if data.startswith("-") else ["--data", data])]
    words += [f"--data-root={root}"] if root else []
    words += [*_length(request), "--out", str(path)]
    if request.get("seed") is not None:
        words += ["--seed", str(asked.whole(request, "seed"))]
    return path, words + _fields(request, local)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("._-")[:40] or "data"


def _allow(allowed: bool, what: str) -> None:
    if not allowed:
        raise Refused(f"{what}: only for who sits at the server's machine", f"By name: {', '.join(CATALOGUE)}.")


def _length(request: Asked) -> list[str]:
    if request.get("length") is None:
        return []
    length = asked.part(request["length"], "length")
    kind, value = asked.one_of(length, "kind", LENGTHS), length.get("value")
    try:
        told = str(schedule.count(value)) if kind == "images" else f"{_above_zero(value):g}"
    except (TypeError, ValueError) as error:
        raise Refused(f"length in {kind.replace('_', ' ')}: {error}") from None
    return [f"--{kind.replace('_', '-')}", told]


def _fields(request: Asked, local: bool) -> list[str]:
    words = []
    for each in asked.several(request, "fields", FIELDS, []):
        field = asked.part(each, "fields")
        name, value = asked.text(field, "name"), asked.text(field, "value")
        if not _FIELD.fullmatch(name) or name.replace("-", "_").partition(".")[0] not in Recipe.model_fields:
            raise Refused(f"{name!r}: no field of a recipe", "`gansmith zoo NAME` shows the fields of a recipe.")
        # A field may name a file, and code of the user's own.
        _allow(local or not (name.partition(".")[0] == "data" or ".py" in value), f"{name}={value}")
        words.append(f"--{name}={value}")
    return words


def _above_zero(value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(f"expected a number above zero, not {value!r}")
    return number
