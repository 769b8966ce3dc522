"""Codes beside the noise, which the discriminator's features must tell again: InfoGAN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from gansmith.draws import use
from gansmith.games.game import Turn
from gansmith.games.synthesis import Synthesis, Verdict
from gansmith.losses import information
from gansmith.networks.head import Head
from gansmith.networks.layers import couples, one_hot, run, wide


class Codes(NamedTuple):
    """What noise stands for.

    Attributes:
        classes: of each categorical code, int64 [B].
        continuous: the others, [B, V], in [-1, 1].
        latents: what the generator is given, [B, noise]: one-hot classes, the others, and the rest of the noise.
    """

    classes: tuple[torch.Tensor, ...]
    continuous: torch.Tensor
    latents: torch.Tensor


class Information(Synthesis):
    """Codes that the generator's pictures have to tell: what they control is found without labels.

    L_D = L_adv − λ L_I,  L_G = L_adv − λ L_I, with L_I = E[log Q(c|x)] + H(c), a lower bound of the mutual information
    of codes c and fakes x, and Q a head on the discriminator's features.
    Chen et al., 2016, Equations 5 and 6 (arXiv:1606.03657). Q is trained in the discriminator's move, as the authors'
    code does, since it shares that one's layers.

    Codes are a function of the noise, so that sampling and seeds are those of any GAN: of the first dimensions, each
    categorical code takes as many as it has classes, and is the greatest of them; each continuous one takes one, and
    is 2Φ(z) − 1. The classes of the first categorical code are the game's own, to be asked for as labels are.

    Args:
        generator: (latents [B, noise]) → data.
        discriminator: a `Critic`.
        classes: of the data; there may be none.
        categorical: the number of classes of each categorical code.
        continuous: how many continuous codes there are.
        categorical_weight, continuous_weight: λ of both kinds.
        learned_variance: Q tells a variance for each continuous code; otherwise it is 1.
        hidden: widths of Q's own hidden layers, each with batch norm; none is one linear layer.
        noise: dimensions of codes and noise together.
        others: what `Synthesis` takes.
    """

    heads = ("reader",)

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        classes: int = 0,
        categorical: Sequence[int] = (10,),
        continuous: int = 2,
        categorical_weight: float = 1.0,
        continuous_weight: float = 1.0,
        learned_variance: bool = False,
        hidden: Sequence[int] = (128,),
        noise: int = 74,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, noise=noise, **others)
        if classes:
            raise ValueError("information finds classes of its own: --conditional false")
        if any(each < 2 for each in categorical) or continuous < 0:
            raise ValueError(f"there are no codes of {list(categorical)} classes and {continuous} dimensions")
        self.categorical, self.continuous = tuple(categorical), continuous
        self.coded = sum(self.categorical) + continuous
        if not self.coded or self.coded > noise:
            raise ValueError(f"the codes take {self.coded} dimensions of the noise, which has {noise}")
        self.categorical_weight, self.continuous_weight = categorical_weight, continuous_weight
        self.learned_variance = learned_variance
        outputs = self.coded + (continuous if learned_variance else 0)
        self.reader = Head(self.feature_width, outputs, hidden, norm=True)
        self.coupled = self.coupled or couples(self.reader)
        if self.categorical:
            self.classes = tuple(str(i) for i in range(self.categorical[0]))

    def codes(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> Codes:
        """What noise [B, noise] stands for; labels take the place of the first categorical code."""
        parts = noise.split([*self.categorical, self.continuous, noise.shape[1] - self.coded], 1)
        classes = [part.argmax(1) for part in parts[: len(self.categorical)]]
        if labels is not None and classes:
            classes[0] = labels
        continuous = torch.erf(parts[-2] / math.sqrt(2))
        hot = [one_hot(each, number, noise) for each, number in zip(classes, self.categorical, strict=True)]
        return Codes(tuple(classes), continuous, torch.cat([*hot, continuous, parts[-1]], 1))

    def fakes(self, turn: Turn, noise: torch.Tensor | None = None) -> torch.Tensor:
        """The generator's fakes for this move, of its own noise or of another."""
        noise = self.latents(turn) if noise is None else noise
        with use(self._drawn(turn)):
            return run(self.generator, self.codes(noise).latents)

    def by_heads(
        self, move: str, turn: Turn, fake: torch.Tensor, of_real: Verdict | None, of_fake: Verdict
    ) -> dict[str, torch.Tensor]:
        """What the codes' bounds of information lack, on either side the same."""
        assert of_fake.features is not None
        codes = self.codes(self.latents(turn))
        read = wide(run(self.reader, of_fake.features))
        *scores, means, log_variances = read.split([*self.categorical, self.continuous, read.shape[1] - self.coded], 1)
        terms: dict[str, torch.Tensor] = {}
        if scores:
            told = [information.categorical(each, code) for each, code in zip(scores, codes.classes, strict=True)]
            terms["categorical"] = -self.categorical_weight * torch.stack(told).sum(0)
        if self.continuous:
            spread = log_variances if self.learned_variance else None
            told = information.gaussian(means, codes.continuous.to(means.dtype), spread)
            terms["continuous"] = -self.continuous_weight * told
        return terms

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Fakes of noise; labels ask for classes of the first categorical code, which the noise holds otherwise."""
        return run(self.generator, self.codes(noise, labels).latents)

    def truncated(self, noise: torch.Tensor, labels: torch.Tensor | None, psi: float) -> torch.Tensor:
        """Fakes of noise that is scaled by psi: a class stays what it is, and other codes come nearer to 0."""
        return self.generate(noise * psi, labels)
