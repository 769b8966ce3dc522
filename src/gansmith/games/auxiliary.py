"""A classifier on the discriminator's features, by which the generator learns classes: ACGAN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from gansmith.games.game import Turn
from gansmith.games.synthesis import Synthesis, Verdict
from gansmith.losses.classification import cross_entropy, multi_hinge
from gansmith.networks.head import Head
from gansmith.networks.layers import run, wide

KINDS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross-entropy": cross_entropy,
    "multi-hinge": multi_hinge,
}
"""Losses of scores [B, K] and labels, by the names that a recipe gives them."""


class Classifying(Synthesis):
    """The usual GAN with a head that tells classes by the discriminator's features; `cost` says how.

    The discriminator minimises the head's cost of real examples (and of fakes), the generator that of its fakes, each
    beside the adversarial term. Features are read of examples without their labels; logits may know them.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: a `Critic`; unconditional (`classes: 0`), or told the class by projection.
        classes: number of classes.
        vectors: whether the data have vectors in the classes' place, which this game cannot tell.
        fakes: the discriminator's side minimises the cost of fakes as well, by the labels that they were asked for.
        discriminator_weight, generator_weight: factors of the cost, on either side.
        others: what `Synthesis` takes.
    """

    heads = ("classifier",)

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        classes: int,
        vectors: bool,
        fakes: bool,
        discriminator_weight: float,
        generator_weight: float,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, **others)
        if classes < 2 or vectors:
            raise ValueError("a game that tells classes needs data with labels, and not --conditional false")
        self.of_fakes = fakes
        self.discriminator_weight, self.generator_weight = discriminator_weight, generator_weight

    def cost(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What the head makes of features [B, F] and labels: [B], less where it finds them."""
        raise NotImplementedError

    def by_heads(
        self, move: str, turn: Turn, fake: torch.Tensor, of_real: Verdict | None, of_fake: Verdict
    ) -> dict[str, torch.Tensor]:
        """The cost of real examples and of fakes, or of the generator's fakes alone."""
        labels = turn.batch.labels
        assert labels is not None
        assert of_fake.features is not None
        if of_real is None:
            return {"class": self.generator_weight * self.cost(of_fake.features, labels)}
        assert of_real.features is not None
        cost = self.cost(of_real.features, labels)
        if self.of_fakes:
            cost = cost + self.cost(of_fake.features, labels)
        return {"class": self.discriminator_weight * cost}


class Auxiliary(Classifying):
    """An auxiliary classifier: the discriminator also names the class, and the generator makes what it names rightly.

    L_D = L_adv + w_D (C(x, y) + C(G(z, y), y)),  L_G = L_adv + w_G C(G(z, y), y), C the classifier's loss.
    Odena et al., 2017, Equations 2 and 3 (arXiv:1610.09585). With `multi-hinge` and without the fakes in L_D, it is the
    auxiliary loss of Kavalerov et al., 2021 (arXiv:1912.04216), whose discriminator is told the class by projection.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: a `Critic`; unconditional (`classes: 0`), or told the class by projection.
        classes, vectors: number of classes; and that they are classes.
        kind: the classifier's loss, `cross-entropy` or `multi-hinge`.
        fakes: the discriminator's side minimises it on fakes as well.
        discriminator_weight, generator_weight: w_D and w_G.
        hidden: widths of the classifier's hidden layers; none is one linear layer.
        spectral: divide its weights by their largest singular values.
        others: what `Synthesis` takes.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        classes: int = 0,
        vectors: bool = False,
        kind: str = "cross-entropy",
        fakes: bool = True,
        discriminator_weight: float = 1.0,
        generator_weight: float = 1.0,
        hidden: Sequence[int] = (),
        spectral: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(
            generator, discriminator, classes=classes, vectors=vectors, fakes=fakes,
            discriminator_weight=discriminator_weight, generator_weight=generator_weight, **others,
        )  # fmt: skip
        kind = kind.replace("_", "-")
        if kind not in KINDS:
            raise ValueError(f"kind is {' or '.join(KINDS)}, not {kind!r}")
        self.kind = kind
        self.classifier = Head(self.feature_width, classes, hidden, spectral=spectral)

    def cost(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The classifier's loss."""
        return KINDS[self.kind](wide(run(self.classifier, features)), labels)
