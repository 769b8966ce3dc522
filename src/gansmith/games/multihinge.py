"""One classifier of the classes and of fakes in the discriminator's place: the multi-hinge GAN."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gansmith.games.game import Turn
from gansmith.games.synthesis import Synthesis, Verdict
from gansmith.losses.adversarial import AdversarialLoss, hinge
from gansmith.losses.classification import multi_hinge
from gansmith.networks.head import Head
from gansmith.networks.layers import read, run, wide


class Multihinge(Synthesis):
    """K classes and that of fakes, told apart by the multi-class hinge; no other adversarial term.

    With scores C of K + 1 classes and M the multi-class hinge loss: L_D = M(C(x), y) + M(C(G(z, y)), K),
    L_G = M(C(G(z, y)), y). Kavalerov et al., 2019, cGANs with Multi-Hinge Loss (arXiv:1912.04216); their later version
    puts the loss beside that of a projection discriminator, which is the game `auxiliary` of kind `multi-hinge`.
    Penalties see C_y − C_K as the logit, and so does who watches.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: a `Critic`, unconditional (`classes: 0`); its own logit is not used.
        classes, vectors: number of classes, K; and that they are classes.
        generator_weight: factor of L_G.
        spectral: divide the scores' weights by their largest singular value.
        loss: not used.
        others: what `Synthesis` takes.
    """

    heads = ("classifier",)

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        classes: int = 0,
        vectors: bool = False,
        generator_weight: float = 1.0,
        spectral: bool = False,
        loss: AdversarialLoss | None = None,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, loss=hinge(), **others)
        if classes < 2 or vectors:
            raise ValueError("multihinge needs data with labels, and not --conditional false")
        self.generator_weight = generator_weight
        self.classifier = Head(self.feature_width, classes + 1, spectral=spectral)

    def judged(self, seen: torch.Tensor, labels: torch.Tensor | None) -> Verdict:
        """C_y − C_K as logits, and all scores in the features' place."""
        assert labels is not None
        scores = wide(run(self.classifier, read(self.discriminator, seen)))
        return Verdict(scores.gather(1, labels.unsqueeze(1)).squeeze(1) - scores[:, -1], scores)

    def by_heads(
        self, move: str, turn: Turn, fake: torch.Tensor, of_real: Verdict | None, of_fake: Verdict
    ) -> dict[str, torch.Tensor]:
        """The multi-class hinge in the place of the adversarial term."""
        labels = turn.batch.labels
        assert labels is not None
        assert of_fake.features is not None
        if of_real is None:
            return {"adversarial": self.generator_weight * multi_hinge(of_fake.features, labels)}
        assert of_real.features is not None
        fakes = torch.full_like(labels, of_fake.features.shape[1] - 1)
        return {"adversarial": multi_hinge(of_real.features, labels) + multi_hinge(of_fake.features, fakes)}
