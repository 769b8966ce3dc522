"""Adversarial losses: pairs of pure functions on logits, one value for each example.

Each function here gives an `AdversarialLoss`; its name is the loss's name in a recipe. Adding one is
one function here and its test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid, softplus


class AdversarialLoss(NamedTuple):
    """What each side minimises.

    Attributes:
        discriminator: (real logits [B], fake logits [B]) → [B].
        generator: (real logits [B], fake logits [B]) → [B]; the real ones are of a fixed discriminator.
        relativistic: whether the generator's loss looks at the real logits at all.
        coupled: whether values mix the examples of a batch (so that it cannot be split).
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    relativistic: bool = False
    coupled: bool = False


def nonsaturating() -> AdversarialLoss:
    """The original GAN with the non-saturating generator.

    L_D = softplus(−D(x)) + softplus(D(G(z))),  L_G = softplus(−D(G(z))).
    Goodfellow et al., 2014, Generative Adversarial Nets, Section 3 (arXiv:1406.2661).
    """
    return AdversarialLoss(
        lambda real, fake: softplus(-real) + softplus(fake),
        lambda real, fake: softplus(-fake),
    )


def minimax() -> AdversarialLoss:
    """The original GAN as the zero-sum game.

    L_D = −log σ(D(x)) − log(1 − σ(D(G(z)))),  L_G = log(1 − σ(D(G(z)))).
    Goodfellow et al., 2014, Equation 1 (arXiv:1406.2661).
    """
    return AdversarialLoss(
        lambda real, fake: softplus(-real) + softplus(fake),
        lambda real, fake: logsigmoid(-fake),
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
    )


def least_squares() -> AdversarialLoss:
    """The least-squares loss with targets 1 (real) and 0 (fake).

    L_D = ½(D(x) − 1)² + ½D(G(z))²,  L_G = ½(D(G(z)) − 1)².
    Mao et al., 2017, Equation 9 (arXiv:1611.04076).
    """
    return AdversarialLoss(
        lambda real, fake: 0.5 * (real - 1).square() + 0.5 * fake.square(),
        lambda real, fake: 0.5 * (fake - 1).square(),
    )
