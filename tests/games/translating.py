"""Small translations in float64, and what their moves come to eagerly and traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, Result
from gansmith.games.game import Game, Turn
from gansmith.games.synthesis import Lazy
from gansmith.losses import penalties
from gansmith.networks import patchgan, translator, unet

BATCH, A, B = 3, (1, 24, 24), {"b": (2, 24, 24)}
KNOBS = {"r1": 0.3, "r2": 0.2, "gradient_penalty": 0.5}


def lazies(*names: str) -> dict[str, Lazy]:
    return {name: Lazy(getattr(penalties, name)()) for name in names}


def generator(back: bool = False, **fields: Any) -> nn.Module:
    cls = translator.Back if back else translator.Generator
    return cls(A, B, width=2, blocks=1, **fields)


def drawer(**fields: Any) -> nn.Module:
    return unet.Generator(A, B, width=2, **fields)


def discriminator(back: bool = False, **fields: Any) -> nn.Module:
    cls = patchgan.BackDiscriminator if back else patchgan.Discriminator
    return cls(A, B, width=2, **fields)


def batch(seed: int = 0, count: int = BATCH) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(count, *shape, generator=draw, dtype=torch.float64) * 2 - 1 for shape in (A, B["b"]))
    return Batch(a, None, {"b": b})


def turn_of(game: Game, move: str, shared: Mapping[str, torch.Tensor] | None = None, step: int = 0) -> Turn:
    state = {name: first for name, (first, _) in game.states().items()}
    return Turn(batch(), Draws(0, 0, BATCH, prefix=move), KNOBS, state, shared or {}, step)


def played(game: Game, move: str, shared: Mapping[str, torch.Tensor] | None = None, *, traced: bool = False) -> Result:
    """The move eagerly; and traced whole, where it is asked, with the same gradients."""
    (trains,) = [each.trains for each in game.moves() if each.name == move]
    targets = [p for name in trains for p in game.get_submodule(name).parameters()]
    turn = turn_of(game, move, shared)
    eager = Eager(game)(move, turn, targets)
    assert all(len(term) == BATCH for term in eager.terms.values())
    if traced:
        whole = Compiled(game, lambda graph: graph)(move, turn, targets)
        for one, other in zip(eager.grads, whole.grads, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                torch.testing.assert_close(one, other)
        for name, term in eager.terms.items():
            torch.testing.assert_close(term, whole.terms[name])
    return eager
