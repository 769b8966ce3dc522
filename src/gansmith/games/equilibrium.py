"""An autoencoder against a generator, held in balance by a factor that follows them: BEGAN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from gansmith import collectives
from gansmith.games.game import Outcome, Turn
from gansmith.games.synthesis import Synthesis
from gansmith.losses.adversarial import AdversarialLoss


class Equilibrium(Synthesis):
    """BEGAN: the energy of fakes counts k times for the discriminator, and k keeps their share of the real ones' at γ.

    L_D = D(x) − k D(G(z)),  L_G = D(G(z)),  k ← clamp(k + λ (γ D(x) − D(G(z))), 0, 1).
    Berthelot et al., 2017, Section 3.4 (arXiv:1703.10717). Watched are k as `balance`, and as `convergence` the paper's
    measure M = D(x) + |γ D(x) − D(G(z))|, which falls while training gets on. k follows the fakes of the
    discriminator's step; with `shared_fakes` these are the generator's too, as in the paper.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: (data, labels) → energies [B].
        loss: of energies; `boundary` is BEGAN's.
        gamma: γ, how high the energy of fakes shall be, as a share of the real examples': the more, the more diverse.
        rate: λ, how fast k follows.
        start: k at the beginning.
        others: what `Synthesis` takes.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        gamma: float = 0.5,
        rate: float = 1e-3,
        start: float = 0.0,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, loss=loss, **others)
        if not loss.energy:
            raise ValueError("equilibrium balances energies; the loss for it is `boundary`")
        if not 0 <= gamma <= 1 or not 0 <= start <= 1:
            raise ValueError(f"gamma and start must be in [0, 1], not {gamma} and {start}")
        if rate < 0:
            raise ValueError(f"rate must not be negative, but is {rate}")
        self.gamma, self.rate, self.start = gamma, rate, start

    def states(self) -> dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]:
        """The factor k before it is clamped, and what regularizers remember."""
        return {**super().states(), "balance": (torch.tensor(float(self.start)), "mean")}

    def factor(self, turn: Turn) -> torch.Tensor:
        """k, clamped where it is read: so its mean over ranks and microbatches is right."""
        return turn.state["balance"].clamp(0, 1)

    def adversarial(self, turn: Turn, on_real: torch.Tensor, on_fake: torch.Tensor) -> torch.Tensor:
        """The discriminator's term, the fakes' energy times k."""
        return self.loss.discriminator(on_real, self.factor(turn) * on_fake)

    def told_apart(self, turn: Turn, fake: torch.Tensor) -> Outcome:
        """The discriminator's terms, and the next k."""
        outcome, k = super().told_apart(turn, fake), self.factor(turn)
        real, fakes = (-outcome.watched[on].mean() for on in ("on_real", "on_fake"))
        moved = k + self.rate * (self.gamma * real - fakes).to(k.dtype)
        whole = collectives.all_mean(torch.stack([real, fakes]))
        measure = whole[0] + (self.gamma * whole[0] - whole[1]).abs()
        watched = {**outcome.watched, "balance": k, "convergence": measure}
        return replace(outcome, state={**outcome.state, "balance": moved}, watched=watched)
