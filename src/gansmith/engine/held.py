"""What a game that makes nothing of noise alone makes of examples that it does not train on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gansmith.data.dataset import Batch, Dataset
from gansmith.data.feed import Feed
from gansmith.draws import Draws, use
from gansmith.games.game import Game

SEED, TOGETHER = 0, 16
"""Seed of the order of held-out examples, and how many are looked at together."""


def feed_for(game: Game, dataset: Dataset, device: torch.device, *, seed: int, **options: Any) -> Feed:
    """A feed of examples as a game wants them; options are the feed's own."""
    convolves = any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in game.modules())
    chosen = game.sampler(dataset, seed)
    return Feed(dataset, seed=seed, device=device, channels_last=convolves, sampler=chosen, **options)


class Mean(NamedTuple):
    """A mean over examples, and its standard error."""

    value: float
    error: float


class Held:
    """Pictures and numbers of held-out examples, the same ones each time.

    Args:
        game: in eval mode.
        dataset: the examples.
        device: where the game lies.

    Attributes:
        better: what is better of each number, the chief first.
    """

    def __init__(self, game: Game, dataset: Dataset, device: torch.device) -> None:
        self._game, self.dataset, self.better = game, dataset, game.better
        self._feed = feed_for(game, dataset, device, seed=SEED, batch=min(TOGETHER, dataset.count), workers=0)

    @torch.inference_mode()
    def pictures(self, n: int = 8) -> dict[str, NDArray[np.uint8]]:
        """Up to n examples and what is made of them, in the order of a reader: uint8 [n, C, H, W] each."""
        n = min(n, self._feed.batch)
        batch, draws = self._at(0)
        with use(draws):
            shown = self._game.pictures(batch, draws)
        levels = {name: made[:n].float().mul(127.5).add_(128).clamp_(0, 255) for name, made in shown.items()}
        return {name: made.to(torch.uint8).contiguous().cpu().numpy() for name, made in levels.items()}

    @torch.inference_mode()
    def numbers(self, n: int) -> dict[str, Mean]:
        """Means of the game's numbers over the first n examples, or over all of fewer; the chief first."""
        n = min(n, self.dataset.count)
        found: dict[str, list[torch.Tensor]] = {}
        for first in range(0, n, self._feed.batch):
            batch, draws = self._at(first)
            with use(draws):
                made = self._game.numbers(batch, draws)
            for name, values in made.items():
                found.setdefault(name, []).append(values[: n - first].double())
        return {name: _mean(torch.cat(found[name])) for name in self.better if name in found}

    def _at(self, first: int) -> tuple[Batch, Draws]:
        feed = self._feed
        return feed.at(first), Draws(feed.seed, first, feed.batch, device=feed.device, prefix="held")


def _mean(values: torch.Tensor) -> Mean:
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return Mean(float(values.mean()), error)
