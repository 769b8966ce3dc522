"""Penalties on the discriminator's gradient with respect to its input, one value for each example.

A penalty says at which points it wants the gradient, and what it makes of it; the game takes the
gradient, in one pass for all penalties at the same points. Each function here gives a `Penalty`; its
name is the penalty's name in a recipe. Adding one is one function here and its test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from gansmith.draws import Draws


class Penalty(NamedTuple):
    """Where a penalty looks, and what it is worth there.

    Attributes:
        at: `real`, `fake`, or a function (real, fake, draws) → points [B, …].
        value: gradient [B, …] → [B], before the recipe's weight.
    """

    at: str | Callable[[torch.Tensor, torch.Tensor, Draws], torch.Tensor]
    value: Callable[[torch.Tensor], torch.Tensor]


def squared_norm(gradient: torch.Tensor) -> torch.Tensor:
    """‖g‖² of each example, [B, …] → [B], summed in at least float32."""
    wide = gradient if gradient.dtype == torch.float64 else gradient.float()
    return wide.square().flatten(1).sum(1)


def norm(gradient: torch.Tensor) -> torch.Tensor:
    """‖g‖ of each example, [B, …] → [B], with a finite derivative at zero."""
    return (squared_norm(gradient) + 1e-12).sqrt()


def r1() -> Penalty:
    """The zero-centred gradient penalty on real data: ½‖∇D(x)‖².

    Mescheder et al., 2018, Equation 9 (arXiv:1801.04406).
    """
    return Penalty("real", lambda gradient: 0.5 * squared_norm(gradient))


def r2() -> Penalty:
    """The zero-centred gradient penalty on fakes: ½‖∇D(G(z))‖².

    Mescheder et al., 2018, Equation 10 (arXiv:1801.04406).
    """
    return Penalty("fake", lambda gradient: 0.5 * squared_norm(gradient))


def between(real: torch.Tensor, fake: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Points drawn uniformly on the lines between real and fake examples, [B, …]."""
    share = draws.uniform("between").to(real.dtype).view(-1, *[1] * (real.dim() - 1))
    return real + share * (fake - real)


def gradient_penalty(target: float = 1.0) -> Penalty:
    """WGAN-GP: (‖∇D(x̂)‖ − target)² between real and fake.

    Gulrajani et al., 2017, Equation 3 (arXiv:1704.00028).

    Args:
        target: norm of the gradient that costs nothing.
    """
    return Penalty(between, lambda gradient: (norm(gradient) - target).square())
