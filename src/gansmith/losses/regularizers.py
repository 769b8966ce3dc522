"""Terms beside the adversarial loss that are no gradient of the discriminator at its input.

A regularizer belongs to one side's move and says what it is worth there, of whatever it wants of a `Look`. Each
function here gives a `Regularizer`; its name is its name among a recipe's `penalties`, with a weight and a laziness as
the gradient penalties of `penalties.py` have. Adding one is one function here and its test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn

from gansmith import collectives
from gansmith.draws import Draws

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Look:
    """What a regularizer may look at: one move's examples, and the networks on them.

    Attributes:
        real: real examples [B, …].
        fake: fakes [B, …]; with their graph in the generator's move, without in the discriminator's.
        on_real, on_fake: logits [B] of both; on_real is zeros in the generator's move where its loss takes none.
        noise: what the fakes were made of, [B, noise].
        labels: int64 [B], or None.
        draws: the move's random numbers, under the regularizer's own name.
        state: the regularizer's own state.
        generator, discriminator: the networks, for what is in their weights or offered by their methods.
        judge: (examples, purpose) → logits [B], through the augmentation, whose numbers go by the purpose.
        features: examples → the discriminator's features [B, F], as they are.
        make: noise → fakes, by the draws of the move's own fakes.
    """

    real: torch.Tensor
    fake: torch.Tensor
    on_real: torch.Tensor
    on_fake: torch.Tensor
    noise: torch.Tensor
    labels: torch.Tensor | None
    draws: Draws
    state: State
    generator: nn.Module
    discriminator: nn.Module
    judge: Callable[[torch.Tensor, str], torch.Tensor]
    features: Callable[[torch.Tensor], torch.Tensor]
    make: Callable[[torch.Tensor], torch.Tensor]


class Regularizer(NamedTuple):
    """Whose move a term joins, and what it is worth.

    Attributes:
        side: the move.
        value: look → [B], or a scalar where it couples the batch, before the recipe's weight; and new values of
            states.
        states: fixed-shape tensors that outlive a step: first value, and how ranks are brought together.
        coupled: whether the value mixes the examples of a batch (so that it cannot be split).
        reads: whether it asks for the discriminator's features, which not every network offers.
    """

    side: Literal["discriminator", "generator"]
    value: Callable[[Look], tuple[torch.Tensor, State]]
    states: Mapping[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]] = {}
    coupled: bool = False
    reads: bool = False


def drift() -> Regularizer:
    """The drift penalty, which keeps a critic's output near zero: D(x)².

    Karras et al., 2018, Appendix A.1, weight 0.001 (arXiv:1710.10196).
    """
    return Regularizer("discriminator", lambda look: (look.on_real.square(), {}))


def lecam(decay: float = 0.99) -> Regularizer:
    """LeCam's regularizer: logits are held to the other kind's average, (D(x) − α_F)² + (D(G(z)) − α_R)².

    α_R and α_F are exponential moving averages of the mean logits on real and fake examples, those of the steps
    before.
    Tseng et al., 2021, Equation 5 (arXiv:2104.03310).

    Args:
        decay: of the averages, a step.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be in [0, 1), not {decay}")

    def value(look: Look) -> tuple[torch.Tensor, State]:
        held, logits = look.state, {"real": look.on_real, "fake": look.on_fake}
        moved = {of: held[of].lerp(on.detach().mean().to(held[of].dtype), 1 - decay) for of, on in logits.items()}
        return (look.on_real - held["fake"]).square() + (look.on_fake - held["real"]).square(), moved

    # Untrained logits are near 0, where the averages begin.
    return Regularizer("discriminator", value, {of: (torch.zeros(()), "mean") for of in ("real", "fake")})


def feature_matching() -> Regularizer:
    """Feature matching, the generator's: ‖E f(x) − E f(G(z))‖² of the discriminator's features f.

    Salimans et al., 2016, Section 3.1 (arXiv:1606.03498).
    """

    def value(look: Look) -> tuple[torch.Tensor, State]:
        with torch.no_grad():
            wanted = collectives.all_mean(look.features(look.real).mean(0))
        return (collectives.all_mean(look.features(look.fake).mean(0)) - wanted).square().sum(), {}

    return Regularizer("generator", value, coupled=True, reads=True)
