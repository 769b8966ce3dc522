"""A recipe → networks, losses, a game.

A name *is* the module (`network: resnet` → `networks/resnet.py`, its `Generator` in the generator's
place), `file.py:Class` of the user's own, or `package.module:Class` of a plug-in. The fields that a part
accepts are its constructor's signature. There is no registry, and no decorator.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from gansmith.draws import Draws, mix, seeded
from gansmith.errors import Refused, nearest
from gansmith.fields import Network, Part
from gansmith.games.game import Game
from gansmith.games.synthesis import Augment, Lazy
from gansmith.losses import adversarial, penalties, regularizers
from gansmith.own import installed, module_of
from gansmith.recipe import Recipe


@dataclass(frozen=True)
class Facts:
    """What building needs to know of the data.

    Attributes:
        shape: of one example.
        classes: number of classes that the networks are told; 0 is unconditional.
        vectors: whether they are told vectors instead, of so many numbers.
        beside: shapes of what goes along with an example, by name.
    """

    shape: tuple[int, ...]
    classes: int = 0
    vectors: bool = False
    beside: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])


_HELPERS = (
    "game", "turn", "layers", "convolution", "equalised", "head", "joint", "modulation", "residual", "geometry",
    "adaptive", "bands", "parts", "translating", "resizing", "degradation", "blurring", "jpeg",
)  # fmt: skip
"""Modules of the rooms that hold no part of their own."""


PENALTIES = ((penalties, penalties.Penalty), (regularizers, regularizers.Regularizer))
"""Where a recipe's penalties are found, and what such a function gives."""


def build(recipe: Recipe, facts: Facts) -> Game:
    """Build the game that a recipe describes, with seeded first weights, on the CPU in float32.

    Raises:
        Refused: an unknown part or argument, or one that does not fit the data.
    """
    with seeded(mix(recipe.seed, 0x1217)):
        offers: dict[str, Any] = {"shape": facts.shape, "classes": facts.classes, "vectors": facts.vectors}
        offers |= {"noise": recipe.noise, "beside": facts.beside}
        networks = {role: network(role, part, offers) for role, part in recipe.all_networks().items()}
        loss = _function("loss", recipe.loss, (adversarial, adversarial.AdversarialLoss))
        lazy: dict[str, Lazy] = {}
        for name, part in recipe.penalties.items():
            named = Part(name=name, **part.arguments)
            penalty = _function("penalties", named, *PENALTIES)
            lazy[name] = Lazy(penalty, part.every)
        given = {**offers, **networks, "networks": networks, "loss": loss, "penalties": lazy}
        given["augment"], given["adaptive"] = augment(recipe, offers), recipe.adaptive_knobs()
        given["discriminator_steps"] = recipe.discriminator_steps
        name = recipe.game.name
        cls = find("games", name, _camel(name))
        taken = accepted(cls)[0]
        # What the game does not take must not be passed over in silence.
        unused = [role for role in networks if role not in taken and "networks" not in taken]
        plain = type(recipe).model_fields
        for part in ("penalties", "augment", "loss", "discriminator_steps"):
            if getattr(recipe, part) != plain[part].default and part not in taken:
                unused.append(part)
        if unused:
            raise Refused(f"{unused[0]}: the game {name} takes none")
        if given["adaptive"] and "adaptive" not in taken:
            raise Refused(f"augment: the game {name} moves no probability; give a number or a ramp")
        return construct(cls, recipe.game.arguments, given, "game")


def network(role: str, part: Network, offers: Mapping[str, Any]) -> nn.Module:
    """Build one network for its role (`generator` takes the module's class `Generator`)."""
    cls = find("networks", part.network, _camel(role))
    return construct(cls, part.arguments, offers, role)


def augment(recipe: Recipe, offers: Mapping[str, Any]) -> Augment | None:
    """The recipe's augmentations, one after the other; each takes (examples, draws, probability)."""
    knobs = recipe.augment_knobs()
    parts = {
        name: construct(find("augmentations", name, _camel(name)), part.arguments, offers, f"augment.{name}")
        for name, part in recipe.augment.items()
    }
    if not parts:
        return None

    def apply(examples: torch.Tensor, draws: Draws, now: Mapping[str, float | torch.Tensor]) -> torch.Tensor:
        for name, part in parts.items():
            examples = part(examples, draws.under(f"{draws.prefix}/{name}"), now[knobs[name]])
        return examples

    return apply


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.replace("-", "_").split("_"))


def find(room: str, name: str, default: str) -> Callable[..., Any]:
    """The class that a name stands for: `name` or `name:Class` of a room, `file.py:Class`, or `package.module:Class`.

    Raises:
        Refused: no such module, file or class.
    """
    stem, colon, wanted = name.rpartition(":")
    stem, wanted = (stem, wanted) if colon else (name, default)
    if stem.endswith(".py"):
        module = module_of(Path(stem))
    elif "." in stem:
        module = installed(stem)
    else:
        package = importlib.import_module(f"gansmith.{room}")
        known = [m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _HELPERS]
        key = stem.replace("-", "_")
        if key not in known:
            near = nearest(key, known)
            hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(known)}"
            raise Refused(f"{room}: none is called {stem!r}{hint}", "One of your own is written file.py:Class.")
        module = importlib.import_module(f"gansmith.{room}.{key}")
    if not hasattr(module, wanted):
        raise Refused(f"{name}: has no class {wanted!r}")
    return getattr(module, wanted)


def construct(cls: Callable[..., Any], arguments: Mapping[str, Any], offers: Mapping[str, Any], where: str) -> Any:
    """Call a constructor with the recipe's arguments, and those of `offers` that its signature takes.

    Raises:
        Refused: an argument that it does not know, or a value that it does not accept.
    """
    parameters, anything = accepted(cls)
    for key in arguments:
        if key not in parameters and not anything:
            near = nearest(key, list(parameters))
            own = [p for p in parameters if p not in offers]
            hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(own) or 'none'}"
            raise Refused(f"{where}.{key}: no such argument; {hint}")
    given = {key: value for key, value in offers.items() if key in parameters}
    try:
        return cls(**{**given, **arguments})
    except (TypeError, ValueError, RuntimeError) as error:
        raise Refused(f"{where}: {error}") from error


def accepted(cls: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """The parameters of a constructor, and whether it takes anything else as well.

    One that hands on `**others` takes what the constructor above it takes.
    """
    chain = [each.__init__ for each in cls.__mro__ if "__init__" in vars(each)] if isinstance(cls, type) else [cls]
    found: dict[str, inspect.Parameter] = {}
    for constructor in chain:
        own = inspect.signature(constructor).parameters
        for key, parameter in own.items():
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) and key != "self":
                found.setdefault(key, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            return found, False
    return found, True


def _function(where: str, part: Part, *rooms: tuple[ModuleType, type]) -> Any:
    known = {name: module for module, kind in rooms for name in functions(module, kind)}
    key = part.name.replace("-", "_")
    if key not in known:
        near = nearest(key, sorted(known))
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise Refused(f"{where}: none is called {part.name!r}; {hint}")
    return construct(getattr(known[key], key), part.arguments, {}, f"{where}.{part.name}")


def functions(module: ModuleType, kind: type) -> list[str]:
    """The public functions of a module that give a `kind`: the names that a recipe can use."""
    return sorted(
        name
        for name, thing in vars(module).items()
        if inspect.isfunction(thing)
        and not name.startswith("_")
        and inspect.signature(thing).return_annotation in (kind, kind.__name__)
    )
