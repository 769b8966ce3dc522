"""Games that learn what is normal, to tell what is not: f-AnoGAN, GANomaly and ALAD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from gansmith.data.dataset import Batch
from gansmith.draws import Draws, use
from gansmith.fields import Phase
from gansmith.games.bidirectional import Bidirectional
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.games.synthesis import Synthesis
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.networks.joint import JointHead
from gansmith.networks.layers import Critic, couples, judge, read, run, still, wide


class Detecting:
    """What the three have in common: a reconstruction, the paper's own score, and features of the discriminator."""

    def reconstruct(self, data: torch.Tensor) -> torch.Tensor:
        """What the game makes of an example by way of its latent vector, [B, …]."""
        raise NotImplementedError

    def score(self, data: torch.Tensor) -> torch.Tensor:
        """How anomalous an example is, as the paper has it, [B]; higher is more."""
        raise NotImplementedError

    def features(self, data: torch.Tensor) -> torch.Tensor:
        """The discriminator's features, [B, F]."""
        raise NotImplementedError


class FAnoGan(Detecting, Synthesis):
    """A GAN, and then an encoder into it, of which the pair no longer learns.

    L_E = ‖x − G(E(x))‖² / n + κ ‖f(x) − f(G(E(x)))‖² / n_f, with f the discriminator's features ("izi_f"), which is the
    score too. Schlegl et al., 2019 (Medical Image Analysis 54). The encoder learns against the averaged generator,
    which is the one that is used.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: one that offers its features.
        encoder: (data, labels) → z [B, noise].
        kappa: κ, weight of the features.
        encode: the share of the training, at its end, in which the encoder learns.
        others: as of `Synthesis`.
    """

    averaged = ("generator", "encoder")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        encoder: nn.Module,
        *,
        kappa: float = 1.0,
        encode: float = 0.4,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, **others)
        _reads(discriminator)
        if not 0 < encode < 1:
            raise ValueError(f"encode is a share of the training, between 0 and 1, not {encode}")
        self.encoder, self.kappa, self.encode_share = encoder, kappa, encode
        self.coupled = self.coupled or couples(encoder)

    def moves(self) -> Sequence[Move]:
        """The usual two, and in the second phase the encoder's alone."""
        encoder = Move("encoder", ("encoder",), fresh=True, phase="encode")
        return (*(replace(move, phase="play") for move in super().moves()), encoder)

    def phases(self) -> Sequence[Phase]:
        """The GAN's, and then the encoder's."""
        return (Phase(name="play", until=1 - self.encode_share), Phase(name="encode", until=1.0, settle=True))

    def enter(self, phase: str) -> None:
        """The pair is as it will be used while the encoder learns: batch norm by its running statistics."""
        for network in (self.generator, self.discriminator):
            network.train(self.training and phase != "encode")

    def encoder_loss(self, turn: Turn) -> Outcome:
        """What of an example and of its features is lost on the way through z."""
        data, labels = turn.batch.data, turn.batch.labels
        pixels, features = self.lost(data, labels, turn.draws)
        return Outcome({"data": pixels, "features": self.kappa * features})

    def lost(
        self, data: torch.Tensor, labels: torch.Tensor | None = None, draws: Draws | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squares, [B] each, of what the reconstruction misses: in the data, and in their features."""
        z = run(self.encoder, data, labels)
        with nullcontext() if draws is None else use(draws):
            made = wide(run(self.generator, z, labels))
        apart = read(self.discriminator, made, labels) - read(self.discriminator, data, labels)
        return _squares(made - data), _squares(wide(apart))

    def encode(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """E(x), [B, noise]."""
        return run(self.encoder, data, labels)

    def reconstruct(self, data: torch.Tensor) -> torch.Tensor:
        """G(E(x))."""
        return run(self.generator, self.encode(data))

    def score(self, data: torch.Tensor) -> torch.Tensor:
        """L_E."""
        pixels, features = self.lost(data)
        return pixels + self.kappa * features

    def features(self, data: torch.Tensor) -> torch.Tensor:
        """f(x)."""
        return wide(read(self.discriminator, data))


class Ganomaly(Detecting, Game):
    """Encoder, decoder, encoder: what is not normal is not found again in the latent space.

    With z = E(x), x' = G(z), z' = E'(x') and the discriminator's features f, the generator minimises
    w_a ‖f(x) − f(x')‖² + w_c ‖x − x'‖₁ + w_e ‖z − z'‖², each a mean, and the score is ‖z − z'‖₁.
    Akçay et al., 2018, Sections 3.2 and 3.3 (arXiv:1805.06725).

    Args:
        encoder: (data, labels) → z [B, noise].
        generator: the decoder, (z, labels) → data.
        again: E', as the encoder.
        discriminator: one that offers its features.
        loss: the adversarial loss, of which the discriminator's half is taken.
        noise: dimensions of z.
        adversarial: w_a, 1 in the paper.
        contextual: w_c, 50 in the paper.
        latent: w_e, 1 in the paper.
    """

    averaged = ("generator", "encoder", "again")
    use = "anomaly fit --run RUN --data UNSEEN --out DIR"
    better: Mapping[str, Literal["lower", "higher"]] = {"l1": "lower", "score": "lower"}

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        again: nn.Module,
        discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        noise: int = 64,
        adversarial: float = 1.0,
        contextual: float = 50.0,
        latent: float = 1.0,
    ) -> None:
        super().__init__()
        _reads(discriminator)
        self.encoder, self.generator, self.again, self.discriminator = encoder, generator, again, discriminator
        self.loss, self.noise = loss, noise
        self.adversarial, self.contextual, self.latent = adversarial, contextual, latent
        self.coupled = loss.coupled or any(couples(each) for each in (encoder, generator, again, discriminator))

    def moves(self) -> Sequence[Move]:
        """The discriminator's, and that of the other three."""
        return (
            Move("discriminator", ("discriminator",), fresh=True),
            Move("generator", ("encoder", "generator", "again")),
        )

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """Examples against their reconstructions."""
        data, labels = turn.batch.data, turn.batch.labels
        with torch.no_grad(), use(turn.draws.under("fakes")):
            made = run(self.generator, run(self.encoder, data, labels), labels)
        on_real, on_fake = (
            judge(self.discriminator, read(self.discriminator, x, labels), labels) for x in (data, made)
        )
        watched = {"on_real": on_real.detach(), "on_fake": on_fake.detach()}
        return Outcome({"adversarial": self.loss.discriminator(on_real, on_fake)}, watched=watched)

    def generator_loss(self, turn: Turn) -> Outcome:
        """The three terms."""
        data, labels = turn.batch.data, turn.batch.labels
        with still(), use(turn.draws.under("fakes")):  # the discriminator's move has made the same
            z = run(self.encoder, data, labels)
            made = wide(run(self.generator, z, labels))
        again = run(self.again, made, labels)
        with torch.no_grad():
            wanted = read(self.discriminator, data, labels)
        apart = read(self.discriminator, made, labels) - wanted
        return Outcome({
            "adversarial": self.adversarial * _squares(wide(apart)),
            "contextual": self.contextual * (made - data).abs().flatten(1).mean(1),
            "latent": self.latent * _squares(wide(z) - wide(again)),
        })  # fmt: skip

    def encode(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """E(x), [B, noise]."""
        return run(self.encoder, data, labels)

    def reconstruct(self, data: torch.Tensor) -> torch.Tensor:
        """G(E(x))."""
        return run(self.generator, self.encode(data))

    def score(self, data: torch.Tensor) -> torch.Tensor:
        """‖E(x) − E'(G(E(x)))‖₁."""
        z = self.encode(data)
        return (wide(z) - wide(run(self.again, run(self.generator, z)))).abs().sum(1)

    def features(self, data: torch.Tensor) -> torch.Tensor:
        """f(x)."""
        return wide(read(self.discriminator, data))

    def pictures(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """An example and its reconstruction."""
        return {"input": batch.data, "output": self.reconstruct(batch.data)} if batch.data.dim() == 4 else {}

    def numbers(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """How far a reconstruction is from its example, and the score."""
        apart = (self.reconstruct(batch.data) - batch.data).abs().flatten(1).mean(1)
        return {"l1": apart, "score": self.score(batch.data)}


class Alad(Detecting, Bidirectional):
    """BiGAN with two discriminators more, of examples beside their reconstructions and of vectors beside theirs.

    D_xz tells (x, E(x)) from (G(z), z), D_xx tells (x, x) from (x, G(E(x))), and D_zz tells (z, z) from
    (z, E(G(z))); generator and encoder minimise the same with each exchanged. The score is
    ‖f(x, x) − f(x, G(E(x)))‖₁, with f the features of D_xx.
    Zenati et al., 2018, Sections 4 and 5 (arXiv:1812.02288).

    Args:
        encoder: (data, labels) → z [B, noise].
        generator: (noise [B, noise], labels) → data.
        discriminator: one that offers its features; a head joins them with z.
        pairs: D_xx: `packed:Discriminator` of two, which offers its features.
        loss: the adversarial loss.
        noise: dimensions of the latent vector.
        classes: must be 0: pairs are told no class.
        hidden: width of the layers that judge vectors.
        discriminator_steps: discriminator moves for each of the other two's.
    """

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        pairs: nn.Module,
        *,
        loss: AdversarialLoss,
        noise: int = 64,
        classes: int = 0,
        hidden: int = 256,
        discriminator_steps: int = 1,
    ) -> None:
        super().__init__(
            encoder, generator, discriminator, loss=loss, noise=noise, hidden=hidden,
            discriminator_steps=discriminator_steps, spectral=True,
        )  # fmt: skip
        if classes:
            raise ValueError("its discriminators of pairs are told no class; write `conditional: false`")
        if self.moments == 2:
            raise ValueError("the game wants an encoder with moments: 1")
        _reads(pairs)
        if getattr(pairs, "pack", 1) != 2:
            raise ValueError("pairs judges two examples at once: `packed:Discriminator` with pack: 2")
        self.doubles, self.latents = pairs, JointHead(noise, noise, hidden, spectral=True)
        self.coupled = loss.coupled or any(
            couples(each) for each in (encoder, generator, discriminator, getattr(pairs, "inner", pairs))
        )

    def moves(self) -> Sequence[Move]:
        """The three discriminators', and one of generator and encoder together."""
        first, second = super().moves()
        return (replace(first, trains=(*first.trains, "doubles", "latents")), second)

    def drawn(self, turn: Turn) -> tuple[torch.Tensor, ...]:
        """x, E(x), G(E(x)) and z, G(z), E(G(z)), of the same numbers in both moves of a round."""
        (data, encoded), (made, z) = self.pairs(turn)
        with use(turn.draws.under("fakes")), still():  # running statistics are of first passes
            return data, encoded, run(self.generator, encoded), z, made, run(self.encoder, made)

    def verdicts(self, turn: Turn, drawn: Sequence[torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Logits [B] of what is real and of what is not, by discriminator."""
        data, encoded, again, z, made, z_again = drawn
        z = z.to(z_again.dtype)
        xx = (judge(self.doubles, self.beside(data, other)) for other in (data.to(again.dtype), again))
        zz = (wide(self.latents(z, other)) for other in (z, z_again))
        xz = (self.judge(turn, data, encoded), self.judge(turn, made, z))
        return {"adversarial": xz, "data": tuple(xx), "latent": tuple(zz)}  # type: ignore[dict-item]

    def beside(self, data: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """f(x, x'), [B, F]: neighbours in the batch are a pack."""
        return read(self.doubles, torch.stack([data.to(other.dtype), other], 1).flatten(0, 1))

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """The three discriminators' terms."""
        with torch.no_grad():
            drawn = self.drawn(turn)
        found = self.verdicts(turn, drawn)
        terms = {name: self.loss.discriminator(real, fake) for name, (real, fake) in found.items()}
        on_real, on_fake = found["adversarial"]
        return Outcome(terms, watched={"on_real": on_real.detach(), "on_fake": on_fake.detach()})

    def generator_loss(self, turn: Turn) -> Outcome:
        """The same with what is real and what is not exchanged."""
        with still():  # the discriminator's move has made the same
            drawn = self.drawn(turn)
        found = self.verdicts(turn, drawn)
        return Outcome({name: self.loss.discriminator(fake, real) for name, (real, fake) in found.items()})

    def reconstruct(self, data: torch.Tensor) -> torch.Tensor:
        """G(E(x))."""
        return run(self.generator, self.encode(data))

    def score(self, data: torch.Tensor) -> torch.Tensor:
        """‖f(x, x) − f(x, G(E(x)))‖₁."""
        made = self.reconstruct(data)
        return wide(self.beside(data, data.to(made.dtype)) - self.beside(data, made)).abs().sum(1)

    def features(self, data: torch.Tensor) -> torch.Tensor:
        """D_xz's features of the example."""
        return wide(read(self.discriminator, data))


def _reads(discriminator: nn.Module) -> None:
    if not isinstance(discriminator, Critic):
        raise ValueError("the game compares the discriminator's features, which this one does not offer")


def _squares(apart: torch.Tensor) -> torch.Tensor:
    """Mean squares, [B]."""
    return apart.flatten(1).square().mean(1)
