"""ADA's rule against a loop of its own, and on parts of a batch."""

from __future__ import annotations

import pytest
import torch

from gansmith.augmentations.adaptive import moved, states
from gansmith.schedule import Adaptive


def begun(rule: Adaptive) -> dict[str, torch.Tensor]:
    return {key: first for key, (first, _) in states("p", rule).items()}


def by_hand(rule: Adaptive, signs: list[float], examples: int) -> list[float]:
    """p before each step: every so many steps, it goes up or down by what their mean sign says."""
    p, held, out = rule.start, [], []
    for sign in signs:
        out.append(p)
        if len(held) == rule.every:
            r = sum(held) / len(held)
            p += (1 if r > rule.target else -1 if r < rule.target else 0) * rule.every * examples / rule.over
            p = min(max(p, 0.0), rule.most)
            held = []
        held.append(sign)
    return out


@pytest.mark.parametrize("every", [1, 3, 4])
def test_it_moves_as_the_papers_does(every: int):
    rule = Adaptive(target=0.25, start=0.1, most=0.3, over=200, every=every)
    verdicts = torch.randn(40, 6, generator=torch.Generator().manual_seed(every)) + torch.linspace(2, -2, 40)[:, None]
    state, found = begun(rule), []
    for verdict in verdicts:
        found.append(state["p"].item())
        state |= moved("p", rule, state, verdict, 6)
    wanted = by_hand(rule, verdicts.sign().mean(1).tolist(), 6)
    assert found == pytest.approx(wanted, abs=1e-6)
    assert max(wanted) == pytest.approx(0.3)
    assert min(wanted) == pytest.approx(0, abs=1e-9)


def test_from_nothing_to_always_takes_as_many_images_as_it_says():
    rule = Adaptive(target=0.6, over=960)
    state = begun(rule)
    for _ in range(60):
        state |= moved("p", rule, state, torch.ones(16), 16)
    assert state["p"].item() == pytest.approx(14 / 15)  # the last four steps' verdict is still to come
    state |= moved("p", rule, state, torch.ones(16), 16)
    assert state["p"].item() == pytest.approx(1)


def test_parts_of_a_batch_come_to_the_whole():
    # As the engine brings states together: a mean of the parts' sums, and what is the same is any of them.
    rule = Adaptive(target=0.3, start=0.5, over=100, every=2)
    verdicts = torch.randn(9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole, split = begun(rule), begun(rule)
    reductions = {key: how for key, (_, how) in states("p", rule).items()}
    for verdict in verdicts:
        parts = [moved("p", rule, split, part, 8) for part in verdict.chunk(4)]
        for key, how in reductions.items():
            values = torch.stack([part[key] for part in parts])
            split[key] = values.mean(0) if how == "mean" else values[0]
        whole |= moved("p", rule, whole, verdict, 8)
        assert {key: v.item() for key, v in whole.items()} == pytest.approx({key: v.item() for key, v in split.items()})
    assert whole["p"] != 0.5


def test_a_step_of_zero_verdicts_is_below_a_target():
    rule = Adaptive(target=0.6, start=0.5, over=100, every=1)
    state = begun(rule)
    for _ in range(2):
        state |= moved("p", rule, state, torch.zeros(10), 10)
    assert state["p"].item() == pytest.approx(0.4)
