"""A recipe: one validated, frozen description of a whole training run.

On disk it is a YAML file (read with `safe_load`); in memory a tree of frozen pydantic models. Nothing
here knows torch, so that `gansmith --help` and `gansmith zoo` answer at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from gansmith import zoo
from gansmith.errors import Refused, nearest
from gansmith.fields import (
    Augmentation,
    Data,
    Ema,
    Frozen,
    Network,
    Optimizer,
    Paper,
    Part,
    Penalty,
    Phase,
    Reproduce,
    chosen,
    listed,
    switch,
)
from gansmith.schedule import Adaptive, Count, Number

SCHEMA = 1
"""Version of the recipe's schema, stored with each resolved recipe."""


class Recipe(Frozen):
    """One whole training run.

    Attributes:
        schema_version: version of this schema.
        name, family, summary, explanation, paper, deviations, reproduce: what this is, for people.
        rule: `auto` fills every field that is not set here by the written rule of `gansmith.auto`.
        game: the kind of play, with its options.
        data: the data.
        generator, discriminator, networks: the two usual networks, and any others by name.
        noise: dimensions of the latent vector, standard normal.
        loss: the adversarial loss, with its arguments.
        penalties: by name.
        augment: augmentations of what the discriminator sees, by name, in order.
        optimizer: both sides'; `optimizers` overrides it for one move, by the move's name.
        discriminator_steps: discriminator moves for each generator move.
        batch: examples a step, over all ranks.
        microbatch: examples at a time on one rank; None is the whole share. Less saves memory.
        images: length of the training on the clock.
        ema: the average whose weights are used after training; None keeps the last weights.
        conditional: class-conditional; None is where there are labels.
        precision: `fp32`, `bf16`, `fp64` or `auto` (bf16 where a measured trial says that it pays).
        compile: trace and compile each move: `on`, `off`, or `auto` (where a measured trial says that it pays).
        deterministic: the same bits at each repeat on a CUDA device too, which is slower; a CPU gives them anyway.
        clip: bound of the gradient's norm, a move; None is off.
        phases: stretches of the training, in order; none leaves them to the game, which may have its own.
        seed: of everything random.
        snapshots: sample grids over the training.
        score: score the samples at each snapshot, where the data allow it.
        metrics: what to score, the chief first (`fd`, `kd`, `prdc`, `fid`, …); None chooses by data and machine.
        eval_every: images between scorings, where not at the snapshots.
        eval_samples: samples that a scoring draws; None is 10,000, or as many as the reference holds.
        checkpoint_every: images between checkpoints, beside those at snapshots and every two minutes.
        patience: stop when the score has not improved for so many images.
        on_trouble: what to do where the training is seen to go wrong: `say` it; `adapt`: roll back, and go on at half
            the learning rate, with twice the penalties and more augmentation; or `ignore` it, and do not look.
        duality_gap: steps of each search for the duality gap at each snapshot; None leaves it out.
    """

    schema_version: int = SCHEMA
    name: str = "custom"
    family: str | None = None
    summary: str = ""
    explanation: str = ""
    paper: Paper | None = None
    deviations: str | None = None
    reproduce: Reproduce | None = None
    rule: Literal["auto"] | None = None
    game: Part = Part(name="synthesis")
    data: Data = Data()
    generator: Network | None = None
    discriminator: Network | None = None
    networks: dict[str, Network] = Field(default={})
    noise: Annotated[int, Field(ge=1, le=65536)] = 64
    loss: Part = Part(name="nonsaturating")
    penalties: Annotated[dict[str, Penalty], BeforeValidator(chosen)] = Field(default={})
    augment: Annotated[dict[str, Augmentation], BeforeValidator(chosen)] = Field(default={})
    optimizer: Optimizer = Optimizer()
    optimizers: dict[str, Optimizer] = Field(default={})
    discriminator_steps: Annotated[int, Field(ge=1, le=1000)] = 1
    batch: Annotated[int, Field(ge=1, le=1 << 20)] = 64
    microbatch: Annotated[int, Field(ge=1)] | None = None
    images: Count = 2_000_000
    ema: Ema | None = Ema(share=0.1)
    conditional: bool | None = None
    precision: Literal["auto", "fp32", "bf16", "fp64"] = "auto"
    compile: Annotated[Literal["auto", "on", "off"], BeforeValidator(switch)] = "auto"
    deterministic: bool = False
    clip: Annotated[Number, Field(gt=0)] | None = None
    phases: tuple[Phase, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    snapshots: Annotated[int, Field(ge=1, le=10000)] = 10
    score: bool = True
    metrics: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)] | None = None
    eval_every: Count | None = None
    eval_samples: Annotated[int, Field(ge=2, le=10_000_000)] | None = None
    checkpoint_every: Count | None = None
    patience: Count | None = None
    on_trouble: Literal["say", "adapt", "ignore"] = "say"
    duality_gap: Annotated[int, Field(ge=1, le=100_000)] | None = None

    def all_networks(self) -> dict[str, Network]:
        """The networks by the name that the game calls them."""
        usual = {"generator": self.generator, "discriminator": self.discriminator}
        return {**{k: v for k, v in usual.items() if v is not None}, **self.networks}

    def augment_knobs(self) -> dict[str, str]:
        """The knob that holds each augmentation's probability: `augment`, or `augment/{name}` of several."""
        return {name: "augment" if len(self.augment) == 1 else f"augment/{name}" for name in self.augment}

    def adaptive_knobs(self) -> dict[str, Adaptive]:
        """Those of them that the game moves itself: each is a state of the game, by the knob's name."""
        knobs = self.augment_knobs()
        parts = {knobs[name]: part.probability for name, part in self.augment.items()}
        return {knob: probability for knob, probability in parts.items() if isinstance(probability, Adaptive)}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the leaves of `over` put over it; a mapping that names another part replaces it.

    Keys may be written with hyphens or underscores.
    """
    out = {key.replace("-", "_"): _copied(value) for key, value in base.items()}
    for raw, value in over.items():
        key = raw.replace("-", "_")
        old, new = out.get(key), _mapping(value)
        if isinstance(old, str) and new is not None and not {"name", "network"} & set(new):
            old = {"network" if key in ("generator", "discriminator") else "name": old}
        before = _mapping(old)
        if before is None or new is None:
            out[key] = _copied(value)
            continue
        renamed = any(k in new and new[k] != before.get(k) for k in ("network", "name"))
        # A ramp replaces what was there, and so does a target that replaces a ramp.
        scheduled = {"start", "end"} <= set(new) or ("end" in before and "target" in new)
        out[key] = merge(new, {}) if renamed or scheduled else merge(before, new)
    return out


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def _copied(value: Any) -> Any:
    nested = _mapping(value)
    return value if nested is None else merge(nested, {})


_NUMBERS = re.compile(r"[\d.eE+-]+(\s*,\s*[\d.eE+-]+)+")


def parse_overrides(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted fields (`{"optimizer.lr": "1e-3"}`) into a nested mapping; text is YAML, and `0, .99` a list."""
    out: dict[str, Any] = {}
    for dotted, text in flags.items():
        try:
            if isinstance(text, str) and _NUMBERS.fullmatch(text):
                text = f"[{text}]"
            value: Any = yaml.safe_load(text) if isinstance(text, str) else text
        except yaml.YAMLError as error:
            raise Refused(f"--{dotted}: cannot read {text!r} as a value") from error
        for key in reversed(dotted.replace("-", "_").split(".")):
            value = {key: value}
        out = merge(out, value)
    return out


def validate(fields: Mapping[str, Any], where: str) -> Recipe:
    """Build a recipe of a plain mapping, or refuse with the first wrong field and what would be right."""
    version = fields.get("schema_version", SCHEMA)
    if not isinstance(version, int) or version > SCHEMA:
        raise Refused(
            f"{where}: its schema version is {version!r}; this gansmith reads up to {SCHEMA}", "Upgrade gansmith."
        )
    try:
        return Recipe.model_validate(dict(fields))
    except ValidationError as error:
        raise Refused(_explain(error, where)) from None


def _explain(error: ValidationError, where: str) -> str:
    problems = error.errors(include_url=False)
    # A union reports each of its arms; the deepest is the one that was meant, and of a mapping never the number.
    meant = [p for p in problems if not (p["type"] == "float_type" and isinstance(p.get("input"), Mapping))] or problems
    first = max(meant, key=lambda p: (p["loc"][:1] == meant[0]["loc"][:1], len(p["loc"])))
    path = ".".join(str(part) for part in first["loc"] if not _is_arm(part))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        near = nearest(str(first["loc"][-1]), _fields_at(first["loc"][:-1]))
        message = "no such field" + (f"; did you mean {near!r}?" if near else "")
    elif "input" in first and not isinstance(first["input"], Mapping):
        message = f"{message}, not {first['input']!r}" if "not " not in message else message
    more = len({".".join(str(x) for x in p["loc"] if not _is_arm(x)) for p in problems}) - 1
    return f"{where}: {path + ': ' if path else ''}{message}" + (f" (and {more} more)" if more else "")


def _is_arm(part: object) -> bool:
    return isinstance(part, str) and bool(
        re.search(r"function|^(float|int|Ramp|Scheduled|Adaptive|tuple|constrained-\w+)\b|\[", part)
    )


def _fields_at(path: Sequence[object]) -> list[str]:
    model: Any = Recipe
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field else None
        for arm in getattr(model, "__args__", ()):
            if isinstance(arm, type) and issubclass(arm, BaseModel):
                model = arm
    return list(getattr(model, "model_fields", {}))


def read_fields(name_or_path: str | Path) -> tuple[dict[str, Any], str]:
    """The plain fields of a zoo recipe or a YAML file, and a word for where they come from.

    Raises:
        Refused: no such recipe (with the nearest name), unreadable file, or not a YAML mapping.
    """
    text_name = str(name_or_path)
    path = Path(text_name)
    if path.suffix in (".yaml", ".yml"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise Refused(f"{path}: cannot read the recipe ({reason})") from None
        where = str(path)
    else:
        text, where = _zoo_text(text_name), f"recipe {text_name}"
    try:
        fields: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise Refused(f"{where}{line}: not valid YAML ({getattr(error, 'problem', None) or 'syntax'})") from None
    found = _mapping(fields)
    if found is None or not all(isinstance(key, str) for key in cast("Mapping[object, Any]", found)):
        raise Refused(f"{where}: a recipe is a mapping of fields to values")
    return dict(found), where


def _zoo_text(name: str) -> str:
    text = zoo.text_of(name)
    if text is None:
        near = nearest(name, zoo.names())
        raise Refused(
            f"no recipe is called {name!r}" + (f"; did you mean {near!r}?" if near else ""),
            "`gansmith zoo` lists them; a file of your own ends in .yaml",
        )
    return text


def load(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe by its zoo name or from a YAML file, with fields overridden.

    Args:
        name_or_path: a name that `gansmith zoo` lists, or a path that ends in `.yaml`.
        overrides: dotted fields and their values (text is read as YAML).
    """
    fields, where = read_fields(name_or_path)
    return validate(merge(fields, parse_overrides(overrides or {})), where)


def dump(recipe: Recipe) -> str:
    """The recipe as YAML text, every field written out that differs from its default."""
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    fields = {"schema_version": recipe.schema_version, "name": recipe.name, **fields}
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
