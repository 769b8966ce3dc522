"""What a game that makes nothing of noise alone makes of examples that it does not train on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.data.dataset import Batch, Dataset
from gansmith.data.feed import Feed
from gansmith.draws import Draws, use
from gansmith.games.game import Game


class Held:
    """Pictures and numbers of held-out examples, the same ones each time.

    Args:
        game: in eval mode.
        feed: of the examples, some at a time.

    Attributes:
        dataset: the examples.
        better: what is better of each number, the chief first.
    """

    def __init__(self, game: Game, feed: Feed) -> None:
        self._game, self._feed = game, feed
        self.dataset: Dataset = feed.dataset
        self.better = game.better

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
    def numbers(self, n: int) -> dict[str, float]:
        """Means of the game's numbers over the first n examples, or over all of fewer."""
        n = min(n, self.dataset.count)
        found: dict[str, list[torch.Tensor]] = {}
        for first in range(0, n, self._feed.batch):
            batch, draws = self._at(first)
            with use(draws):
                made = self._game.numbers(batch, draws)
            for name, values in made.items():
                found.setdefault(name, []).append(values[: n - first].double())
        return {name: float(torch.cat(parts).mean()) for name, parts in found.items()}

    def _at(self, first: int) -> tuple[Batch, Draws]:
        feed = self._feed
        return feed.at(first), Draws(feed.seed, first, feed.batch, device=feed.device, prefix="held")
