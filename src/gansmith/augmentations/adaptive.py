"""A probability that follows the discriminator: ADA's rule, as states of a game and how they move on.

Karras et al., 2020, Section 3.1 (arXiv:2006.06676): overfitting shows in r = E sign D(x) on the augmented real
examples of the last steps; where r is above the target, the probability p goes up by a fixed amount, else down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from gansmith.schedule import Adaptive

States = dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]


def states(name: str, rule: Adaptive) -> States:
    """What a probability is moved by: itself, by the name of its knob; the sum of signs; and the steps in that sum.

    Args:
        name: of the knob.
        rule: how it moves.
    """
    # A sum of each step's mean sign is linear, so ranks and microbatches average it rightly. The probability is
    # moved by the last steps' sum, which all have in common, and so is the same for all of them.
    return {
        name: (torch.tensor(rule.start), "same"),
        f"{name}/signs": (torch.zeros(()), "mean"),
        f"{name}/steps": (torch.zeros(()), "same"),
    }


def moved(
    name: str, rule: Adaptive, state: Mapping[str, torch.Tensor], verdict: torch.Tensor, examples: int
) -> dict[str, torch.Tensor]:
    """The states after a step.

    Args:
        name: of the knob.
        rule: how it moves.
        state: the states before the step, in which p is one.
        verdict: of the discriminator on real examples, [B]; its sign counts.
        examples: of the whole step.
    """
    p, signs, steps = (state[key] for key in states(name, rule))
    due = steps >= rule.every
    pace = rule.every * examples / rule.over
    over = (signs / rule.every - rule.target).sign()
    sign = verdict.detach().sign().mean().to(signs.dtype)
    return {
        name: torch.where(due, (p + pace * over).clamp(0, rule.most), p),
        f"{name}/signs": torch.where(due, torch.zeros_like(signs), signs) + sign,
        f"{name}/steps": torch.where(due, torch.zeros_like(steps), steps) + 1,
    }
