"""The augmentations of ADA: leak-free, since each is applied with a probability below one.

Karras et al., 2020, Training Generative Adversarial Networks with Limited Data (arXiv:2006.06676),
Section 2 and Appendix B. One thing is simpler here: a warp samples bilinearly, without the paper's wavelet
filter. Its image-space filtering and noise are off unless they are asked for, as Huang et al., 2024, leave them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from gansmith.augmentations.bands import filtered
from gansmith.augmentations.geometry import blit, warp
from gansmith.augmentations.parts import checked, colours, over
from gansmith.draws import Draws

SHIFT, FRACTION = 0.125, 0.125
"""Largest whole-pixel shift, and the deviation of the fractional one, as shares of a side."""
OCTAVES, CONTRAST, SATURATION, BRIGHTNESS = 0.2, 0.5, 1.0, 0.2
"""Deviations: log2 of the scales, log2 of the contrast and of the saturation, and the brightness."""
BOX = 0.5
"""Side of the cut-out box, as a share of the image's."""
AMPLIFIED, NOISE = 1.0, 0.1
"""Deviations: log2 of what a band of frequencies is amplified by, and of the noise's own deviation."""
POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of the power that each band is taken to hold, from the lowest."""

_UNIFORM = (
    "xflip", "rotate90", "xint column", "xint row", "rotate", "rotate again", "lumaflip", "hue",
    "cutout column", "cutout row",
)  # fmt: skip
_NORMAL = ("scale", "aniso", "xfrac column", "xfrac row", "brightness", "contrast", "saturation")


class _Numbers(NamedTuple):
    """What was drawn, by name, [B] each: which parts are on, and how far they go."""

    on: dict[str, torch.Tensor]
    uniform: dict[str, torch.Tensor]
    normal: dict[str, torch.Tensor]

    def when(self, part: str, value: torch.Tensor, otherwise: float) -> torch.Tensor:
        """`value` where a part is on."""
        return torch.where(self.on[part], value, torch.full_like(value, otherwise))


class Ada:
    """x ↦ T(x) with T = cutout ∘ noise ∘ filter ∘ colour ∘ warp ∘ blit, each on with probability p × its strength.

    Karras et al., 2020, Appendix B (arXiv:2006.06676); the default strengths are those of Huang et al.,
    2024 (arXiv:2501.05441). Differentiable in the images twice; at p = 0 the identity, exactly.

    Args:
        shape: (C, H, W) of an image: grey, grey and alpha, RGB, or RGB and alpha.
        xflip: strength, in [0, 1], of mirroring left to right (a mirror is then a coin's throw).
        rotate90: of a turn by 0, 90, 180 or 270 degrees (0 or 180 where the image is not square).
        xint: of a shift by whole pixels, up to an eighth of a side.
        scale: of a scaling by 2^N(0, 0.2²).
        rotate: of a rotation by any angle, half of it before and half after `aniso`.
        aniso: of a scaling by 2^N(0, 0.2²) along one axis and its inverse along the other.
        xfrac: of a shift by N(0, 0.125²) sides.
        brightness: of adding N(0, 0.2²).
        contrast: of a multiplication by 2^N(0, 0.5²).
        lumaflip: of the luminance's change of sign (a change is then a coin's throw).
        hue: of a rotation of the colours about grey, by any angle; RGB only.
        saturation: of a scaling of the colours' distance from grey by 2^N(0, 1²); RGB only.
        filter: of an amplification of each of four bands of frequencies by 2^N(0, 1²), at an unchanged total power.
        additive_noise: of adding N(0, σ²) to each value, with σ from |N(0, 0.1²)|.
        cutout: of a box, half the image's sides, that is made mid-grey.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        xflip: float = 1.0,
        rotate90: float = 1.0,
        xint: float = 1.0,
        scale: float = 1.0,
        rotate: float = 1.0,
        aniso: float = 1.0,
        xfrac: float = 1.0,
        brightness: float = 0.5,
        contrast: float = 0.5,
        lumaflip: float = 0.5,
        hue: float = 0.5,
        saturation: float = 0.5,
        filter: float = 0.0,
        additive_noise: float = 0.0,
        cutout: float = 1.0,
    ) -> None:
        self.colours = colours("ada", shape)
        self.square = shape[1] == shape[2]
        self.strengths = checked({
            "xflip": xflip, "rotate90": rotate90, "xint": xint, "scale": scale, "rotate": rotate,
            "aniso": aniso, "xfrac": xfrac, "brightness": brightness, "contrast": contrast,
            "lumaflip": lumaflip, "hue": hue, "saturation": saturation, "cutout": cutout,
        })  # fmt: skip
        self.corruptions = checked({"filter": filter, "additive_noise": additive_noise})

    def __call__(self, images: torch.Tensor, draws: Draws, p: float | torch.Tensor) -> torch.Tensor:
        """Augment each image by numbers of its own.

        Args:
            images: [B, C, H, W] in [-1, 1].
            draws: the numbers; purposes `gates`, `uniform` and `normal`, and others for the filter and the noise.
            p: probability in [0, 1], a number or a 0-d tensor; it is compared, never branched on.

        Returns:
            [B, C, H, W] in the type of `images`; computed in float32 at least.
        """
        x = images if images.dtype == torch.float64 else images.float()
        numbers = self._draw(draws, p, x.dtype)
        if self._has("xflip", "rotate90", "xint"):
            x = self._blit(x, numbers)
        if self._has("scale", "rotate", "aniso", "xfrac"):
            x = self._warp(x, numbers)
        if self._has("brightness", "contrast", "lumaflip", "hue", "saturation"):
            x = torch.cat([self._colour(x[:, : self.colours], numbers), x[:, self.colours :]], 1)
        for name, part in (("filter", _amplified), ("additive_noise", _noisy)):
            if self.corruptions[name] > 0:
                seen = part(x[:, : self.colours], draws, p * self.corruptions[name])
                x = torch.cat([seen, x[:, self.colours :]], 1)
        if self._has("cutout"):
            x = self._cut(x, numbers)
        return x.to(images.dtype)

    def _has(self, *parts: str) -> bool:
        return any(self.strengths[part] > 0 for part in parts)

    def _draw(self, draws: Draws, p: float | torch.Tensor, dtype: torch.dtype) -> _Numbers:
        chances = {name: p * strength for name, strength in self.strengths.items()}
        # Two rotations, each with such a probability that one or both are on with the wanted one.
        chances["rotate"] = chances["rotate again"] = 1 - (1 - chances["rotate"]) ** 0.5
        gates = draws.uniform("gates", len(chances)).unbind(1)
        uniform = draws.uniform("uniform", len(_UNIFORM)).to(dtype).unbind(1)
        normal = draws.normal("normal", len(_NORMAL)).to(dtype).unbind(1)
        return _Numbers(
            {name: u < chance for (name, chance), u in zip(chances.items(), gates, strict=True)},
            dict(zip(_UNIFORM, uniform, strict=True)),
            dict(zip(_NORMAL, normal, strict=True)),
        )

    def _blit(self, x: torch.Tensor, numbers: _Numbers) -> torch.Tensor:
        on, uniform, _ = numbers
        turns = (4 * uniform["rotate90"]).long().clamp(max=3)
        turns = turns if self.square else turns // 2 * 2
        shift = [
            ((2 * uniform[f"xint {axis}"] - 1) * (SHIFT * side)).round().long() * on["xint"]
            for axis, side in (("column", x.shape[3]), ("row", x.shape[2]))
        ]
        return blit(x, on["xflip"] & (uniform["xflip"] < 0.5), turns * on["rotate90"], torch.stack(shift, 1))

    def _warp(self, x: torch.Tensor, numbers: _Numbers) -> torch.Tensor:
        on, uniform, normal = numbers
        scale = numbers.when("scale", 2 ** (OCTAVES * normal["scale"]), 1.0)
        aniso = numbers.when("aniso", 2 ** (OCTAVES * normal["aniso"]), 1.0)
        before, after = (
            numbers.when(name, (2 * uniform[name] - 1) * math.pi, 0.0) for name in ("rotate", "rotate again")
        )
        right, down = (
            numbers.when("xfrac", normal[f"xfrac {axis}"] * (FRACTION * side), 0.0)
            for axis, side in (("column", x.shape[3]), ("row", x.shape[2]))
        )
        # The inverse map, applied to the two unit vectors and the origin: from the last part to the first.
        none, one = torch.zeros_like(right), torch.ones_like(right)
        column, row = torch.stack([one, none, -right], 1), torch.stack([none, one, -down], 1)
        column, row = _turned(column, row, -after)
        column, row = column / aniso[:, None], row * aniso[:, None]
        column, row = _turned(column, row, -before)
        back = torch.stack([column, row], 1) / scale[:, None, None]
        moved = on["scale"] | on["rotate"] | on["aniso"] | on["rotate again"] | on["xfrac"]
        # An image that is not moved stays exact: sampling it again would round.
        return torch.where(over(moved), warp(x, back), x)

    def _colour(self, x: torch.Tensor, numbers: _Numbers) -> torch.Tensor:
        """One affine map of the colours: grey and the distance from grey are scaled apart, and hue turns the latter."""
        on, uniform, normal = numbers
        contrast = numbers.when("contrast", 2 ** (CONTRAST * normal["contrast"]), 1.0)
        brightness = numbers.when("brightness", BRIGHTNESS * normal["brightness"], 0.0)
        sign = torch.where(on["lumaflip"] & (uniform["lumaflip"] < 0.5), -contrast, contrast)
        offset = over(sign * brightness)
        if self.colours == 1:
            return x * over(sign) + offset
        saturation = contrast * numbers.when("saturation", 2 ** (SATURATION * normal["saturation"]), 1.0)
        hue = numbers.when("hue", (2 * uniform["hue"] - 1) * math.pi, 0.0)
        # Rodrigues' formula about v = (1, 1, 1)/√3, where v(v·x) is the grey part and v × x = (b-g, r-b, g-r)/√3.
        along, across = saturation * hue.cos(), saturation * hue.sin() / math.sqrt(3)
        grey = x.mean(1, keepdim=True)
        cross = x.roll(1, 1) - x.roll(-1, 1)
        return x * over(along) + grey * over(sign - along) + cross * over(across) + offset

    def _cut(self, x: torch.Tensor, numbers: _Numbers) -> torch.Tensor:
        inside = over(numbers.on["cutout"])
        for axis, name in ((3, "column"), (2, "row")):
            side = x.shape[axis]
            middle = numbers.uniform[f"cutout {name}"].view(-1, 1) * side
            near = (torch.arange(side, device=x.device) + 0.5 - middle).abs() < BOX * side / 2
            inside = inside & near.view(-1, 1, *((1, side) if axis == 3 else (side, 1)))
        return x.masked_fill(inside, 0.0)


def _turned(column: torch.Tensor, row: torch.Tensor, angle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return cos * column - sin * row, sin * column + cos * row


def _amplified(x: torch.Tensor, draws: Draws, chance: float | torch.Tensor) -> torch.Tensor:
    """The image with bands of frequencies amplified, each time scaled to the power that it is taken to have had."""
    on = draws.uniform("filter gates", len(POWER)) < chance
    amplified = torch.where(on, 2 ** (AMPLIFIED * draws.normal("filter", len(POWER)).to(x.dtype)), 1.0)
    power = torch.ones_like(amplified[:, 0])
    for one, share in zip(amplified.unbind(1), POWER, strict=True):
        power = power * (1 + share * (one.square() - 1))
    gains = amplified / power.sqrt()[:, None]
    # An image that is not amplified stays exact: its bands would add up to it but for rounding.
    return torch.where(over(on.any(1)), filtered(x, gains), x)


def _noisy(x: torch.Tensor, draws: Draws, chance: float | torch.Tensor) -> torch.Tensor:
    deviation = NOISE * draws.normal("noise deviation").abs()
    deviation = torch.where(draws.uniform("noise gates") < chance, deviation, 0.0).to(x.dtype)
    return x + over(deviation) * draws.normal("noise", *x.shape[1:]).to(x.dtype)
