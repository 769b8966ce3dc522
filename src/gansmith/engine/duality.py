"""The duality gap: how much either side could still win, if it alone went on against the other as it stands.

It is 0 where neither can, which is what convergence means in a game, and positive elsewhere; a loss curve tells
nothing of the kind. Both searches play the recipe's own moves on copies, so the training does not hear of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from gansmith import collectives
from gansmith.data.dataset import Dataset
from gansmith.data.finish import only
from gansmith.draws import Draws, mix, use
from gansmith.engine.player import Player
from gansmith.engine.side import Flat, Side
from gansmith.engine.step import Eager, loss_of
from gansmith.errors import Refused
from gansmith.fields import Optimizer
from gansmith.games.game import Game, Move, Turn
from gansmith.networks.layers import still
from gansmith.recipe import Recipe
from gansmith.schedule import Ramp, value_at

NAME = "duality-gap"
"""What it is called among scores."""

PURPOSE = 0xD6A9
"""Keeps the search's examples and draws apart from the training's."""

BATCHES = 16
"""Batches over which a loss is averaged; so many steps make a cycle of most lazy penalties."""


class Gap(NamedTuple):
    """What either side could still win.

    Attributes:
        discriminator: max over D' of V(G, D') − V(G, D), as far as the search has come.
        generator: V(G, D) − min over G' of V(G', D), likewise.
    """

    discriminator: float
    generator: float

    @property
    def value(self) -> float:
        """The gap: their sum."""
        return self.discriminator + self.generator


def gap(player: Player, held: Dataset, steps: int) -> Gap:
    """The duality gap DG(G, D) = max over D' of V(G, D') − min over G' of V(G', D), by a short search.

    Grnarova et al., 2019, A Domain Agnostic Measure for Monitoring and Evaluating GANs (arXiv:1811.05512). V is
    what the discriminator's move minimises with the sign turned, its penalties included: without them a
    Wasserstein critic has no best response. A search is so many steps of the recipe's own move, with a fresh
    optimiser at the schedule's highest rate, on one half of the held-out examples; V is averaged over the other
    half. A search that has ended worse than it began has found nothing, so neither part is negative.

    Args:
        player: whose networks; they are left as they are.
        held: examples that the training does not see.
        steps: of each search.

    Raises:
        Refused: a game that is not of two sides, or fewer than two examples.
    """
    judge, maker = sides(player)
    search, unseen = halves(held)
    before = _loss(player, player.game, judge, unseen)
    best = _loss(player, _response(player, judge, search, steps), judge, unseen)
    worst = _loss(player, _response(player, maker, search, steps), judge, unseen)
    return Gap(max(before - best, 0.0), max(worst - before, 0.0))


def check(player: Player, held: Dataset | None) -> None:
    """Refuse what a recipe cannot have, before a training begins.

    Raises:
        Refused: the gap is asked for, and there are no examples for it, or the game is not of two sides.
    """
    if player.recipe.duality_gap is None:
        return
    if held is None:
        what = f"duality_gap: {player.dataset.name} has no examples that are not trained on"
        raise Refused(what, "Keep some: --data.reserve 500.")
    sides(player)
    halves(held)


def cards(recipe: Recipe, held: Dataset | None) -> dict[str, dict[str, Any]]:
    """The score's card by its name, where the recipe asks for it: gaps of unlike games or searches are unlike."""
    if recipe.duality_gap is None or held is None:
        return {}
    card = {
        "measure": NAME, "better": "lower", "steps": recipe.duality_gap, "reference_samples": held.count,
        "reference_split": held.split, "reference_fingerprint": held.fingerprint,
        "loss": recipe.loss.model_dump(mode="json"), "penalties": sorted(recipe.penalties),
    }  # fmt: skip
    return {NAME: card}


def sides(player: Player) -> tuple[Move, Move]:
    """The move of the side that judges, and that of the side whose samples are used after the training.

    Raises:
        Refused: where there are other moves than these two.
    """
    made = [move for move in player.moves if set(move.trains) & set(player.game.averaged)]
    judges = [move for move in player.moves if move not in made]
    if len(made) != 1 or len(judges) != 1:
        names = ", ".join(move.name for move in player.moves)
        raise Refused(f"duality_gap: is of a game of two moves, and this one has {names}", "--duality-gap null")
    return judges[0], made[0]


def halves(held: Dataset) -> tuple[Dataset, Dataset]:
    """The examples to search on, and those to judge on.

    Raises:
        Refused: fewer than two.
    """
    if held.count < 2:
        raise Refused(f"duality_gap: needs two held-out examples or more, not {held.count}")
    search, unseen = np.array_split(np.arange(held.count), [held.count // 2])
    return only(held, search, "search"), only(held, unseen, "unseen")


def _turns(player: Player, game: Game, move: Move, data: Dataset, steps: int, purpose: str) -> Iterator[Turn]:
    """The turns of so many steps, one after the other, on examples of `data`."""
    batch, seed = player.micro * player.world, mix(player.recipe.seed, PURPOSE)
    knobs, at = player.knobs(), player.rank * player.micro
    feed = player.feeds(data, batch=batch, seed=seed, rank=player.rank, world=player.world, workers=0)
    for step in range(steps):
        draws = Draws(
            seed, step * batch, batch, start=at, stop=at + player.micro, device=player.device, prefix=purpose,
        )  # fmt: skip
        turn = Turn(feed.at(step * batch), draws, knobs, player.states, {}, step)
        yield replace(turn, shared=game.prepare(move.name, turn))


def _response(player: Player, move: Move, data: Dataset, steps: int) -> Game:
    """A copy of the game in which one side has gone on alone."""
    game = copy.deepcopy(player.game)
    flats = []
    for name in move.trains:
        if name in player.flats:
            whole = player.flats[name]
            of = dict(getattr(game, name).named_parameters(name))
            flats.append(Flat(of, player.device, whole.master.dtype, whole.work.dtype))
            flats[-1].master.copy_(whole.master)  # which the copy has in bf16 only, where the networks run in it
            flats[-1].refresh()
    side = Side(flats, _steady(player, player.sides[move.name].recipe), player.recipe.clip)
    play = Eager(game)
    for turn in _turns(player, game, move, data, steps, f"search/{move.name}"):
        side.collect(play(move.name, turn, side.targets).grads, first=True)
        side.reduce()
        side.step(0, 1)
    return game


def _steady(player: Player, optimizer: Optimizer) -> Optimizer:
    """The optimiser at the highest rate of its schedule: at the end of one, a search would get nowhere."""
    lr = max(optimizer.lr.start, optimizer.lr.end) if isinstance(optimizer.lr, Ramp) else optimizer.lr
    one, two = (value_at(beta, player.images, player.total) for beta in optimizer.betas)
    return optimizer.model_copy(update={"lr": lr, "betas": (one, two)})


def _loss(player: Player, game: Game, move: Move, data: Dataset) -> float:
    """What a move loses on average, on the same examples and draws each time."""
    buffers = [(buffer, buffer.clone()) for buffer in game.buffers()]
    losses = []
    try:
        for turn in _turns(player, game, move, data, BATCHES, "judge"):
            with still(), use(turn.draws):
                losses.append(loss_of(game.play(move.name, turn)).detach().double())
    finally:
        for buffer, was in buffers:
            buffer.copy_(was)
    return float(collectives.all_mean(torch.stack(losses).mean()))
