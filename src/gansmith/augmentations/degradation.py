"""How large pictures are made small, for networks that learn the way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from gansmith.augmentations.blurring import SIDE, bells, between, blurred, sincs
from gansmith.augmentations.jpeg import jpeg
from gansmith.augmentations.resizing import KERNELS, eight_bit, resize
from gansmith.draws import Draws


def degradation(settings: str | Mapping[str, Any], scale: int) -> Callable[[torch.Tensor, Draws], torch.Tensor]:
    """The degradation of this name (and of these settings), to 1/scale of each side.

    Raises:
        ValueError: there is none, or it has no such setting.
    """
    given: dict[str, Any] = {"name": settings} if isinstance(settings, str) else dict(settings)
    name = given.pop("name", None)
    kinds = {"bicubic": Bicubic, "real": Real}
    if name not in kinds:
        raise ValueError(f"degradation must be {' or '.join(kinds)}, not {name!r}")
    try:
        return kinds[name](scale, **given)
    except TypeError as error:
        raise ValueError(f"degradation {name}: {str(error).split(') ')[-1]}") from None


class Bicubic:
    """Antialiased bicubic, rounded to 8 bits: what super-resolution is trained and tested on.

    Args:
        scale: pixels of the large picture's side for one of the small one's.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def __call__(self, high: torch.Tensor, draws: Draws) -> torch.Tensor:
        """[B, C, scale · h, scale · w] in [-1, 1] → [B, C, h, w]."""
        height, width = (side // self.scale for side in high.shape[2:])
        low = resize(high, height, width, rounded=True)
        return low.contiguous(memory_format=torch.channels_last)


class Real:
    """Blur, resize, noise and JPEG, twice, and a sinc filter: what photographs went through, by Real-ESRGAN.

    Wang et al., 2021, Section 3 (arXiv:2107.10833), with the ranges of the authors' configuration. Every choice is
    each picture's own. Photon noise is drawn as the normal distribution of its mean and variance.

    Args:
        scale: pixels of the large picture's side for one of the small one's.
        blur: bounds of the deviation of the first and of the second blur, four numbers.
        second_blur: how often there is a second one.
        resize: bounds of the first and of the second change of size, four numbers; the second against the final size.
        noise: greatest deviation of the first and of the second Gaussian noise, in 1/255.
        photons: greatest strength of the first and of the second photon noise.
        grey: how often noise is the same in all channels.
        quality: bounds of JPEG's.
        sinc: how often a blur is a sinc filter; and how often there is one at the end.
    """

    def __init__(
        self,
        scale: int,
        blur: Sequence[float] = (0.2, 3.0, 0.2, 1.5),
        second_blur: float = 0.8,
        resize: Sequence[float] = (0.15, 1.5, 0.3, 1.2),
        noise: Sequence[float] = (30.0, 25.0),
        photons: Sequence[float] = (3.0, 2.5),
        grey: float = 0.4,
        quality: Sequence[float] = (30.0, 95.0),
        sinc: Sequence[float] = (0.1, 0.8),
    ) -> None:
        for name, given, count in (("blur", blur, 4), ("resize", resize, 4), ("noise", noise, 2),
                                   ("photons", photons, 2), ("quality", quality, 2), ("sinc", sinc, 2)):  # fmt: skip
            if len(given) != count or min(given) < 0:
                raise ValueError(f"degradation real: {name} takes {count} numbers from 0, not {list(given)}")
        if min(blur) <= 0 or min(resize) <= 0 or not 1 <= min(quality) <= max(quality) <= 100:
            raise ValueError("degradation real: blur and resize are above 0, and quality is from 1 to 100")
        self.scale, self.blur, self.second_blur, self.resize = scale, blur, second_blur, resize
        self.noise, self.photons, self.grey, self.quality, self.sinc = noise, photons, grey, quality, sinc

    def __call__(self, high: torch.Tensor, draws: Draws) -> torch.Tensor:
        """[B, C, scale · h, scale · w] in [-1, 1], grey or RGB → [B, C, h, w]."""
        if high.shape[1] not in (1, 3):
            raise ValueError(f"degradation real takes grey or RGB, not {high.shape[1]} channels")
        first, second, last = (draws.under(f"{draws.prefix}/{name}") for name in ("first", "second", "last"))
        sides = (high.shape[2], high.shape[3])
        final = (sides[0] // self.scale, sides[1] // self.scale)
        canvas = Canvas(blurred(high, self._kernels(first, *self.blur[:2])))
        canvas = canvas.resized(sides, _shares(first, self.resize[:2], 0.2, 0.7), self.resize[1], first)
        canvas = canvas.now(jpeg(self._noisy(canvas.x, first, 0).clamp(-1, 1), self._quality(first)))
        kernels = _or_none(self._kernels(second, *self.blur[2:]), second.uniform("blurs") < self.second_blur)
        canvas = canvas.now(blurred(canvas.x, kernels))
        canvas = canvas.resized(final, _shares(second, self.resize[2:], 0.3, 0.4), self.resize[3], second)
        canvas = canvas.now(self._noisy(canvas.x, second, 1).clamp(-1, 1))
        # At the end come the size and the ringing, before JPEG or after it.
        ringing = _or_none(sincs(last), last.uniform("rings") < self.sinc[1])

        def ended(canvas: Canvas) -> torch.Tensor:
            return blurred(canvas.resized(final, None, 1.0, last).x, ringing).clamp(-1, 1)

        quality = self._quality(last)
        before, after = ended(canvas.now(jpeg(canvas.x, quality))), jpeg(ended(canvas), quality)
        low = torch.where((last.uniform("order") < 0.5).view(-1, 1, 1, 1), after, before)
        return eight_bit(low).contiguous(memory_format=torch.channels_last)

    def _kernels(self, draws: Draws, least: float, most: float) -> torch.Tensor:
        rings = draws.uniform("rings") < self.sinc[0]
        under = draws.under(f"{draws.prefix}/sinc")
        return torch.where(rings.view(-1, 1, 1), sincs(under), bells(draws, least, most))

    def _quality(self, draws: Draws) -> torch.Tensor:
        return between(draws, "quality", *self.quality)

    def _noisy(self, x: torch.Tensor, draws: Draws, stage: int) -> torch.Tensor:
        """Gaussian noise, or that of photons, as often; in all channels alike, or in each its own."""
        own = draws.normal("noise", *x.shape[1:])
        alike = (draws.uniform("grey") < self.grey).view(-1, 1, 1, 1)
        own = torch.where(alike, own[:, :1], own)
        even = between(draws, "deviation", 1, max(self.noise[stage], 1)).view(-1, 1, 1, 1) / 127.5
        strength = between(draws, "photons", 0.05, max(self.photons[stage], 0.05)).view(-1, 1, 1, 1)
        bright = torch.where(alike, x.mean(1, keepdim=True), x)
        light = strength * ((bright + 1) / 2).clamp(0, 1).div(255).sqrt() * 2
        photons = (draws.uniform("kind of noise") < 0.5).view(-1, 1, 1, 1)
        return x + own * torch.where(photons, light, even.expand_as(light))


def _or_none(kernels: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The kernels, or such as change nothing."""
    none = torch.zeros(1, SIDE, SIDE, dtype=kernels.dtype, device=kernels.device)
    none[:, SIDE // 2, SIDE // 2] = 1
    return torch.where(chosen.view(-1, 1, 1), kernels, none)


def _shares(draws: Draws, bounds: Sequence[float], up_often: float, down_often: float) -> torch.Tensor:
    """By what each picture's size changes: up so often, down so often, or else not at all; [B]."""
    least, most = bounds
    which, how = draws.uniform("way"), draws.uniform("by")
    up, down = 1 + (max(most, 1.0) - 1) * how, least + (1 - least) * how
    return torch.where(which < up_often, up, torch.where(which < up_often + down_often, down, torch.ones_like(how)))


class Canvas:
    """Pictures of several sizes, each in the upper left of a tensor of one size: so no shape depends on what is drawn.

    Args:
        x: [B, C, H, W]; beyond a picture's right and lower edge its last pixels go on.
        height, width: of each picture, [B]; None is all of the tensor.
    """

    def __init__(self, x: torch.Tensor, height: torch.Tensor | None = None, width: torch.Tensor | None = None) -> None:
        self.x = x
        self.height = torch.full((len(x),), float(x.shape[2]), device=x.device) if height is None else height
        self.width = torch.full((len(x),), float(x.shape[3]), device=x.device) if width is None else width

    def now(self, x: torch.Tensor) -> Canvas:
        """The same places, filled otherwise."""
        return Canvas(x, self.height, self.width)

    def resized(self, sides: tuple[int, int], shares: torch.Tensor | None, most: float, draws: Draws) -> Canvas:
        """Each picture at its share of this size; by area, bilinearly or bicubically, as often.

        Args:
            sides: height and width.
            shares: [B], or None where all are 1.
            most: the largest share that there may be.
            draws: the random numbers.
        """
        method = draws.integers("method of " + ("the end" if shares is None else "the size"), len(KERNELS))
        x, new = self.x, []
        for axis, (side, held) in enumerate(zip(sides, (self.height, self.width), strict=True)):
            wanted = torch.full_like(held, float(side)) if shares is None else (side * shares).round().clamp_min(1)
            weights = _weights(held, wanted, x.shape[2 + axis], max(math.ceil(side * most), side), method).to(x)
            x = weights[:, None] @ x if axis == 0 else x @ weights[:, None].mT
            new.append(wanted)
        return Canvas(x, *new)


def _weights(held: torch.Tensor, wanted: torch.Tensor, inputs: int, outputs: int, method: torch.Tensor) -> torch.Tensor:
    """What takes `held` pixels in a row of `inputs` to `wanted` in one of `outputs`, [B, outputs, inputs]."""
    at = torch.arange(outputs, device=held.device).minimum((wanted - 1)[:, None].long())
    scale = (wanted / held)[:, None]
    centre = ((at + 0.5) / scale - 0.5)[:, :, None]
    place = torch.arange(inputs, device=held.device, dtype=held.dtype)
    away = scale.clamp_max(1)[:, :, None] * (centre - place)
    weights = torch.zeros_like(away)
    for i, (kernel, _) in enumerate(KERNELS.values()):
        weights = torch.where((method == i).view(-1, 1, 1), kernel(away), weights)
    weights = weights * (place < held[:, None, None])
    return weights / weights.sum(2, keepdim=True)
