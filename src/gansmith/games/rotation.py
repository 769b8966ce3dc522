"""The discriminator tells by how much pictures are turned, so that it keeps what it has learnt: SSGAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from gansmith.games.game import Turn
from gansmith.games.synthesis import Synthesis, Verdict
from gansmith.losses.classification import cross_entropy
from gansmith.networks.head import Head
from gansmith.networks.layers import read, run, wide


class Rotation(Synthesis):
    """The usual GAN, and a head on the discriminator's features that names the turn of pictures: 0, 90, 180 or 270°.

    L_D = L_adv + β C(x turned),  L_G = L_adv + α C(G(z) turned), C the cross-entropy of the four.
    Chen et al., 2019, Self-Supervised GANs via Auxiliary Rotation Loss, Section 3 (arXiv:1811.11212). The mean over
    the four turns is drawn: each picture in one of them.

    Args:
        generator: (noise [B, noise], labels) → images.
        discriminator: a `Critic`.
        shape: of one image, which must be square.
        discriminator_weight: β.
        generator_weight: α.
        spectral: divide the head's weight by its largest singular value.
        others: what `Synthesis` takes.
    """

    heads = ("turns",)

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        shape: Sequence[int],
        discriminator_weight: float = 1.0,
        generator_weight: float = 0.2,
        spectral: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, **others)
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"rotation turns square images, not examples of shape {tuple(shape)}")
        self.discriminator_weight, self.generator_weight = discriminator_weight, generator_weight
        self.turns = Head(self.feature_width, 4, spectral=spectral)

    def by_heads(
        self, move: str, turn: Turn, fake: torch.Tensor, of_real: Verdict | None, of_fake: Verdict
    ) -> dict[str, torch.Tensor]:
        """The cross-entropy of the turns of real examples, or of the generator's fakes."""
        images = fake if of_real is None else turn.batch.data
        quarters = turn.draws.integers("turns", 4)
        features = read(self.discriminator, self._seen(turn, turned(images, quarters), "turned"))
        cost = cross_entropy(wide(run(self.turns, features)), quarters)
        return {"rotation": (self.generator_weight if of_real is None else self.discriminator_weight) * cost}


def turned(images: torch.Tensor, quarters: torch.Tensor) -> torch.Tensor:
    """Square images [B, C, H, H], each turned to the left by its number of quarters, int64 [B]."""
    quarters = quarters.view(-1, 1, 1, 1)
    once = torch.where(quarters % 2 == 1, images.rot90(1, (2, 3)), images)
    return torch.where(quarters >= 2, once.flip(2, 3), once)
