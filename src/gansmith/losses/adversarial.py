"""Adversarial losses: pairs of pure functions on logits, one value for each example.

Each function here gives an `AdversarialLoss`; its name is the loss's name in a recipe. Adding one is
one function here and its test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid, softplus

from gansmith import collectives


class AdversarialLoss(NamedTuple):
    """What each side minimises.

    Attributes:
        discriminator: (real logits [B], fake logits [B]) → [B].
        generator: (real logits [B], fake logits [B]) → [B]; the real ones are of a fixed discriminator.
        relativistic: whether the generator's loss looks at the real logits at all.
        coupled: whether values mix the examples of a batch (so that it cannot be split).
        energy: whether it takes energies in the place of logits: from 0 up, and low for what is real.
        undecided: the logit at which the best discriminator holds an example for as likely real as fake; None
            where nothing but differences of logits means anything.
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    relativistic: bool = False
    coupled: bool = False
    energy: bool = False
    undecided: float | None = None

    def verdict(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        """How sure the discriminator is of real examples, [B]: above 0 where it holds them for real.

        By their logits where one of them means undecided, else by those against a fake's: then a mean sign of 1 is
        perfect order, and 0 no order, whatever the losses do to the logits.
        """
        if self.energy:
            return fake - real
        return real - fake if self.undecided is None else real - self.undecided


def nonsaturating() -> AdversarialLoss:
    """The original GAN with the non-saturating generator.

    L_D = softplus(−D(x)) + softplus(D(G(z))),  L_G = softplus(−D(G(z))).
    Goodfellow et al., 2014, Generative Adversarial Nets, Section 3 (arXiv:1406.2661).
    """
    return AdversarialLoss(
        lambda real, fake: softplus(-real) + softplus(fake),
        lambda real, fake: softplus(-fake),
        undecided=0.0,
    )


def minimax() -> AdversarialLoss:
    """The original GAN as the zero-sum game.

    L_D = −log σ(D(x)) − log(1 − σ(D(G(z)))),  L_G = log(1 − σ(D(G(z)))).
    Goodfellow et al., 2014, Equation 1 (arXiv:1406.2661).
    """
    return AdversarialLoss(
        lambda real, fake: softplus(-real) + softplus(fake),
        lambda real, fake: logsigmoid(-fake),
        undecided=0.0,
    )


def relativistic() -> AdversarialLoss:
    """Relativistic pairing: each fake is compared with one real example.

    L_D = softplus(−(D(x) − D(G(z)))),  L_G = softplus(−(D(G(z)) − D(x))).
    Jolicoeur-Martineau, 2018 (arXiv:1807.00734); Huang et al., 2024, Equation 2 (arXiv:2501.05441).
    """
    return AdversarialLoss(
        lambda real, fake: softplus(fake - real),
        lambda real, fake: softplus(real - fake),
        relativistic=True,
    )


def wasserstein() -> AdversarialLoss:
    """The Wasserstein loss.

    L_D = D(G(z)) − D(x),  L_G = −D(G(z)).
    Arjovsky et al., 2017, Equation 2 and Algorithm 1 (arXiv:1701.07875).
    """
    return AdversarialLoss(lambda real, fake: fake - real, lambda real, fake: -fake)


def hinge() -> AdversarialLoss:
    """The hinge loss.

    L_D = max(0, 1 − D(x)) + max(0, 1 + D(G(z))),  L_G = −D(G(z)).
    Lim and Ye, 2017 (arXiv:1705.02894); Miyato et al., 2018, Equations 16 and 17 (arXiv:1802.05957).
    """
    return AdversarialLoss(
        lambda real, fake: torch.relu(1 - real) + torch.relu(1 + fake),
        lambda real, fake: -fake,
        undecided=0.0,
    )


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0) -> AdversarialLoss:
    """The least-squares loss; by default with targets 1 (real) and 0 (fake).

    L_D = ½(D(x) − b)² + ½(D(G(z)) − a)²,  L_G = ½(D(G(z)) − c)².
    Mao et al., 2017, Equation 2; the default is Equation 9 (arXiv:1611.04076).

    Args:
        a: the discriminator's target for fakes.
        b: its target for real examples.
        c: the generator's target. With b − c = 1 and b − a = 2 it minimises the Pearson χ² divergence
            (a = −1, b = 1, c = 0, Equation 8).
    """
    return AdversarialLoss(
        lambda real, fake: 0.5 * (real - b).square() + 0.5 * (fake - a).square(),
        lambda real, fake: 0.5 * (fake - c).square(),
        undecided=(a + b) / 2,
    )


# --- energies: low for what is real --------------------------------------------------------------------


def energy(margin: float = 10.0) -> AdversarialLoss:
    """The margin loss of EBGAN, on energies: D(x) from 0 up, and low for real examples.

    L_D = D(x) + max(0, margin − D(G(z))),  L_G = D(G(z)).
    Zhao et al., 2017, Equations 1 and 2 (arXiv:1609.03126).

    Args:
        margin: the energy that a fake has to have at least, in the discriminator's unit.
    """
    if margin <= 0:
        raise ValueError(f"margin must be above 0, but is {margin}")
    return AdversarialLoss(lambda real, fake: real + torch.relu(margin - fake), lambda real, fake: fake, energy=True)


def boundary() -> AdversarialLoss:
    """What BEGAN balances: the difference of energies, L_D = D(x) − D(G(z)), L_G = D(G(z)).

    Berthelot et al., 2017, Section 3 (arXiv:1703.10717). Alone L_D has no lower bound; the game `equilibrium` gives
    D(G(z)) a factor k that holds both sides in balance.
    """
    return AdversarialLoss(lambda real, fake: real - fake, lambda real, fake: fake, energy=True)


# --- relativistic average: each example is compared with the mean of the other kind ------------------


def relativistic_average() -> AdversarialLoss:
    """The relativistic average GAN (RaGAN).

    With C = D(x) − E D(G(z)) on real and D(G(z)) − E D(x) on fake:
    L_D = softplus(−C(real)) + softplus(C(fake)),  L_G = softplus(−C(fake)) + softplus(C(real)).
    Jolicoeur-Martineau, 2018, Section 4.2 (arXiv:1807.00734).
    """
    return _against_the_mean(lambda c: softplus(-c), softplus)


def relativistic_average_least_squares() -> AdversarialLoss:
    """The relativistic average GAN by least squares (RaLSGAN).

    With C as in `relativistic_average`: L_D = (C(real) − 1)² + (C(fake) + 1)²,
    L_G = (C(fake) − 1)² + (C(real) + 1)².
    Jolicoeur-Martineau, 2018, Equations 29 and 30 of its version of July 2018 (arXiv:1807.00734).
    """
    return _against_the_mean(lambda c: (c - 1).square(), lambda c: (c + 1).square())


def relativistic_average_hinge() -> AdversarialLoss:
    """The relativistic average GAN with the hinge (RaHingeGAN).

    With C as in `relativistic_average`: L_D = max(0, 1 − C(real)) + max(0, 1 + C(fake)),
    L_G = max(0, 1 − C(fake)) + max(0, 1 + C(real)).
    Jolicoeur-Martineau, 2018, the losses of the experiments (arXiv:1807.00734).
    """
    return _against_the_mean(lambda c: torch.relu(1 - c), lambda c: torch.relu(1 + c))


Curve = Callable[[torch.Tensor], torch.Tensor]


def _against_the_mean(high: Curve, low: Curve) -> AdversarialLoss:
    """What is small where a logit is above (`high`) or below (`low`) the mean of the other kind.

    The mean is over the batch of all ranks: each rank's own values would be a loss of a smaller batch.
    """

    def compare(better: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
        over_worse = better - collectives.all_mean(worse.mean())
        over_better = worse - collectives.all_mean(better.mean())
        return high(over_worse) + low(over_better)

    return AdversarialLoss(compare, lambda real, fake: compare(fake, real), relativistic=True, coupled=True)


# --- f-divergences ------------------------------------------------------------------------------------

STEEP = 20.0
"""Where the exponentials of f-GAN go on as their tangents, so that values and slopes stay finite in float32.

e²⁰ is 5·10⁸: the square of such a slope, which Adam keeps, is finite as well.
"""


def kl(saturating: bool = True) -> AdversarialLoss:
    """The Kullback-Leibler divergence of f-GAN: g_f(v) = v, f*(t) = exp(t − 1).

    L_D = exp(D(G(z)) − 1) − D(x),  L_G = −exp(D(G(z)) − 1); not saturating, L_G = −D(G(z)).
    Nowozin et al., 2016, Equations 7 and 8, Tables 2 and 6, and Section 3.2 (arXiv:1606.00709).
    An exponential of more than `STEEP` goes on as its tangent.

    Args:
        saturating: the generator minimises the divergence's bound itself; else it maximises g_f(D(G(z))).
    """
    return _divergence(lambda v: v, lambda v: _exp(v - 1), saturating, undecided=1.0)


def reverse_kl(saturating: bool = True) -> AdversarialLoss:
    """The reverse Kullback-Leibler divergence of f-GAN: g_f(v) = −exp(−v), f*(t) = −1 − log(−t).

    L_D = exp(−D(x)) + D(G(z)) − 1,  L_G = 1 − D(G(z)); not saturating, L_G = exp(−D(G(z))).
    Nowozin et al., 2016, Equations 7 and 8, Tables 2 and 6, and Section 3.2 (arXiv:1606.00709).
    An exponential of more than `STEEP` goes on as its tangent.

    Args:
        saturating: the generator minimises the divergence's bound itself; else it maximises g_f(D(G(z))).
    """
    return _divergence(lambda v: -_exp(-v), lambda v: v - 1, saturating)


def pearson(saturating: bool = True) -> AdversarialLoss:
    """The Pearson χ² divergence of f-GAN: g_f(v) = v, f*(t) = ¼t² + t.

    L_D = ¼D(G(z))² + D(G(z)) − D(x),  L_G = −¼D(G(z))² − D(G(z)); not saturating, L_G = −D(G(z)).
    Nowozin et al., 2016, Equations 7 and 8, Tables 2 and 6, and Section 3.2 (arXiv:1606.00709).
    The square is the paper's for all t; of a ratio of densities, never below 0, f* would be −1 for t < −2.

    Args:
        saturating: the generator minimises the divergence's bound itself; else it maximises g_f(D(G(z))).
    """
    return _divergence(lambda v: v, lambda v: 0.25 * v.square() + v, saturating)


def squared_hellinger(saturating: bool = True) -> AdversarialLoss:
    """The squared Hellinger distance of f-GAN: g_f(v) = 1 − exp(−v), f*(t) = t / (1 − t).

    L_D = exp(−D(x)) + exp(D(G(z))) − 2,  L_G = 1 − exp(D(G(z))); not saturating, L_G = exp(−D(G(z))) − 1.
    Nowozin et al., 2016, Equations 7 and 8, Tables 2 and 6, and Section 3.2 (arXiv:1606.00709).
    An exponential of more than `STEEP` goes on as its tangent.

    Args:
        saturating: the generator minimises the divergence's bound itself; else it maximises g_f(D(G(z))).
    """
    return _divergence(lambda v: 1 - _exp(-v), lambda v: _exp(v) - 1, saturating)


def jensen_shannon(saturating: bool = True) -> AdversarialLoss:
    """The Jensen-Shannon divergence of f-GAN: g_f(v) = log 2 − log(1 + exp(−v)), f*(t) = −log(2 − exp(t)).

    L_D = softplus(−D(x)) + softplus(D(G(z))) − 2 log 2,  L_G = log 2 − softplus(D(G(z))); not saturating,
    L_G = softplus(−D(G(z))) − log 2: the gradients of `minimax` and `nonsaturating`, and the divergence's scale.
    Nowozin et al., 2016, Equations 7 and 8, Tables 2 and 6, and Section 3.2 (arXiv:1606.00709).

    Args:
        saturating: the generator minimises the divergence's bound itself; else it maximises g_f(D(G(z))).
    """
    return _divergence(lambda v: math.log(2) + logsigmoid(v), lambda v: softplus(v) - math.log(2), saturating)


def _divergence(activated: Curve, conjugated: Curve, saturating: bool, undecided: float = 0.0) -> AdversarialLoss:
    """L_D = f*(g_f(D(G(z)))) − g_f(D(x)), of g_f and of f* after g_f, which is written out: in steps it overflows.

    Undecided is g_f(v) = f'(1) (Nowozin et al., 2016, Section 2.3): v = 0 but for the Kullback-Leibler divergence.
    """
    return AdversarialLoss(
        lambda real, fake: conjugated(fake) - activated(real),
        lambda real, fake: -conjugated(fake) if saturating else -activated(fake),
        undecided=undecided,
    )


def _exp(x: torch.Tensor) -> torch.Tensor:
    """exp(x) up to `STEEP`, and its tangent beyond."""
    near = x.clamp(max=STEEP)
    return near.exp() * (1 + (x - near))
