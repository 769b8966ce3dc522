"""What can be set in the Lab, and the recipe that it stands for: `gan` of the zoo, with some fields overridden.

So whatever the page shows, `gansmith train gan` with these flags does.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from gansmith import recipe as recipes
from gansmith.data import CATALOGUE, Dataset
from gansmith.data.order import POINTS, normal, uniform
from gansmith.errors import Refused
from gansmith.fields import Data, Frozen
from gansmith.recipe import Recipe

BASE = "gan"
"""The recipe of the zoo that every setting overrides."""

DATASETS = ("ring", "grid", "two-gaussians", "spiral", "moons", "line", "disjoint")
DRAWN, DRAWN_POINTS, DRAWN_COUNT, DRAWN_SIGMA = "drawn", 4000, 10_000, 0.03
"""The name of what the user draws; at most so many points of the mouse; so many examples are made of them, each one of
them with noise of this deviation."""

MOST = 1_000_000_000
"""Length of the training on its clock; nothing in the Lab depends on it, and no one gets there."""

Rate = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Width = Annotated[int, Field(ge=1, le=512)]
Depth = Annotated[int, Field(ge=1, le=8)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1, le=20)]


class Settings(Frozen):
    """One side of the Lab.

    Attributes:
        data: a set of points of the catalogue, or `drawn`.
        loss: an adversarial loss.
        penalties: weights of penalties, by name.
        optimizer: of both sides; each has its own rate.
        d_lr, g_lr: learning rates of the discriminator and the generator.
        beta1, beta2: Adam's; the first is SGD's momentum, the second RMSprop's alpha.
        d_steps, g_steps: moves of a round.
        d_width, d_depth, g_width, g_depth: hidden layers.
        noise: dimensions of the latent vector.
        batch: examples a step.
        seed: of everything random.
    """

    data: Literal["ring", "grid", "two-gaussians", "spiral", "moons", "line", "disjoint", "drawn"] = "ring"
    loss: Annotated[str, Field(max_length=64)] = "relativistic"
    penalties: dict[str, Weight] = Field(default={"r1": 0.05, "r2": 0.05}, max_length=8)
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    d_lr: Rate = 2e-3
    g_lr: Rate = 5e-4
    beta1: Beta = 0.0
    beta2: Beta = 0.999
    d_steps: Steps = 1
    g_steps: Steps = 1
    d_width: Width = 64
    d_depth: Depth = 2
    g_width: Width = 64
    g_depth: Depth = 2
    noise: Annotated[int, Field(ge=1, le=64)] = 2
    batch: Annotated[int, Field(ge=2, le=1024)] = 128
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] = 0

    def overrides(self) -> dict[str, Any]:
        """The recipe's fields by dotted name that differ from the base's, in the order in which people read them."""
        out: dict[str, Any] = {"loss": self.loss}
        out |= {f"penalties.{name}.weight": weight for name, weight in self.penalties.items()}
        rates = {"discriminator": self.d_lr, "generator": self.g_lr}
        for side, rate in rates.items():
            out[f"optimizers.{side}"] = {"name": self.optimizer, "lr": rate, "betas": [self.beta1, self.beta2]}
        out["discriminator_steps"] = self.d_steps
        out["game.generator_steps"] = self.g_steps
        for side, width, depth in (
            ("generator", self.g_width, self.g_depth),
            ("discriminator", self.d_width, self.d_depth),
        ):
            out[f"{side}.hidden"], out[f"{side}.dropout"] = [width] * depth, 0
        out |= {"noise": self.noise, "batch": self.batch, "seed": self.seed, "ema": None, "compile": "off"}
        plain = {"discriminator_steps": 1, "game.generator_steps": 1}
        return {name: value for name, value in out.items() if name not in plain or plain[name] != value}

    def recipe(self, images: int = MOST) -> Recipe:
        """The recipe, of a training so long."""
        source = None if self.data == DRAWN else self.data
        return recipes.load(BASE, {**self.overrides(), "data": {"source": source}, "images": images})


def read(fields: object) -> Settings:
    """Settings of what a page sent.

    Raises:
        Refused: the first that is wrong.
    """
    try:
        return Settings.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(f"{where}: {first['msg']}" if where else "settings are a mapping of names to values") from None


def opened(settings: Settings, drawn: NDArray[np.float32] | None) -> Dataset:
    """The data of some settings, without the labels, which the networks are not told.

    Raises:
        Refused: nothing has been drawn.
    """
    from dataclasses import replace

    if settings.data == DRAWN:
        if drawn is None or not len(drawn):
            raise Refused("nothing has been drawn yet", "Draw with the mouse, or choose other data.")
        return from_drawn(drawn)
    return replace(CATALOGUE[settings.data].open(Data(source=settings.data)), labels=None)


def from_drawn(points: NDArray[np.float32]) -> Dataset:
    """Examples around points that were drawn, each point as often as any other."""
    key = (POINTS, 100)
    which = (uniform((*key, 0), 0, DRAWN_COUNT) * len(points)).astype(np.int64)
    noise = np.stack([normal((*key, 1), DRAWN_COUNT), normal((*key, 2), DRAWN_COUNT)], axis=1)
    array = (points[which] + DRAWN_SIGMA * noise).astype(np.float32)
    return Dataset(DRAWN, "points", (2,), DRAWN_COUNT, array)


def read_drawn(points: object) -> NDArray[np.float32]:
    """Points [N, 2] that a page sent.

    Raises:
        Refused: not that, too many, or too far away.
    """
    try:
        array = np.asarray(points, np.float32).reshape(-1, 2)
    except (TypeError, ValueError):
        raise Refused("what is drawn is a list of points [x, y]") from None
    if not 1 <= len(array) <= DRAWN_POINTS or not (np.abs(array) <= 10).all():  # which no NaN is
        raise Refused(f"what is drawn is 1 to {DRAWN_POINTS:,} points, each number from -10 to 10")
    return array


# --- copies ----------------------------------------------------------------------------------------


def copies(settings: Settings, images: int, source: str | None = None) -> Mapping[str, str]:
    """The same training as a command, as YAML and as Python, so many images long.

    Args:
        settings: whose.
        images: length on the clock.
        source: file of the data, where they were drawn.
    """
    data = source or settings.data
    out = f"runs/lab-{settings.data}"
    flags = {"data": data, "images": images, **settings.overrides()}
    words = [f"--{name} {shlex.quote(_flag(value))}" for name, value in _leaves(flags).items()]
    overrides = "\n".join(f"        {name!r}: {value!r}," for name, value in settings.overrides().items())
    fields = settings.recipe(images).model_copy(update={"data": Data(source=data), "name": f"lab-{settings.data}"})
    return {
        "command": " \\\n  ".join([f"gansmith train {BASE}", *words, f"--out {out}"]),
        "yaml": recipes.dump(_bare(fields)),
        "python": f"import gansmith\n\nrun = gansmith.train(\n    {BASE!r}, {data!r}, {out!r}, images={images},\n"
        f"    overrides={{\n{overrides}\n    }},\n)\n",
    }


def _leaves(fields: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in fields.items():
        out |= _leaves(value, f"{head}{name}.") if isinstance(value, Mapping) else {f"{head}{name}": value}
    return out


def _flag(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20).removesuffix("...\n").strip()
    return "null" if value is None else text


def _bare(recipe: Recipe) -> Recipe:
    """Without what the base says of itself: it is another recipe now."""
    return recipe.model_copy(
        update={"family": None, "summary": "", "explanation": "", "paper": None, "deviations": None, "reproduce": None}
    )
