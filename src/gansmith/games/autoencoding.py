"""Data to latent vectors and back: the variational autoencoder, and the one that a discriminator helps.

Beside GANs, to be compared with them: samples are made of noise as theirs are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from gansmith.draws import use
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.networks.layers import Critic, Squash, couples, read, run, still

START = 0.5
"""The Gaussian's deviation at the start, where it is learned: about that of pictures in [-1, 1]."""


class Gaussian(nn.Module):
    """p(x|z) = N(D(z), σ² I), with the decoder's output as its mean.

    Args:
        deviation: σ; None is one number for all values, learned with the networks, from `START` on (Rybkin et
            al., 2021, arXiv:2006.13202).
    """

    def __init__(self, deviation: float | None = None) -> None:
        super().__init__()
        start = torch.tensor(math.log(START if deviation is None else deviation))
        if deviation is None:
            self.log_deviation = nn.Parameter(start)
        else:
            self.register_buffer("log_deviation", start, persistent=False)

    def energy(self, data: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """−log p(x|z) in nats, [B, …], [B, …] → [B]."""
        apart = (data - decoded).flatten(1)
        log = self.log_deviation
        return 0.5 * apart.square().sum(1) * (-2 * log).exp() + apart.shape[1] * (log + 0.5 * math.log(2 * math.pi))

    def mean(self, decoded: torch.Tensor) -> torch.Tensor:
        """E[x|z]."""
        return decoded


class Bernoulli(nn.Module):
    """The continuous Bernoulli distribution of each pixel: p(x|z) ∝ λᵗ (1 − λ)¹⁻ᵗ, t = (x + 1) / 2, λ = σ(D(z)).

    Loaiza-Ganem and Cunningham, 2019 (arXiv:1907.06845), who found that the constant which a plain cross-entropy of
    grey values leaves out is no constant. By a logit y it is y / tanh(y/2), and the mean of x is coth(y/2) − 2/y.
    """

    def energy(self, data: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """−log p(x|z) in nats of t, [B, …], logits [B, …] → [B]."""
        y, t = decoded.flatten(1), (data.flatten(1) + 1) / 2
        near = y.abs() < 0.1  # where both y and tanh(y/2) are nearly 0: the series
        far = torch.where(near, torch.ones_like(y), y)
        constant = torch.where(near, math.log(2) + y.square() / 12, (far / (far / 2).tanh()).log())
        return (nn.functional.softplus(y) - t * y - constant).sum(1)

    def mean(self, decoded: torch.Tensor) -> torch.Tensor:
        """E[x|z]."""
        near = decoded.abs() < 0.1
        far = torch.where(near, torch.ones_like(decoded), decoded)
        return torch.where(near, decoded / 6, 1 / (far / 2).tanh() - 2 / far)


class Autoencoding(Game):
    """The variational autoencoder: maximise E log p(x|z) − β KL(q(z|x) ‖ N(0, I)) over q = N(μ(x), σ(x)²).

    Kingma and Welling, 2014, Equation 10 and Appendix B (arXiv:1312.6114); β of Higgins et al., 2017. One move
    trains the encoder and the generator, which is the decoder; there is no discriminator.

    Args:
        encoder: (data, labels) → mean and log variance [B, 2 noise]: an `Encoder` with `moments: 2`.
        generator: (noise [B, noise], labels) → data, or logits of `bernoulli`.
        noise: dimensions of the latent vector.
        likelihood: `gaussian`; or `bernoulli`, of logits, for pictures that are nearly black and white.
        deviation: the Gaussian's σ; None learns it.
        beta: factor of the divergence.
    """

    averaged = ("generator", "encoder")

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        *,
        noise: int = 64,
        likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
        deviation: float | None = None,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        if likelihood not in ("gaussian", "bernoulli"):
            raise ValueError(f"likelihood must be gaussian or bernoulli, not {likelihood!r}")
        if deviation is not None and not (likelihood == "gaussian" and deviation > 0):
            raise ValueError(f"deviation is the gaussian's, and above 0, not {deviation}")
        if likelihood == "bernoulli" and any(isinstance(module, Squash) for module in generator.modules()):
            raise ValueError("bernoulli wants a generator that ends in logits and not in tanh (mlp: squash: false)")
        _encodes(encoder, 2)
        self.encoder, self.generator, self.noise, self.beta = encoder, generator, noise, beta
        self.likelihood = Gaussian(deviation) if likelihood == "gaussian" else Bernoulli()
        self.coupled = couples(encoder) or couples(generator)

    def moves(self) -> Sequence[Move]:
        """One, of all that there is."""
        return (Move("autoencoder", ("encoder", "generator", "likelihood"), fresh=True),)

    def posterior(self, turn: Turn) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw z ~ q(z|x), [B, noise], and KL(q(z|x) ‖ N(0, I)) [B]."""
        mean, log_variance = moments(self.encoder, turn.batch.data, turn.batch.labels)
        return sampled(turn, mean, log_variance), divergence(mean, log_variance)

    def decoded(self, turn: Turn, z: torch.Tensor) -> torch.Tensor:
        """The generator's output on z, in float32 at least."""
        out = run(self.generator, z, turn.batch.labels)
        return out if out.dtype == torch.float64 else out.float()

    def autoencoder_loss(self, turn: Turn) -> Outcome:
        """The two terms of the evidence's lower bound, negated."""
        z, apart = self.posterior(turn)
        energy = self.likelihood.energy(turn.batch.data, self.decoded(turn, z))
        return Outcome({"reconstruction": energy, "divergence": self.beta * apart})

    def encode(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The mean of q(z|x), [B, noise]."""
        return moments(self.encoder, data, labels)[0]

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The mean of p(x|z)."""
        return self.likelihood.mean(run(self.generator, noise, labels))


class VaeGan(Game):
    """The variational autoencoder whose likelihood is one of a discriminator's features, beside the adversarial game.

    With L_prior = KL(q(z|x) ‖ N(0, I)) and L_like = −log N(f(x); f(D(z)), σ² I) of the discriminator's features f,
    the encoder minimises L_prior + L_like, the generator γ L_like + the adversarial loss, and the discriminator the
    adversarial loss alone; fakes are decoded both of the prior and of encoded examples, half of the weight each.
    Larsen et al., 2016, Algorithm 1 (arXiv:1512.09300).

    Args:
        encoder: (data, labels) → mean and log variance [B, 2 noise]: an `Encoder` with `moments: 2`.
        generator: (noise [B, noise], labels) → data.
        discriminator: one that offers its features.
        loss: the adversarial loss.
        noise: dimensions of the latent vector.
        gamma: γ, the weight of the features in the generator's loss.
        deviation: σ, theirs is 1; features of small pictures may want less.
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
        gamma: float = 1e-2,
        deviation: float = 1.0,
    ) -> None:
        super().__init__()
        _encodes(encoder, 2)
        if deviation <= 0:
            raise ValueError(f"deviation must be above 0, not {deviation}")
        if not isinstance(discriminator, Critic):
            raise ValueError("the game compares the discriminator's features, which this one does not offer")
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator
        self.loss, self.noise, self.gamma, self.deviation = loss, noise, gamma, deviation
        self.coupled = loss.coupled or any(couples(network) for network in (encoder, generator, discriminator))

    def moves(self) -> Sequence[Move]:
        """Each network's own, on the same examples."""
        return (
            Move("discriminator", ("discriminator",), fresh=True),
            Move("encoder", ("encoder",)),
            Move("generator", ("generator",)),
        )

    def made(self, turn: Turn, z: torch.Tensor) -> torch.Tensor:
        """What the generator makes of z; layers that draw do so alike in all moves of a round."""
        with use(turn.draws.under("fakes")):
            return run(self.generator, z, turn.batch.labels)

    def latents(self, turn: Turn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draws of the prior and of q(z|x), and KL(q(z|x) ‖ N(0, I)): the same in all moves of a round."""
        mean, log_variance = moments(self.encoder, turn.batch.data, turn.batch.labels)
        one = turn.draws.under("fakes").normal("prior", self.noise)
        return one, sampled(turn, mean, log_variance), divergence(mean, log_variance)

    def judged(self, turn: Turn, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The discriminator's features [B, F] and logits [B]."""
        features = read(self.discriminator, points, turn.batch.labels)
        logits = self.discriminator.logits(features, turn.batch.labels)
        return tuple(x if x.dtype == torch.float64 else x.float() for x in (features, logits))  # type: ignore[return-value]

    def unlike(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """−log N(one; other, σ² I) of features [B, F], but for its constant; [B]."""
        return 0.5 * (one - other).square().sum(1) / self.deviation**2

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """Real examples against fakes of both kinds."""
        with torch.no_grad():
            prior, encoded, _ = self.latents(turn)
            fakes = [self.made(turn, z) for z in (prior, encoded)]
        on_real, on_prior, on_encoded = (self.judged(turn, x)[1] for x in (turn.batch.data, *fakes))
        both = self.loss.discriminator(on_real, on_prior) + self.loss.discriminator(on_real, on_encoded)
        watched = {"on_real": on_real.detach(), "on_fake": on_prior.detach(), "on_encoded": on_encoded.detach()}
        return Outcome({"adversarial": both / 2}, watched=watched)

    def encoder_loss(self, turn: Turn) -> Outcome:
        """What q(z|x) loses against the prior, and the features that are lost on the way."""
        with still():  # the discriminator's move has made the same
            _, encoded, apart = self.latents(turn)
            made = self.made(turn, encoded)
        with torch.no_grad():
            wanted = self.judged(turn, turn.batch.data)[0]
        again = self.judged(turn, made)[0]
        return Outcome({"divergence": apart, "features": self.unlike(again, wanted)})

    def generator_loss(self, turn: Turn) -> Outcome:
        """Fakes of both kinds that the discriminator takes for real, and like features."""
        with still():
            with torch.no_grad():
                prior, encoded, _ = self.latents(turn)
            made = [self.made(turn, z) for z in (prior, encoded)]
        with torch.no_grad():
            wanted, on_real = self.judged(turn, turn.batch.data)
        (_, on_prior), (again, on_encoded) = (self.judged(turn, fake) for fake in made)
        both = self.loss.generator(on_real, on_prior) + self.loss.generator(on_real, on_encoded)
        return Outcome({"adversarial": both / 2, "features": self.gamma * self.unlike(again, wanted)})

    def encode(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The mean of q(z|x), [B, noise]."""
        return moments(self.encoder, data, labels)[0]

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The decoder on noise."""
        return run(self.generator, noise, labels)


# --- what games with an encoder share ----------------------------------------------------------------


def _encodes(encoder: nn.Module, wanted: int) -> None:
    if getattr(encoder, "moments", wanted) != wanted:
        raise ValueError(f"the game wants an encoder with moments: {wanted}, a mean and a log variance")


def moments(encoder: nn.Module, data: torch.Tensor, labels: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and log variance of q(z|x), [B, noise] each, in float32 at least."""
    out = run(encoder, data, labels)
    mean, log_variance = (out if out.dtype == torch.float64 else out.float()).chunk(2, 1)
    return mean, log_variance


def sampled(turn: Turn, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """The draw z = μ + σ ε, with the same ε in all moves of a round."""
    noise = turn.draws.under("fakes").normal("posterior", mean.shape[1])
    return mean + (0.5 * log_variance).exp() * noise


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − log σ²), [B].

    Kingma and Welling, 2014, Appendix B (arXiv:1312.6114).
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
