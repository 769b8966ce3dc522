"""The types of a recipe's parts: frozen pydantic models, checked as they are read. Nothing here knows torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from gansmith.schedule import Adaptive, Count, Number, Ramp, Scheduled


def listed(value: object) -> object:
    """A list, also of one string: `--metrics fd,prdc`."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def switch(value: object) -> object:
    """`on` and `off`, which YAML 1.1 reads as true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def chosen(value: object) -> object:
    """Parts by name without those that are null, and null as none at all: how one that a rule set is left out."""
    if isinstance(value, Mapping):
        return {name: part for name, part in cast("Mapping[object, object]", value).items() if part is not None}
    return {} if value is None else value


class Frozen(BaseModel):
    """Base of every part of a recipe: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_SCIENTIFIC = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""2e-4, which YAML 1.1 reads as text."""


class Open(BaseModel):
    """Base of what also takes the arguments of a constructor; `gansmith.build` checks them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's own arguments."""
        given = dict(self.__pydantic_extra__ or {})
        # As `schedule.number`, but of what is surely one: a text may be meant as it is.
        return {key: float(v) if isinstance(v, str) and _SCIENTIFIC.fullmatch(v) else v for key, v in given.items()}


class Part(Open):
    """A named part and the arguments of its constructor; a bare string is the name alone.

    The name is a module of the room it belongs to, or `file.py:Class` of the user's own. Which
    arguments it takes is the constructor's signature.
    """

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class Network(Open):
    """A network by the name of its module in `networks/` (or `file.py:Class`), with its arguments."""

    network: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"network": value} if isinstance(value, str) else value


class Penalty(Open):
    """A penalty's weight and laziness; other fields are the penalty's own arguments.

    Attributes:
        weight: factor of the penalty in the loss, or a ramp of it.
        every: apply it at each n-th step only, at n times the weight.
    """

    weight: Scheduled
    every: Annotated[int, Field(ge=1)] = 1


def _form(probability: object) -> str:
    adapts = isinstance(probability, Adaptive) or (isinstance(probability, Mapping) and "target" in probability)
    return "Adaptive" if adapts else "Scheduled"


class Augmentation(Open):
    """How often an augmentation is applied; other fields are its own arguments (the parts' strengths).

    Attributes:
        probability: in [0, 1], a ramp of it, or a `target` of the discriminator's verdict that it follows (ADA).
    """

    probability: Annotated[
        Annotated[Scheduled, Tag("Scheduled")] | Annotated[Adaptive, Tag("Adaptive")], Discriminator(_form)
    ]

    @model_validator(mode="after")
    def _in_range(self) -> Augmentation:
        for end in () if isinstance(self.probability, Adaptive) else _ends(self.probability):
            if not 0 <= end <= 1:
                raise ValueError(f"a probability must be in [0, 1], but is {end}")
        return self


class Optimizer(Frozen):
    """One side's optimiser.

    Attributes:
        name: `adam`, `adamw`, `rmsprop` or `sgd`, torch's own.
        lr: learning rate, or a ramp of it.
        betas: Adam's two decay rates; each may be a ramp. (`rmsprop` takes the second as alpha, `sgd`
            the first as momentum.)
        eps: added to the denominator.
        weight_decay: decoupled for `adamw`, L2 otherwise.
        weight_clip: bound c to which each weight is clipped after a step, to [-c, c]; None is off.
    """

    name: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: Scheduled = 2e-4
    betas: tuple[Scheduled, Scheduled] = (0.0, 0.99)
    eps: Annotated[Number, Field(gt=0)] = 1e-8
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    weight_clip: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _in_range(self) -> Optimizer:
        for end in _ends(self.lr):
            if end < 0:
                raise ValueError(f"lr must not be negative, but is {end}")
        for beta in self.betas:
            for end in _ends(beta):
                if not 0 <= end < 1:
                    raise ValueError(f"betas must be in [0, 1), but one is {end}")
        return self


def _ends(scheduled: float | Ramp) -> tuple[float, ...]:
    return (scheduled.start, scheduled.end) if isinstance(scheduled, Ramp) else (scheduled,)


class Ema(Frozen):
    """The exponential moving average of the generator's weights.

    Attributes:
        half_life: images after which a weight's share has halved, or a ramp of that.
        share: the half-life as a fraction of the training's length, instead.
        warmup: the half-life is at most this fraction of the images seen so far (None: no limit).
    """

    half_life: Scheduled | None = None
    share: Annotated[Number, Field(gt=0, le=1)] | None = None
    warmup: Annotated[Number, Field(gt=0)] | None = 0.05

    @model_validator(mode="after")
    def _one_of(self) -> Ema:
        if self.half_life is not None and self.share is not None:
            raise ValueError("give the half-life in images or as a share of the training, not both")
        return self


class Data(Frozen):
    """Which data, and how an example is made of what lies on disk.

    Attributes:
        source: a catalogue name, a path or a Hugging Face id.
        root: folder in which a catalogue name is looked for (`--data-root`).
        split: `train` or `test`, or `all` where the source knows no splits.
        resolution: pixels of the side, or (height, width); None keeps the source's size.
        fit: how a picture of another shape is fitted: `crop` (resize the short side, cut the middle),
            `pad` (resize the long side, fill with the background) or `stretch`.
        channels: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha; None keeps the source's.
        background: colour put under transparent pixels and into padding, a name or `#rrggbb`.
        labels: use labels; None uses them where they exist.
        skip_bad: count and pass over unreadable files, instead of refusing.
        limit: use the first n examples of a seeded shuffle.
        mirror: show each example as it is or flipped left to right, at random.
        patch: the examples are all square patches of so many pixels a side on a grid of the pictures, which may be of
            any sizes; None takes each picture whole.
        reserve: keep n examples of a seeded shuffle out of the training: by them overfitting is seen, and the duality
            gap searched, where the source has no other split, or where that must stay unseen.
        pairs: examples are one side of a translation, and the other lies beside them: pairs are `known`, or `hidden`
            from the training, and then it has two heaps of pictures. None is no translation.
        derive: make the first side of the pictures: `edges`, `grey`, `blur` or `mask`.
        reverse: translate the second side into the first.
    """

    source: str | None = None
    root: str | None = None
    split: Literal["train", "test", "all"] = "train"
    resolution: Annotated[int, Field(ge=4, le=4096)] | tuple[int, int] | None = None
    fit: Literal["crop", "pad", "stretch"] = "crop"
    channels: Literal[1, 2, 3, 4] | None = None
    background: str = "white"
    labels: bool | None = None
    skip_bad: bool = False
    limit: Count | None = None
    mirror: bool = False
    patch: Annotated[int, Field(ge=4, le=4096)] | None = None
    reserve: Count | None = None
    pairs: Literal["known", "hidden"] | None = None
    derive: Literal["edges", "grey", "blur", "mask"] | None = None
    reverse: bool = False


class Paper(Frozen):
    """The publication that a recipe follows."""

    title: str
    year: int
    arxiv: str | None = None
    authors: str | None = None


class Reproduce(Frozen):
    """How to reproduce a row of the paper's table, and whether that has been done.

    Attributes:
        row: what the paper reports: data, score, value.
        command: what would train it.
        found: what came out here, or None where it has not been run.
    """

    row: str
    command: str
    found: str | None = None


class Phase(Frozen):
    """A named stretch of the training.

    Attributes:
        name: what the game knows it by.
        until: where it ends, in images or as a fraction of the training (1 and below).
        renew: the optimisers forget all that they have averaged when it begins.
        settle: the averaged weights become the weights when it begins.
    """

    name: str
    until: Annotated[Number, Field(gt=0)]
    renew: bool = False
    settle: bool = False
