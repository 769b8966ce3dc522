"""Embeddings on the discriminator's features, drawn to their classes and away from others: ReACGAN and ContraGAN."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gansmith.games.auxiliary import Classifying
from gansmith.losses.classification import conditional_contrastive, data_to_data
from gansmith.networks.head import Proxies
from gansmith.networks.layers import run


class Contrastive(Classifying):
    """As an auxiliary classifier, by embeddings of examples and classes, each of length 1, in the place of scores.

    L_D = L_adv + w_D C(x, y),  L_G = L_adv + w_G C(G(z, y), y), C coupling the batch.
    Kang et al., 2021, Rebooting ACGAN (arXiv:2111.01118); Kang and Park, 2020, ContraGAN (arXiv:2006.12681).

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: a `Critic`; unconditional (`classes: 0`), or told the class by projection.
        classes, vectors: number of classes; and that they are classes.
        kind: C, `data-to-data` (ReACGAN's) or `conditional` (ContraGAN's).
        temperature: by which cosines are divided.
        margin: m_p of `data-to-data`: a cosine with the class's proxy above it costs nothing more.
        others_margin: m_n: a cosine with another class's example below it costs nothing; None is 1 − m_p.
        embedding: dimensions of an embedding.
        fakes: the discriminator's side minimises C of fakes as well, among themselves.
        discriminator_weight, generator_weight: w_D and w_G.
        spectral: divide the embedding's weight by its largest singular value.
        others: what `Synthesis` takes.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        classes: int = 0,
        vectors: bool = False,
        kind: str = "data-to-data",
        temperature: float = 0.5,
        margin: float = 0.98,
        others_margin: float | None = None,
        embedding: int = 512,
        fakes: bool = False,
        discriminator_weight: float = 0.5,
        generator_weight: float = 0.5,
        spectral: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(
            generator, discriminator, classes=classes, vectors=vectors, fakes=fakes,
            discriminator_weight=discriminator_weight, generator_weight=generator_weight, **others,
        )  # fmt: skip
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, not {temperature}")
        kind = kind.replace("_", "-")
        if kind not in ("data-to-data", "conditional"):
            raise ValueError(f"kind is data-to-data or conditional, not {kind!r}")
        self.kind, self.temperature, self.margin, self.others_margin = kind, temperature, margin, others_margin
        self.coupled = True
        self.classifier = Proxies(self.feature_width, classes, embedding, spectral)

    def cost(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """C of these examples, compared with each other."""
        embeddings, proxies = run(self.classifier, features), self.classifier.of(labels)
        if self.kind == "conditional":
            return conditional_contrastive(embeddings, proxies, labels, self.temperature)
        return data_to_data(embeddings, proxies, labels, self.temperature, self.margin, self.others_margin)
