"""DiffAugment: few simple augmentations of real examples and fakes alike, through which gradients flow.

Zhao et al., 2020, Differentiable Augmentation for Data-Efficient GAN Training (arXiv:2006.10738), Section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gansmith.augmentations.parts import checked, colours, over
from gansmith.draws import Draws

SHIFT = 1 / 8
"""Largest shift, as a share of a side."""
BOX = 1 / 2
"""Side of the cut-out box, as a share of the image's."""

_UNIFORM = ("brightness", "saturation", "contrast", "shift row", "shift column", "box row", "box column")


class Diffaugment:
    """x ↦ T(x) with T = cutout ∘ translation ∘ colour, each part of it on with probability p × its strength.

    With a probability of 1 it is the paper's, all of whose images are augmented. Differentiable in the images twice;
    at p = 0 the identity, exactly.
    Zhao et al., 2020 (arXiv:2006.10738). Its policy "colour" is the first three parts.

    Args:
        shape: (C, H, W) of an image: grey, grey and alpha, RGB, or RGB and alpha.
        brightness: strength, in [0, 1], of adding a number from [-0.5, 0.5].
        saturation: of a multiplication of the colours' distance from grey by a number from [0, 2]; RGB only.
        contrast: of a multiplication of the distance from the image's mean by a number from [0.5, 1.5].
        translation: of a shift by whole pixels, up to an eighth of a side, with zeros (mid-grey) from beyond.
        cutout: of a box, half the image's sides, that is made mid-grey.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        brightness: float = 1.0,
        saturation: float = 1.0,
        contrast: float = 1.0,
        translation: float = 1.0,
        cutout: float = 1.0,
    ) -> None:
        self.colours = colours("diffaugment", shape)
        self.strengths = checked({
            "brightness": brightness, "saturation": saturation, "contrast": contrast, "translation": translation,
            "cutout": cutout,
        })  # fmt: skip

    def __call__(self, images: torch.Tensor, draws: Draws, p: float | torch.Tensor) -> torch.Tensor:
        """Augment each image by numbers of its own.

        Args:
            images: [B, C, H, W] in [-1, 1].
            draws: the numbers; purposes `gates` and `uniform`.
            p: probability in [0, 1], a number or a 0-d tensor; it is compared, never branched on.

        Returns:
            [B, C, H, W] in the type of `images`; computed in float32 at least.
        """
        x = images if images.dtype == torch.float64 else images.float()
        gates = draws.uniform("gates", len(self.strengths)).unbind(1)
        on = {name: u < p * strength for (name, strength), u in zip(self.strengths.items(), gates, strict=True)}
        numbers = draws.uniform("uniform", len(_UNIFORM)).to(x.dtype).unbind(1)
        uniform: dict[str, torch.Tensor] = dict(zip(_UNIFORM, numbers, strict=True))
        x = torch.cat([self._colour(x[:, : self.colours], on, uniform), x[:, self.colours :]], 1)
        if self.strengths["translation"] > 0:
            x = _moved(x, on["translation"], uniform)
        if self.strengths["cutout"] > 0:
            x = _cut(x, on["cutout"], uniform)
        return x.to(images.dtype)

    def _colour(self, x: torch.Tensor, on: dict[str, torch.Tensor], uniform: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.strengths["brightness"] > 0:
            x = x + over(torch.where(on["brightness"], uniform["brightness"] - 0.5, 0.0))
        if self.strengths["saturation"] > 0 and self.colours == 3:
            grey = x.mean(1, keepdim=True)
            x = torch.where(over(on["saturation"]), grey + (x - grey) * over(2 * uniform["saturation"]), x)
        if self.strengths["contrast"] > 0:
            mean = x.mean((1, 2, 3), keepdim=True)
            x = torch.where(over(on["contrast"]), mean + (x - mean) * over(uniform["contrast"] + 0.5), x)
        return x


def _moved(x: torch.Tensor, on: torch.Tensor, uniform: dict[str, torch.Tensor]) -> torch.Tensor:
    at, inside = [], []
    for axis, name in ((2, "row"), (3, "column")):
        side = x.shape[axis]
        most = _rounded(side * SHIFT)
        shift = (_whole(uniform[f"shift {name}"], 2 * most + 1) - most) * on
        source = torch.arange(side, device=x.device) - shift[:, None]
        inside.append((source >= 0) & (source < side))
        at.append(source.clamp(0, side - 1))
    index = at[0][:, :, None] * x.shape[3] + at[1][:, None, :]
    index = index.view(len(x), 1, -1).expand(-1, x.shape[1], -1)
    there = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.flatten(2).gather(2, index).view(x.shape).masked_fill(~there, 0.0)


def _cut(x: torch.Tensor, on: torch.Tensor, uniform: dict[str, torch.Tensor]) -> torch.Tensor:
    inside = over(on)
    for axis, name in ((2, "row"), (3, "column")):
        side = x.shape[axis]
        box = _rounded(side * BOX)
        # The box lies about any pixel, or any corner of pixels where its side is even: part of it may be outside.
        first = _whole(uniform[f"box {name}"], side + 1 - box % 2) - box // 2
        place = torch.arange(side, device=x.device) - first[:, None]
        near = (place >= 0) & (place < box)
        inside = inside & near.view(-1, 1, *((side, 1) if axis == 2 else (1, side)))
    return x.masked_fill(inside, 0.0)


def _whole(uniform: torch.Tensor, high: int) -> torch.Tensor:
    """Whole numbers in [0, high) of numbers in [0, 1)."""
    return (uniform * high).long().clamp(max=high - 1)


def _rounded(x: float) -> int:
    """The nearest whole number, and the larger of two."""
    return int(x + 0.5)
