"""Naive eager training loops over the very networks of gansmith's `dcgan` and `r3gan-small`: the other references.

The networks are built from the same recipe and then brought back to torch's stock layers (`stock`), so that
nothing of gansmith's own kernels is in the reference: float32, contiguous, unfused Adam, `.item()` at each
step, D(real) and D(fake) apart, and for `r3gan-small` R1 and R2 at each step by `create_graph=True`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gansmith.build import Facts, build
from gansmith.networks import layers, r3gan, srresnet
from gansmith.networks.convolution import Conv2d, ConvTranspose2d
from gansmith.recipe import Recipe
from gansmith.schedule import value_at


class StockResample(nn.Module):
    """The filter [1, 3, 3, 1] up or down, by torch's own functions and their autograd."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → twice or half the size."""
        if self.up:
            wide = functional.interpolate(
                functional.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False
            )
            return wide[:, :, 2:-2, 2:-2]
        x = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1)), 2, 1)
        return functional.avg_pool2d(functional.avg_pool2d(x, 2, 1), 2, 2)


def _contiguous(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(x.contiguous() for x in inputs)


OF_STOCK = (
    r3gan.Block, layers.ClassNoise, layers.ClassLogit, srresnet.Block,
    srresnet.Shuffled, srresnet.Enlarge,
)  # fmt: skip
"""Layers of gansmith's that are nothing but the layers in them."""


def stock(network: nn.Module) -> nn.Module:
    """Put torch's stock layers in the place of gansmith's, in place, with the same weights.

    Raises:
        TypeError: a layer of gansmith's that this does not know, which would flatter or slow the reference.
    """
    for name, child in list(network.named_children()):
        kind = type(child)
        if kind in (Conv2d, ConvTranspose2d):
            child.__class__ = nn.Conv2d if kind is Conv2d else nn.ConvTranspose2d
        elif kind is layers.BatchNorm:
            norm = nn.BatchNorm2d(len(child.weight), child.eps, child.momentum)
            norm.load_state_dict(child.state_dict(), strict=False)
            setattr(network, name, norm)
        elif kind is layers.Dropout:
            setattr(network, name, nn.Dropout(child.p))
        elif kind is layers.Squash:
            setattr(network, name, nn.Tanh())
        elif kind is r3gan.Resample:
            setattr(network, name, StockResample(child.up))
        elif kind.__module__.startswith("gansmith.") and kind not in OF_STOCK:
            raise TypeError(f"{kind.__module__}.{kind.__name__}: no stock layer is known for it")
        else:
            stock(child)
    # gansmith's first linear layers lay their output out in channels_last, and convolutions follow it.
    if isinstance(network.__dict__.get("_modules", {}).get("layers"), nn.Module):
        network.layers.register_forward_pre_hook(_contiguous)
    return network


def sides(recipe: Recipe, shape: tuple[int, ...], device: torch.device | str = "cpu") -> tuple[nn.Module, nn.Module]:
    """Build the unconditional generator and discriminator of a recipe, in stock layers."""
    game = build(recipe, Facts(shape, 0))
    return stock(game.generator).to(device).train(), stock(game.discriminator).to(device).train()


@dataclass
class Loop:
    """A naive loop, one call a step.

    Attributes:
        step: (images uint8 [B, C, H, W], on the device) → (discriminator's loss, generator's loss).
        generator, discriminator: the networks it trains.
    """

    step: Callable[[torch.Tensor], tuple[float, float]]
    generator: nn.Module
    discriminator: nn.Module


def _adam(network: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    own = recipe.optimizer
    betas = tuple(value_at(beta, 0, 1) for beta in own.betas)
    return torch.optim.Adam(network.parameters(), lr=value_at(own.lr, 0, 1), betas=betas, eps=own.eps)  # type: ignore[arg-type]


def _scaled(images: torch.Tensor) -> torch.Tensor:
    return images.float().div(127.5).sub(1)


def naive_gan(recipe: Recipe, shape: tuple[int, ...], device: torch.device | str = "cpu") -> Loop:
    """Make the loop of the original GAN and of DCGAN: one noise draw whose fakes serve both sides, BCE on logits."""
    generator, discriminator = sides(recipe, shape, device)
    for_g, for_d = _adam(generator, recipe), _adam(discriminator, recipe)
    criterion = nn.BCEWithLogitsLoss()

    def step(images: torch.Tensor) -> tuple[float, float]:
        real = _scaled(images)
        ones, zeros = torch.ones(len(real), device=real.device), torch.zeros(len(real), device=real.device)
        fake = generator(torch.randn(len(real), recipe.noise, device=real.device))
        for_d.zero_grad()
        d_loss = criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)
        d_loss.backward()
        for_d.step()
        for_g.zero_grad()
        g_loss = criterion(discriminator(fake), ones)
        g_loss.backward()
        for_g.step()
        return d_loss.item(), g_loss.item()

    return Loop(step, generator, discriminator)


def naive_r3gan(recipe: Recipe, shape: tuple[int, ...], device: torch.device | str = "cpu") -> Loop:
    """Make the loop of R3GAN: relativistic, R1 and R2 at each step, its own noise for each side, as its authors do."""
    generator, discriminator = sides(recipe, shape, device)
    for_g, for_d = _adam(generator, recipe), _adam(discriminator, recipe)
    gammas = [value_at(recipe.penalties[name].weight, 0, 1) for name in ("r1", "r2")]

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(like), recipe.noise, device=like.device)

    def slope(logits: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(logits.sum(), at, create_graph=True)
        return gradient.square().sum((1, 2, 3))

    def step(images: torch.Tensor) -> tuple[float, float]:
        real = _scaled(images)
        generator.requires_grad_(False)
        discriminator.requires_grad_(True)
        for_d.zero_grad()
        real.requires_grad_()
        fake = generator(noise(real)).detach().requires_grad_()
        on_real, on_fake = discriminator(real), discriminator(fake)
        penalty = gammas[0] / 2 * slope(on_real, real) + gammas[1] / 2 * slope(on_fake, fake)
        d_loss = (functional.softplus(on_fake - on_real) + penalty).mean()
        d_loss.backward()
        for_d.step()

        generator.requires_grad_(True)
        discriminator.requires_grad_(False)
        for_g.zero_grad()
        real = real.detach()
        g_loss = functional.softplus(discriminator(real) - discriminator(generator(noise(real)))).mean()
        g_loss.backward()
        for_g.step()
        return d_loss.item(), g_loss.item()

    return Loop(step, generator, discriminator)


NAIVE = {"gan": naive_gan, "dcgan": naive_gan, "r3gan-small": naive_r3gan}


def rate(
    loop: Loop,
    images: np.ndarray,
    batch: int,
    *,
    seconds: float,
    warm_up: float = 2.0,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> float:
    """Measure a loop's images/s on uint8 images [N, C, H, W] that lie on the device, the warm-up excluded."""
    data = torch.from_numpy(images).to(device)
    torch.manual_seed(seed)
    order, at, shown, timed_from = torch.randperm(len(data)), 0, 0, None
    start = time.perf_counter()
    while True:
        if at + batch > len(data):
            order, at = torch.randperm(len(data)), 0
        loop.step(data[order[at : at + batch].to(data.device)])
        at += batch
        now = time.perf_counter() - start
        if timed_from is None:
            if now >= warm_up:
                timed_from = now
        else:
            shown += batch
            if now >= seconds + timed_from:
                return shown / (now - timed_from)
