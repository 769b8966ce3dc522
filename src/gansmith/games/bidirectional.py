"""An encoder that learns beside the generator: BiGAN and ALI."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gansmith.draws import use
from gansmith.games.autoencoding import moments, sampled
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.networks.joint import JointHead
from gansmith.networks.layers import Critic, couples, read, run, still


class Bidirectional(Game):
    """A discriminator of pairs: (x, E(x)) of real examples against (G(z), z) of noise.

    Where it cannot tell them apart, E inverts G. L_D is the loss of pairs (x, E(x)) as real and (G(z), z) as fake;
    generator and encoder minimise the same with the two exchanged, the "inverse objective".
    Donahue et al., 2017, Section 3 (arXiv:1605.09782), with an encoder of one moment; Dumoulin et al., 2017
    (arXiv:1606.00704), with one of two, z ~ N(μ(x), σ(x)²).

    Args:
        encoder: (data, labels) → z [B, noise], or mean and log variance [B, 2 noise].
        generator: (noise [B, noise], labels) → data.
        discriminator: one that offers its features; a head joins them with z.
        loss: the adversarial loss.
        noise: dimensions of the latent vector.
        hidden: width of the head's layers.
        discriminator_steps: discriminator moves for each of the other two's.
        spectral: spectral norm in the head's layers.
    """

    averaged = ("generator", "encoder")

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        noise: int = 64,
        hidden: int = 256,
        discriminator_steps: int = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(discriminator, Critic):
            raise ValueError("the game joins z with the discriminator's features, which this one does not offer")
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator
        self.head = JointHead(discriminator.feature_width, noise, hidden, spectral)
        self.loss, self.noise, self.discriminator_steps = loss, noise, discriminator_steps
        self.moments = getattr(encoder, "moments", 1)
        self.coupled = loss.coupled or any(couples(network) for network in (encoder, generator, discriminator))

    def moves(self) -> Sequence[Move]:
        """The discriminator's, and one of generator and encoder together."""
        return (
            Move("discriminator", ("discriminator", "head"), steps=self.discriminator_steps, fresh=True),
            Move("generator", ("generator", "encoder")),
        )

    def pairs(self, turn: Turn) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """(x, E(x)) and (G(z), z), of the same numbers in both moves of a round."""
        data, labels, draws = turn.batch.data, turn.batch.labels, turn.draws.under("fakes")
        z = draws.normal("noise", self.noise)
        if self.moments == 2:
            encoded = sampled(turn, *moments(self.encoder, data, labels))
        else:
            encoded = run(self.encoder, data, labels)
        with use(draws):
            made = run(self.generator, z, labels)
        return (data, encoded), (made, z)

    def judge(self, turn: Turn, data: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Logits [B] of pairs."""
        features = read(self.discriminator, data, turn.batch.labels)
        logits = self.head(features, z.to(features.dtype))
        return logits if logits.dtype == torch.float64 else logits.float()

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """Pairs of the encoder against pairs of the generator."""
        with torch.no_grad():
            real, fake = self.pairs(turn)
        on_real, on_fake = self.judge(turn, *real), self.judge(turn, *fake)
        watched = {"on_real": on_real.detach(), "on_fake": on_fake.detach()}
        return Outcome({"adversarial": self.loss.discriminator(on_real, on_fake)}, watched=watched)

    def generator_loss(self, turn: Turn) -> Outcome:
        """The discriminator's loss with the two kinds of pairs exchanged."""
        with still():  # the discriminator's move has made the same
            real, fake = self.pairs(turn)
        on_real, on_fake = self.judge(turn, *real), self.judge(turn, *fake)
        return Outcome({"adversarial": self.loss.discriminator(on_fake, on_real)})

    def encode(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """E(x), or the mean of q(z|x); [B, noise]."""
        return moments(self.encoder, data, labels)[0] if self.moments == 2 else run(self.encoder, data, labels)

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """G(z)."""
        return run(self.generator, noise, labels)
