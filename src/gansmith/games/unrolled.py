"""A generator that looks ahead: its opponent is the discriminator after some steps more. Unrolled GAN."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn
from torch.func import functional_call

from gansmith import collectives
from gansmith.games.game import Outcome, Turn
from gansmith.games.synthesis import Synthesis
from gansmith.networks.layers import run, still

EPS = 1e-8
"""Adam's; its square is added under the root, which then has a slope where there is no gradient."""

State = dict[str, torch.Tensor]


class Unrolled(Synthesis):
    """The generator plays against the discriminator that k steps on this batch would make of the present one.

    L_G(θ, ψ_k), with ψ_{i+1} = ψ_i − η ∇_ψ L_D(θ, ψ_i), is differentiated through all steps, and through the fakes in
    them too. Metz et al., 2017, Section 2 (arXiv:1611.02163). L_D is all that the discriminator's own move minimises at
    this step, its penalties and regularizers included; that move itself is the usual one.

    The steps are plain gradient descent, or Adam's, as in the authors' code. A game sees no optimiser: Adam's moments
    here follow the gradients of the first inner step, one for each generator move, and are the game's own.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: (data, labels) → logits [B].
        unroll: k.
        rate: η.
        inner: `sgd` or `adam`.
        betas: Adam's decay rates.
        saddle: the generator minimises −L_D of real and fake examples, as in the paper; otherwise the loss's own L_G.
        others: what `Synthesis` takes.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        unroll: int = 5,
        rate: float = 1e-2,
        inner: Literal["sgd", "adam"] = "sgd",
        betas: tuple[float, float] = (0.5, 0.999),
        saddle: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(generator, discriminator, **others)
        if unroll < 0 or rate < 0:
            raise ValueError(f"unroll and rate must not be negative, but are {unroll} and {rate}")
        if inner not in ("sgd", "adam"):
            raise ValueError(f"inner is `sgd` or `adam`, not {inner!r}")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be in [0, 1), not {tuple(betas)}")
        self.unroll, self.rate, self.adam, self.betas = unroll, rate, inner == "adam", tuple(betas)
        self.saddle = saddle
        self.coupled = self.coupled or unroll > 0  # an inner step is one of the whole batch

    def variant(self, move: str, step: int) -> Hashable:
        """The penalties that are due at this step; in the generator's move, those of the inner steps as well."""
        return self.due(move, step), self.due("discriminator", step)

    def states(self) -> dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]:
        """Adam's moments of each of the discriminator's weights, and what regularizers remember."""
        own: dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]] = {}
        if self.adam:
            own["inner/steps"] = torch.zeros(()), "same"
            for name, weight in self.discriminator.named_parameters():
                for moment in ("mean", "square"):
                    own[f"inner/{moment}/{name}"] = torch.zeros(weight.shape), "same"
        return {**super().states(), **own}

    def generator_loss(self, turn: Turn) -> Outcome:
        """The generator's loss against the discriminator to come."""
        if not self.unroll:
            return super().generator_loss(turn)
        turn = replace(turn, shared={"fake": self.made(turn)})
        with still():
            weights, state = self.ahead(turn)
            outcome: Outcome = functional_call(self, weights, ("ahead", turn))
        return replace(outcome, state={**outcome.state, **state})

    def ahead(self, turn: Turn) -> tuple[dict[str, torch.Tensor], State]:
        """The discriminator's weights ψ_k by their names in the game, and the moments after the first step."""
        weights = {f"discriminator.{name}": _wide(p) for name, p in self.discriminator.named_parameters()}
        moments = {key.removeprefix("inner/"): value for key, value in turn.state.items() if key.startswith("inner/")}
        state: State = {}
        for i in range(self.unroll):
            outcome: Outcome = functional_call(self, weights, ("inner", turn))
            total = torch.stack([term.mean() for term in outcome.terms.values()]).sum()
            slopes = torch.autograd.grad(total, list(weights.values()), create_graph=True, allow_unused=True)
            steps = {
                name: torch.zeros_like(w) if slope is None else collectives.all_mean(slope)
                for (name, w), slope in zip(weights.items(), slopes, strict=True)
            }
            if self.adam:
                steps, moments = self._adam(steps, moments)
            if self.adam and i == 0:
                held = turn.state
                state = {f"inner/{key}": v.detach().to(held[f"inner/{key}"].dtype) for key, v in moments.items()}
            weights = {name: w - self.rate * steps[name] for name, w in weights.items()}
        return weights, state

    def _adam(self, slopes: State, moments: State) -> tuple[State, State]:
        """Adam's steps of slopes, each of the size 1 or so, and its moments after them."""
        (b1, b2), count = self.betas, moments["steps"] + 1
        steps, after = {}, {"steps": count}
        for name, slope in slopes.items():
            key = name.removeprefix("discriminator.")
            mean = b1 * moments[f"mean/{key}"] + (1 - b1) * slope
            square = b2 * moments[f"square/{key}"] + (1 - b2) * slope.square()
            after |= {f"mean/{key}": mean, f"square/{key}": square}
            steps[name] = mean / (1 - b1**count) / (square / (1 - b2**count) + EPS**2).sqrt()
        return steps, after

    def inner_loss(self, turn: Turn) -> Outcome:
        """What an inner step descends: the discriminator's terms, as functions of the fakes too."""
        return self.told_apart(turn, turn.shared["fake"])

    def ahead_loss(self, turn: Turn) -> Outcome:
        """The generator's terms, with the discriminator's weights as they are."""
        fake, labels, real = turn.shared["fake"], turn.batch.labels, turn.batch.data
        on_fake = run(self.discriminator, self._seen(turn, fake, "fake"), labels, logits=True)
        on_real = torch.zeros_like(on_fake)
        if self.saddle or self.loss.relativistic:  # these logits, too, are functions of the fakes
            on_real = run(self.discriminator, self._seen(turn, real, "real"), labels, logits=True)
        if self.saddle:
            term = -self.adversarial(turn, on_real, on_fake)
        else:
            term = self.loss.generator(on_real, on_fake)
        added, state = self.regularized("generator", turn, fake, on_real, on_fake)
        return Outcome({"adversarial": term, **added}, state=state)


def _wide(p: torch.Tensor) -> torch.Tensor:
    return p if p.dtype == torch.float64 else p.float()
