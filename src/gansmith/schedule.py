"""Numbers on the clock: counts of images as people write them, and values that move over a training.

Knows no torch.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def count(value: object) -> int:
    """Read a number of examples: `2000000`, `"2M"`, `"60k"`, `"20_000"`; a ValueError says what was expected."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"expected a number of images such as 60000, 60k or 2M, not {value!r}")
    text = str(value).strip().replace("_", "").replace(",", "")
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:[eE]\+?\d+)?)\s*([kKmMgGbB]?)", text)
    if not found:
        raise ValueError(f"expected a number of images such as 60000, 60k or 2M, not {value!r}")
    factor = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}[found[2].lower()]
    number = float(found[1]) * factor
    if number < 1 or number > 10**15:
        raise ValueError(f"expected a number of images from 1 to 1e15, not {value!r}")
    return round(number)


def number(value: object) -> object:
    """Read a number that YAML took for text; anything else is given back for pydantic to judge."""
    # YAML 1.1 reads 2e-4 as a string: a number needs a dot there. People write 2e-4.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Count = Annotated[int, BeforeValidator(count)]
Number = Annotated[float, BeforeValidator(number), Field(allow_inf_nan=False)]


class Ramp(BaseModel):
    """A value that moves over the training, on the clock.

    It stays at `start` for the fraction `hold` of `over`, then goes to `end` by `shape`, and stays there.

    Attributes:
        start: the value at image 0.
        end: the value at image `over`.
        shape: `cosine` (half a period), `linear` or `exponential` (geometric; both ends positive).
        over: length in images; None is the whole training.
        hold: fraction of `over` before the value begins to move, in [0, 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Number
    end: Number
    shape: Literal["cosine", "linear", "exponential"] = "cosine"
    over: Count | None = None
    hold: Annotated[Number, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _positive_ends(self) -> Ramp:
        if self.shape == "exponential" and not (self.start > 0 and self.end > 0):
            raise ValueError("an exponential ramp needs a start and an end above zero")
        return self

    def at(self, images: float, total: int) -> float:
        """The value after `images` images of a training `total` images long."""
        span = self.over or total
        moved = min(max((images / span - self.hold) / (1 - self.hold), 0.0), 1.0)
        if self.shape == "cosine":
            moved = 0.5 - 0.5 * math.cos(math.pi * moved)
        if self.shape == "exponential":
            return self.start * (self.end / self.start) ** moved
        return self.start + (self.end - self.start) * moved


Scheduled = Number | Ramp
"""A number, or a ramp from one number to another."""


class Adaptive(BaseModel):
    """A probability that the training moves itself: up while the discriminator is surer of real examples than wanted.

    Karras et al., 2020, Section 3.1 (arXiv:2006.06676), whose values are the defaults.

    Attributes:
        target: the mean sign of the discriminator's verdict on real examples that is wanted, in [-1, 1]; theirs
            is 0.6.
        start: the probability at image 0.
        most: it never exceeds this.
        over: images in which it goes from 0 to 1, if the sign never changes.
        every: discriminator steps whose signs are averaged before it moves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Annotated[Number, Field(ge=-1, le=1)]
    start: Annotated[Number, Field(ge=0, le=1)] = 0.0
    most: Annotated[Number, Field(gt=0, le=1)] = 1.0
    over: Count = 500_000
    every: Annotated[int, Field(ge=1)] = 4

    @model_validator(mode="after")
    def _below_most(self) -> Adaptive:
        if self.start > self.most:
            raise ValueError(f"it starts at {self.start}, above the most that is allowed, {self.most}")
        return self


def value_at(scheduled: float | Ramp, images: float, total: int) -> float:
    """The value of a number or ramp after `images` of `total` images."""
    return scheduled.at(images, total) if isinstance(scheduled, Ramp) else scheduled
