"""Penalties on the discriminator's gradient with respect to its input, one value for each example.

A penalty says at which points it wants the gradient, and what it makes of it; the game takes the
gradient, in one pass for all penalties at the same points. Each function here gives a `Penalty`; its
name is the penalty's name in a recipe. Adding one is one function here and its test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from gansmith import collectives
from gansmith.draws import Draws


class Penalty(NamedTuple):
    """Where a penalty looks, and what it is worth there.

    Attributes:
        at: `real`, `fake`, or a function (real, fake, draws) → points [B, …].
        value: gradient [B, …] → [B], before the recipe's weight.
        coupled: whether the points mix the examples of a batch (so that it cannot be split).
    """

    at: str | Callable[[torch.Tensor, torch.Tensor, Draws], torch.Tensor]
    value: Callable[[torch.Tensor], torch.Tensor]
    coupled: bool = False

    @property
    def side(self) -> str:
        """The move that it joins."""
        return "discriminator"


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


def gradient_penalty(target: float = 1.0, pack: int = 1) -> Penalty:
    """WGAN-GP: (‖∇D(x̂)‖ − target)² between real and fake.

    Gulrajani et al., 2017, Equation 3 (arXiv:1704.00028).

    Args:
        target: norm of the gradient that costs nothing.
        pack: neighbours that a discriminator judges as one, and that lie equally far between.
    """

    def together(real: torch.Tensor, fake: torch.Tensor, draws: Draws) -> torch.Tensor:
        share = draws.uniform("between").to(real.dtype)
        share = share[::pack].repeat_interleave(pack)[: len(real)].view(-1, *[1] * (real.dim() - 1))
        return real + share * (fake - real)

    between_these = between if pack == 1 else together
    return Penalty(between_these, lambda gradient: (norm(gradient) - target).square(), coupled=pack > 1)


def lipschitz_penalty(target: float = 1.0) -> Penalty:
    """WGAN-LP: max(0, ‖∇D(x̂)‖ − target)² between real and fake, so that a gentler slope costs nothing.

    Petzka et al., 2018, On the Regularization of Wasserstein GANs (arXiv:1709.08894).

    Args:
        target: norm of the gradient up to which it costs nothing.
    """
    return Penalty(between, lambda gradient: torch.relu(norm(gradient) - target).square())


def zero_centred_penalty() -> Penalty:
    """0-GP: ‖∇D(x̂)‖² between real and fake; of twice the weight of R1 and R2, which are halved.

    Thanh-Tung et al., 2019, Improving Generalization and Stability of Generative Adversarial Networks
    (arXiv:1902.03984).
    """
    return Penalty(between, squared_norm)


def dragan(target: float = 1.0, spread: float = 0.5) -> Penalty:
    """DRAGAN: (‖∇D(x + δ)‖ − target)² around real data, δ = spread · std · share · u.

    u is uniform in [0, 1) for each number, share for each example, and std is that of all numbers of the
    batch: as the authors' code draws it (the paper's Algorithm 1 leaves δ open).
    Kodali et al., 2017, Algorithm 1 (arXiv:1705.07215).

    Args:
        target: norm of the gradient that costs nothing.
        spread: how far around, in standard deviations.
    """

    def around(real: torch.Tensor, fake: torch.Tensor, draws: Draws) -> torch.Tensor:
        wide = real if real.dtype == torch.float64 else real.float()
        centred = wide - collectives.all_mean(wide.mean())
        deviation = collectives.all_mean(centred.square().mean()).sqrt()
        share = draws.uniform("around").view(-1, *[1] * (real.dim() - 1))
        noise = draws.uniform("around numbers", *real.shape[1:])
        return (wide + spread * deviation * (share * noise).to(wide.dtype)).to(real.dtype)

    return Penalty(around, lambda gradient: (norm(gradient) - target).square(), coupled=True)
