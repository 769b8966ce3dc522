"""What a training tells of its own stability: sums taken beside it, and a look at fixed examples now and then.

Nothing here moves the training. What is summed stays on the device until a probe; a probe plays the
discriminator's move on a fixed batch, by draws of its own, and puts back the buffers that a network has changed.
Every number is free of the loss's sign and scale, or is only compared with itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from gansmith import collectives
from gansmith.data.dataset import Batch, Dataset
from gansmith.data.feed import Feed
from gansmith.draws import Draws, mix, use
from gansmith.engine.player import Player
from gansmith.games.game import Outcome, Turn
from gansmith.networks.layers import still

PURPOSE = 0x3A7C
"""Keeps the probe's examples and draws apart from the training's."""

EXAMPLES, POINTS = 64, 128
"""Examples of a probe: images; and points, which cost less."""

AXES = 8
"""Principal components of the real examples, on which the samples' path is followed."""

NEAR = 0.05
"""Share of the pairs of real examples that count as alike: the width of the diversity's kernel."""

ROWS = 256
"""Logits of each kind of which all pairs are compared, at most."""

Signal = dict[str, Any]
"""What one probe found: numbers by name, and `centre`, a list of them."""


class Signals:
    """Sums and probes of one training.

    Args:
        player: whose training; it is told to call `note`.
        held: examples of the same kind that it does not train on, or None.
    """

    def __init__(self, player: Player, held: Dataset | None = None) -> None:
        self.player = player
        self.seed = mix(player.recipe.seed, PURPOSE)
        self.count = POINTS if player.dataset.modality == "points" else EXAMPLES
        self.real = self._feed(player.dataset, self.count).at(0)
        self.geometry = Geometry(self.real.data, self.real.labels)
        half = self.count // 2
        self.feeds = None if held is None else [self._feed(data, half) for data in (player.dataset, held)]
        self.critic: str | None = None
        made = set(player.game.averaged)
        self.makers = [move.name for move in player.moves if made & set(move.trains)]
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self._last: torch.Tensor | None = None
        self.begun = {name: max(float(flat.master.norm()), 1e-12) for name, flat in player.flats.items()}

    # --- beside the training -----------------------------------------------------------------------

    def note(self, move: str, terms: Mapping[str, torch.Tensor], norm: torch.Tensor) -> None:
        """Add one step of a move.

        Args:
            move: its name.
            terms: its terms, and what it watches as `watched/name`.
            norm: of its gradient.
        """
        found = [norm.float()]
        if "watched/on_real" in terms and "watched/on_fake" in terms:
            self.critic = move
            real, fake = (terms[f"watched/{name}"].float().flatten()[:ROWS] for name in ("on_real", "on_fake"))
            found += [real.mean(), real.std(), fake.mean(), fake.std(), above(real, fake), (real > 0).float().mean()]
        now = torch.stack(found)
        self._sums[move] = now + self._sums[move] if move in self._sums else now
        self._counts[move] = self._counts.get(move, 0) + 1

    # --- a look ------------------------------------------------------------------------------------

    def probe(self) -> Signal:
        """What there is to see now; the device is waited for, and the sums begin anew."""
        player = self.player
        numbers: dict[str, torch.Tensor] = {}
        for move, sums in self._sums.items():
            mean = collectives.all_mean(sums / self._counts[move])
            numbers[f"gradient/{move}"] = mean[0]
            if move in self.makers:
                numbers["pull"] = mean[0]
            if move == self.critic:
                names = ("real", "real_std", "fake", "fake_std", "won", "positive")
                numbers |= dict(zip(names, mean[1:], strict=True))
        self._sums, self._counts = {}, {}
        for name, flat in player.flats.items():
            numbers[f"grown/{name}"] = flat.master.norm() / self.begun[name]
        buffers = [(buffer, buffer.clone()) for buffer in player.game.buffers()]
        try:
            with still():
                numbers |= self._logits()
                numbers |= self._samples()
        finally:
            for buffer, was in buffers:
                buffer.copy_(was)
        values = torch.cat([number.detach().double().reshape(-1) for number in numbers.values()]).tolist()
        out: Signal = {"images": player.images}
        for name, number in numbers.items():
            n = number.numel()
            out[name] = values[:n] if number.dim() else values[0]
            del values[:n]
        return out

    def _feed(self, data: Dataset, n: int) -> Feed:
        return self.player.feeds(data, batch=n, seed=self.seed, workers=0)

    def _logits(self) -> dict[str, torch.Tensor]:
        """The critic's logits on real examples that it trains on, on such that it does not, and on fakes."""
        if self.critic is None or self.feeds is None:
            return {}
        # Others at each probe, so that a mean over probes is one over many examples; and in one batch, so that
        # batch norm takes the same statistics for both.
        seen, unseen = (feed.at(self.player.images) for feed in self.feeds)
        outcome = self._played(_joined(seen, unseen))
        real, held = outcome.watched["on_real"].float().flatten().chunk(2)
        fake = outcome.watched["on_fake"].float().flatten()
        return {
            "memory": (real.mean() - held.mean()) / (real.mean() - fake.mean()),
            "known": above(real, held),
            "won_seen": above(real, fake),
            "won_held": above(held, fake),
        }

    def _played(self, batch: Batch) -> Outcome:
        player, move = self.player, self.critic
        assert move is not None
        draws = self._draws("critic", len(batch.data))
        turn = Turn(batch, draws, player.knobs(), player.states, {}, self._plain(move))
        turn = replace(turn, shared=player.game.prepare(move, turn))
        with use(draws):
            return player.game.play(move, turn)

    def _plain(self, move: str) -> int:
        """A step at which the move is as it is mostly played: a lazy penalty is not due."""
        variants = [self.player.game.variant(move, step) for step in range(64)]
        return variants.index(Counter(variants).most_common(1)[0][0])

    def _samples(self) -> dict[str, torch.Tensor]:
        """The samples of fixed latents, by the weights as they are and by their averages."""
        player, geometry = self.player, self.geometry
        if player.game.use is not None:  # which makes nothing of latents
            return {}
        live = self._generated()
        numbers = geometry.compare(live)
        places = geometry.places(live)
        numbers["centre"] = places.mean(0)
        if self._last is not None:
            numbers["moved"] = (places - self._last).square().mean().sqrt()
        self._last = places
        averaged = {name: player.flats[name] for name in player.averages}
        if averaged:
            kept = {name: flat.work.clone() for name, flat in averaged.items()}
            for name, flat in averaged.items():
                flat.work.copy_(player.averages[name])
            try:
                numbers["far_average"] = geometry.far(self._generated())
            finally:
                for name, flat in averaged.items():
                    flat.work.copy_(kept[name])
        return numbers

    @torch.no_grad()
    def _generated(self) -> torch.Tensor:
        draws = self._draws("generator", len(self.real.data))
        with use(draws):
            return self.player.game.generate(draws.normal("noise", self.player.recipe.noise), self.real.labels).float()

    def _draws(self, prefix: str, n: int) -> Draws:
        return Draws(self.seed, 0, n, device=self.player.device, prefix=f"watch/{prefix}")

    # --- state -------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The sums, where the samples were last and what the weights began with, as plain JSON."""
        return {
            "critic": self.critic,
            "begun": dict(self.begun),
            "sums": {move: [self._counts[move], sums.tolist()] for move, sums in self._sums.items()},
            "last": None if self._last is None else self._last.tolist(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        device = self.player.device
        self.critic, self.begun = state["critic"], dict(state["begun"])
        self._counts = {move: int(n) for move, (n, _) in state["sums"].items()}
        self._sums = {move: torch.tensor(sums, device=device) for move, (_, sums) in state["sums"].items()}
        self._last = None if state["last"] is None else torch.tensor(state["last"], device=device)


class Geometry:
    """How samples lie among real examples: distances in their own space, relative to those of real ones.

    Args:
        real: examples [N, …].
        labels: int64 [N], or None; with labels, only examples of one class are compared for their diversity.
    """

    def __init__(self, real: torch.Tensor, labels: torch.Tensor | None = None) -> None:
        self.real = real.float().flatten(1)
        n = len(self.real)
        others = ~torch.eye(n, dtype=torch.bool, device=real.device)
        self.others = others
        self.pairs = others
        if labels is not None:
            same = others & (labels[:, None] == labels[None])
            if int(same.sum()) >= n:
                self.pairs = same
        distances = torch.cdist(self.real, self.real)
        self.apart = distances[others].mean().clamp_min(1e-12)
        self.width = distances[self.pairs].quantile(NEAR).clamp_min(1e-6 * float(self.apart))
        self.alike = self._alike(distances)
        centred = self.real - self.real.mean(0)
        self.spread = centred.square().sum(1).mean().sqrt().clamp_min(1e-12)
        axes = torch.linalg.svd(centred, full_matrices=False)[2][:AXES]
        self.axes = axes / (centred @ axes.T).square().mean().sqrt().clamp_min(1e-12)
        self.middle = self.real.mean(0)

    def _alike(self, distances: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(distances[self.pairs] / self.width).square()).mean()

    def compare(self, samples: torch.Tensor) -> dict[str, torch.Tensor]:
        """Diversity, spread, size and distance of as many samples as there are real examples."""
        flat = samples.flatten(1)
        distances = torch.cdist(flat, flat)
        return {
            # Both are mean similarities of two different examples: 1 is as diverse as the data.
            "diversity": self.alike / self._alike(distances),
            "spread": (flat - flat.mean(0)).square().sum(1).mean().sqrt() / self.spread,
            "size": flat.square().sum(1).mean().sqrt() / self.real.square().sum(1).mean().sqrt().clamp_min(1e-12),
            "far": self.far(samples, distances),
        }

    def far(self, samples: torch.Tensor, distances: torch.Tensor | None = None) -> torch.Tensor:
        """The energy distance to the real examples, in units of their own mean distance.

        (2 E|x − r| − E|x − x'| − E|r − r'|) / E|r − r'|; Székely and Rizzo, 2013.
        """
        flat = samples.flatten(1)
        own = torch.cdist(flat, flat) if distances is None else distances
        across = torch.cdist(flat, self.real).mean()
        return (2 * across - own[self.others].mean()) / self.apart - 1

    def places(self, samples: torch.Tensor) -> torch.Tensor:
        """Where samples lie along the data's principal axes, in units of the data's spread there, [N, axes]."""
        return (samples.flatten(1) - self.middle) @ self.axes.T


def above(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The share of pairs in which the first is greater; ties count half (the area under the ROC curve)."""
    difference = one[:, None] - other[None]
    return 0.5 + 0.5 * difference.sign().mean()


def _joined(one: Batch, other: Batch) -> Batch:
    labels = None
    if one.labels is not None and other.labels is not None:
        labels = torch.cat([one.labels, other.labels])
    more = {name: torch.cat([value, other.more[name]]) for name, value in one.more.items()}
    return Batch(torch.cat([one.data, other.data]), labels, more)
