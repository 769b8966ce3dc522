"""Synthesis that grows: from few pixels to many, each level faded in and then kept for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gansmith.fields import Phase
from gansmith.games.game import Outcome, Turn
from gansmith.games.synthesis import Synthesis
from gansmith.networks.layers import pad_to
from gansmith.networks.pggan import Grown, doubled, halved


class Growing(Synthesis):
    """Progressive growing (Karras et al., 2018, Section 2 and Appendix A.1, arXiv:1710.10196).

    Its phases are named by the shorter side in pixels: `4`, `8 fade`, `8`, `16 fade` and so on, up to the data's own.
    While a level fades in, its share goes from 0 to 1, of real examples too. Real examples are halved by the mean;
    samples of a training that has not grown up are enlarged to the data's size. The optimisers begin anew with a new
    level, as in the authors' code.

    Args:
        generator, discriminator: networks that grow, as `pggan`'s.
        grown: when the last level has been faded in: images, or a fraction of the training. The phases before share
            that time equally.
        others: what `Synthesis` takes.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        grown: float = 0.5,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, **others)
        if not isinstance(generator, Grown) or not isinstance(discriminator, Grown):
            raise ValueError("growing takes networks that grow, such as pggan, on both sides")
        if generator.sizes != discriminator.sizes:
            raise ValueError(f"the networks grow by different sizes, {generator.sizes} and {discriminator.sizes}")
        if not grown > 0:
            raise ValueError(f"grown must be above zero (images, or a fraction of the training), not {grown}")
        self.grows: tuple[Grown, Grown] = (generator, discriminator)
        self.names = [str(min(size)) for size in generator.sizes]
        self.grown = grown

    def phases(self) -> Sequence[Phase]:
        """The smallest level, and for each other one its fade and its stay; the last stays to the end."""
        names = [self.names[0], *[each for name in self.names[1:] for each in (f"{name} fade", name)]]
        ends = [self.grown * i / max(len(names) - 1, 1) for i in range(1, len(names))] + [1.0]
        fades = [name.endswith("fade") for name in names]
        return [Phase(name=n, until=end, renew=fade) for n, end, fade in zip(names, ends, fades, strict=True)]

    def enter(self, phase: str) -> None:
        """Use the levels that the phase's name says."""
        name, _, fade = phase.partition(" ")
        for network in self.grows:
            network.grow(self.names.index(name), bool(fade))

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """As `Synthesis`, at the level in use."""
        return super().discriminator_loss(self._now(turn))

    def generator_loss(self, turn: Turn) -> Outcome:
        """As `Synthesis`, at the level in use."""
        return super().generator_loss(self._now(turn))

    def _now(self, turn: Turn) -> Turn:
        for network in self.grows:
            if network.fading:
                network.fade(turn.knobs["phase"])
        return replace(turn, batch=turn.batch._replace(data=self.shrunk(turn.batch.data)))

    def shrunk(self, data: torch.Tensor) -> torch.Tensor:
        """Real examples [B, C, H, W] as large as the level in use, and as sharp as its share."""
        network, top = self.grows[0], len(self.names) - 1
        if network.level < top:
            data = halved(pad_to(data, *network.padded(top)), top - network.level)
        if network.fading:
            blurred = doubled(halved(pad_to(data, *network.padded(network.level))))
            data = network.mixed(blurred[:, :, : data.shape[2], : data.shape[3]], data)
        return data

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Fakes of noise, enlarged to the data's size where the training has not grown up."""
        made, network = super().generate(noise, labels), self.grows[0]
        height, width = network.sizes[-1]
        missing = len(self.names) - 1 - network.level
        return doubled(made, missing)[:, :, :height, :width] if missing else made
