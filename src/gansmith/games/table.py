"""Rows of a table: CTGAN's game, with any adversarial loss and any penalties, and the autoencoder beside it.

A row is a sequence of *blocks*, one a column: at most one number in [-1, 1], and then categories, of which one is 1
(`gansmith.data.encoding`). Xu et al., 2019, Modeling Tabular Data using Conditional GAN (arXiv:1907.00503).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gansmith.data.dataset import Dataset
from gansmith.data.feed import Sampler
from gansmith.data.order import uniform
from gansmith.draws import use
from gansmith.games.autoencoding import divergence, moments, sampled
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.games.synthesis import Synthesis
from gansmith.networks.layers import couples, run, squashed, still, wide

_ROWS = 21  # the purpose of keyed numbers that choose rows, beside those of `order`
_LEAST = 1e-9


class Blocks(nn.Module):
    """Where the columns of a row lie: raw outputs [B, D] → numbers by tanh, and categories one column at a time.

    Args:
        columns: of each column in order its numbers (0 or 1), its categories, and how many of these come first whose
            number is 0, as `Encoding.blocks` has them; None takes all of a row for numbers.
        shape: of a row.

    Attributes:
        parts: first number, first category and number of categories, of each column.
        told: those of columns that are one of some kinds and nothing else: a condition may name these.
        categories, conditions: categories of all columns, and of those.
    """

    def __init__(self, columns: Sequence[Sequence[int]] | None, shape: Sequence[int]) -> None:
        super().__init__()
        width = math.prod(shape)
        self.columns = [(1, 0, 0)] * width if columns is None else [(int(c[0]), int(c[1]), sum(c[2:])) for c in columns]
        if any(a not in (0, 1) or a + b < 1 or not 0 <= bare <= b for a, b, bare in self.columns):
            raise ValueError("columns are 0 or 1 numbers, so many categories, and how many of these have no number")
        taken = [a + b for a, b, _ in self.columns]
        if sum(taken) != width:
            raise ValueError(f"columns: they take {sum(taken)} numbers of a row, which has {width}")
        starts = np.cumsum([0, *taken]).tolist()
        self.parts = [(at, at + a, b) for at, (a, b, _) in zip(starts, self.columns, strict=False)]
        self.numbers = [at for at, (a, _, _) in zip(starts, self.columns, strict=False) if a]
        self.told = [part for part, (a, b, _) in zip(self.parts, self.columns, strict=True) if not a and b > 1]
        self.categories, self.conditions = sum(b for _, b, _ in self.columns), sum(b for _, _, b in self.told)
        self.widths = [part for a, b, _ in self.columns for part in (a, b) if part]
        self.kinds = [i == 1 for a, b, _ in self.columns for i, part in enumerate((a, b)) if part]
        self.is_told = [i == 1 and not a and b > 1 for a, b, _ in self.columns for i, part in enumerate((a, b)) if part]
        self.bare = [bare for a, b, bare in self.columns for part in (a, b) if part]
        flags = [kind for kind, width in zip(self.kinds, self.widths, strict=True) for _ in range(width)]
        place = [i for i, kind in enumerate(flags) if kind]
        self.register_buffer("is_kind", torch.tensor(flags, dtype=torch.bool), persistent=False)
        self.register_buffer("place", torch.tensor(place, dtype=torch.long), persistent=False)
        self.is_kind: torch.Tensor
        self.place: torch.Tensor

    def activated(
        self, raw: torch.Tensor, uniform: torch.Tensor | None, tau: float, hard: bool = False
    ) -> torch.Tensor:
        """Raw outputs [B, D] → rows: tanh, and Gumbel softmax by uniform numbers [B, L], or softmax without any.

        Jang et al., 2017, Equation 2 (arXiv:1611.01144).

        Args:
            raw: the outputs.
            uniform: in [0, 1), or None.
            tau: the temperature.
            hard: each kind is 0 or 1, with the softmax's gradient; and the number of a kind that has none is 0.
        """
        if uniform is not None:
            gumbel = -(-uniform.clamp(_LEAST, 1 - 1e-7).log()).log()
            raw = (raw + gumbel.new_zeros(raw.shape).index_copy(1, self.place, gumbel)) / (self.is_kind * (tau - 1) + 1)
        # Split once: a slice of its own for each column would cost a zero gradient of the whole row each.
        pieces = list(raw.split(self.widths, 1))
        for i, kinds in enumerate(self.kinds):
            pieces[i] = pieces[i].softmax(1) if kinds else squashed(pieces[i])
            if kinds and hard:
                one = torch.zeros_like(pieces[i]).scatter_(1, pieces[i].argmax(1, keepdim=True), 1.0)
                if self.bare[i]:
                    pieces[i - 1] = pieces[i - 1] * (1 - one[:, : self.bare[i]].sum(1, keepdim=True))
                pieces[i] = pieces[i] + (one - pieces[i]).detach()
        return torch.cat(pieces, 1)

    def asked(self, raw: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """−log of the probability that raw outputs [B, D] give the kind that a condition [B, V] names, [B]."""
        pieces = raw.split(self.widths, 1)
        logs = [pieces[i].log_softmax(1) for i, told in enumerate(self.is_told) if told]
        return -(condition * torch.cat(logs, 1)).sum(1)


class Rows:
    """Training by sampling: a column in turn by chance, a kind of it by the log of its frequency, and such a row.

    Xu et al., 2019, Section 4.3 (arXiv:1907.00503). Which row comes n-th is a pure function of (seed, n).

    Args:
        array: rows, float32 [count, D].
        told: first category and number of them, of each column that a condition may name.
        seed: of the choice.
        frequency: `log`, or `true` for kinds as frequent as they are.
    """

    def __init__(self, array: NDArray[Any], told: Sequence[tuple[int, int]], seed: int, frequency: str) -> None:
        self.seed, self.columns = seed, len(told)
        self.offsets = np.cumsum([0, *(number for _, number in told)])
        counts, orders = [], []
        for begin, number in told:
            kinds = array[:, begin : begin + number].argmax(1)
            counts.append(np.bincount(kinds, minlength=number))
            orders.append(np.argsort(kinds, kind="stable"))
        self.counts, self.order = np.concatenate(counts), np.stack(orders)
        self.begins = np.concatenate([np.cumsum(c) - c for c in counts])
        self.shares = np.concatenate([c / c.sum() for c in counts]) / self.columns
        weights = [np.log1p(c) if frequency == "log" else c.astype(float) for c in counts]
        # Column c's cumulative shares lie between c and c + 1, so that one search serves all columns.
        self.steps = np.concatenate([i + np.cumsum(w / w.sum()) for i, w in enumerate(weights)])

    def _chosen(self, first: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The column of each, and the kind counted over all columns."""
        column = (uniform((_ROWS, self.seed, 0), first, n) * self.columns).astype(np.int64)
        drawn = uniform((_ROWS, self.seed, 1), first, n)
        kind = np.searchsorted(self.steps, column + drawn, side="right")
        return column, np.minimum(kind, self.offsets[column + 1] - 1)

    def indices(self, first: int, n: int) -> NDArray[np.int64]:
        """Which rows come first-th to (first + n)-th, int64 [n]."""
        column, kind = self._chosen(first, n)
        place = uniform((_ROWS, self.seed, 2), first, n) * self.counts[kind]
        return self.order[column, self.begins[kind] + place.astype(np.int64)]

    def more(self, first: int, n: int) -> Mapping[str, NDArray[np.float32]]:
        """`condition`: the kind that was chosen, one of [n, V]."""
        condition = np.zeros((n, len(self.counts)), np.float32)
        condition[np.arange(n), self._chosen(first, n)[1]] = 1
        return {"condition": condition}


class Table(Synthesis):
    """A generator of rows that is told one kind of one column, against a discriminator that is told it too.

    The generator's loss has one more term, −log of the probability that it gives the kind it was told. Xu et al., 2019,
    Sections 4.3 and 4.4 (arXiv:1907.00503).

    Of a noise vector [noise], the generator takes what is left when each category has one number, of which its Gumbel
    noise is made, and the condition one: so a row is a function of its noise vector.

    Args:
        generator: (noise, condition [B, V]) → raw row.
        discriminator: (row, condition) → logits.
        shape: of a row.
        columns: as of `Blocks`.
        tau: temperature of the Gumbel softmax.
        hard: the discriminator sees each kind as 0 or 1, as real rows have it, with the softmax's gradient.
        condition: weight of the term above; 0 tells neither network any kind, and feeds rows in their plain order.
        frequency: how often a kind is named, `log` of its frequency or `true` to it.
        classifier: (row) → logits of the kinds of one column, from the others; or None.
        target: that column, counted among those that are kinds and nothing else.
        agreement: κ: made rows have the target drawn anew from softmax(κ C(row)) of the classifier C, which is trained
            on real rows beside the discriminator. 1 draws it as C has it; more makes it less noisy than in real rows.
        noise: of the whole vector.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        shape: Sequence[int],
        columns: Sequence[Sequence[int]] | None = None,
        tau: float = 0.2,
        hard: bool = False,
        condition: float = 1.0,
        frequency: Literal["log", "true"] = "log",
        classifier: nn.Module | None = None,
        target: int | None = None,
        agreement: float = 0.0,
        noise: int = 128,
        **others: Any,
    ) -> None:
        if tau <= 0 or condition < 0 or frequency not in ("log", "true"):
            raise ValueError("tau is above 0, condition 0 or more, and frequency log or true")
        blocks = Blocks(columns, shape)
        own_condition = condition if blocks.told else 0.0
        own = noise - blocks.categories - (own_condition > 0)
        if own < 1:
            raise ValueError(f"noise: {noise} leaves the generator none; add 1 and a number for each category")
        super().__init__(generator, discriminator, noise=own, **others)
        self.blocks, self.tau, self.hard = blocks, tau, hard
        self.condition, self.frequency = own_condition, frequency
        if (classifier is None) != (target is None) or not 0 <= (target or 0) < max(len(blocks.told), 1):
            raise ValueError("classifier and target go together: a network, and one of the columns that are kinds")
        self.classifier, self.agreement, self.target = classifier, agreement, slice(0)
        others_than_it = torch.ones(math.prod(shape))
        if target is not None:
            _, begin, number = blocks.told[target]
            self.target = slice(begin, begin + number)
            others_than_it[self.target] = 0
        if classifier is not None:
            self.averaged = ("generator", "classifier")
        self.register_buffer("others_than_it", others_than_it, persistent=False)
        self.others_than_it: torch.Tensor
        shares = torch.zeros(blocks.conditions if self.condition else 0)
        self.register_buffer("shares", shares)
        self.shares: torch.Tensor

    def moves(self) -> Sequence[Move]:
        """The usual two; the classifier is trained with the discriminator."""
        first, *rest = super().moves()
        return first if self.classifier is None else replace(first, trains=(*first.trains, "classifier")), *rest

    def foretold(self, rows: torch.Tensor) -> torch.Tensor:
        """The classifier's logits of the target's kinds, [B, kinds], by the other columns of rows [B, D]."""
        assert self.classifier is not None
        return wide(run(self.classifier, rows * self.others_than_it))

    def sampler(self, dataset: Dataset, seed: int) -> Sampler | None:
        """Training by sampling, where a column has kinds."""
        if not self.condition or dataset.array is None:
            return None
        told = [(begin, number) for _, begin, number in self.blocks.told]
        rows = Rows(dataset.array, told, seed, self.frequency)
        self.shares.copy_(torch.from_numpy(rows.shares))
        return rows

    def play(self, move: str, turn: Turn) -> Outcome:
        """The outcome of a move, in which the condition stands where labels do."""
        told = turn.batch.more.get("condition") if self.condition else None
        return super().play(move, replace(turn, batch=turn.batch._replace(labels=told)))

    forward = play

    def raw(self, turn: Turn) -> torch.Tensor:
        """The generator's raw rows for this move, in float32 at least."""
        with use(self._drawn(turn)):
            return wide(run(self.generator, self.latents(turn), turn.batch.labels).flatten(1))

    def rows(self, turn: Turn, raw: torch.Tensor) -> torch.Tensor:
        """Rows as the discriminator sees them."""
        uniform = self._drawn(turn).uniform("gumbel", self.blocks.categories)
        return self.blocks.activated(raw, uniform, self.tau, self.hard)

    def fakes(self, turn: Turn, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Fakes for this move, of its own noise or of another."""
        if noise is None:
            return self.rows(turn, self.raw(turn))
        with use(self._drawn(turn)):
            return self.rows(turn, wide(run(self.generator, noise, turn.batch.labels).flatten(1)))

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """The adversarial loss of real rows against fakes, and the penalties that are due."""
        raw = self.raw(turn)
        fake = self.rows(turn, raw).view_as(turn.batch.data)
        outcome = self.told_apart(turn, fake.detach())
        if self.classifier is not None:
            real = turn.batch.data.flatten(1)
            doubted = -(real[:, self.target] * self.foretold(real).log_softmax(1)).sum(1)
            outcome = replace(outcome, terms={**outcome.terms, "classifier": doubted})
        shared = {**outcome.shared, "fake": fake, "raw": raw} if self.shared_fakes else {}
        return replace(outcome, shared=shared)

    def generator_loss(self, turn: Turn) -> Outcome:
        """The adversarial loss of fakes, and what it costs to give another kind than was told."""
        if "fake" not in turn.shared or "raw" not in turn.shared:
            with still():
                raw = self.raw(turn)
            fake = self.rows(turn, raw).view_as(turn.batch.data)
            turn = replace(turn, shared={**turn.shared, "raw": raw, "fake": fake})
        outcome = super().generator_loss(turn)
        if turn.batch.labels is None:
            return outcome
        asked = self.condition * self.blocks.asked(turn.shared["raw"], turn.batch.labels)
        return replace(outcome, terms={**outcome.terms, "condition": asked})

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Rows of noise [B, noise]; kinds are told as `labels` [B, V] say, or as frequent as they are."""
        return generated(self, noise, labels)


def generated(game: Table, noise: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """Rows of noise vectors: the generator's numbers first, then one for each category, and the condition's last."""
    own, blocks = noise[:, : game.noise], game.blocks
    share = torch.special.ndtr(noise[:, game.noise :].double())
    if game.condition and labels is None:
        steps = game.shares.double().cumsum(0)
        kind = torch.searchsorted(steps, share[:, -1].contiguous() * steps[-1]).clamp_max(len(steps) - 1)
        labels = torch.zeros(len(noise), len(steps), device=noise.device).scatter_(1, kind.unsqueeze(1), 1.0)
    raw = wide(run(game.generator, own, labels).flatten(1))
    uniform = share[:, : blocks.categories].to(raw.dtype)
    rows = blocks.activated(raw, uniform, game.tau, game.hard)
    if game.classifier is not None and game.agreement:
        # The classifier knows rows with one kind of each column, as real ones are.
        foretold = game.foretold(blocks.activated(raw, uniform, game.tau, True))
        raw = torch.cat([raw[:, : game.target.start], game.agreement * foretold, raw[:, game.target.stop :]], 1)
        rows[:, game.target] = blocks.activated(raw, uniform, game.tau, game.hard)[:, game.target]
    return rows.view(-1, *game.generator.shape)  # type: ignore[misc]


class Autoencoder(Game):
    """TVAE: the variational autoencoder of rows, with a Gaussian for each number and a softmax for each category.

    L = 2 Σ −log p(x_j | z) + KL(q(z|x) ‖ N(0, I)), where a number's p is N(tanh D_j(z), σ_j²) with σ_j learned. Xu et
    al., 2019, Section 4.5 (arXiv:1907.00503); the factor is the authors' code's.

    Args:
        encoder: row → mean and log variance [B, 2 noise]: an `Encoder` with `moments: 2`.
        generator: noise → raw row; the decoder.
        shape: of a row.
        columns: as of `Blocks`.
        noise: of the whole vector: the decoder's, and one number a category, by which it is drawn.
        factor: of the reconstruction.
    """

    averaged = ("generator", "encoder", "deviation")

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        *,
        shape: Sequence[int],
        columns: Sequence[Sequence[int]] | None = None,
        noise: int = 128,
        factor: float = 2.0,
    ) -> None:
        super().__init__()
        self.blocks = Blocks(columns, shape)
        self.noise = noise - self.blocks.categories
        if self.noise < 1:
            raise ValueError(f"noise: {noise} leaves the decoder none; add a number for each category")
        if getattr(encoder, "moments", 2) != 2:
            raise ValueError("the game wants an encoder with moments: 2, a mean and a log variance")
        self.encoder, self.generator, self.factor = encoder, generator, factor
        self.deviation = nn.Module()
        self.deviation.register_parameter("log", nn.Parameter(torch.full((len(self.blocks.numbers),), math.log(0.1))))
        self.coupled = couples(encoder) or couples(generator)

    def moves(self) -> Sequence[Move]:
        """One, of all that there is."""
        return (Move("autoencoder", ("encoder", "generator", "deviation"), fresh=True),)

    def autoencoder_loss(self, turn: Turn) -> Outcome:
        """The two terms of the evidence's lower bound, negated."""
        data = turn.batch.data.flatten(1)
        mean, log_variance = moments(self.encoder, turn.batch.data, None)
        raw = wide(run(self.generator, sampled(turn, mean, log_variance)).flatten(1))
        log = self.deviation.log.clamp(math.log(0.01), 0.0)  # type: ignore[operator]
        apart = data[:, self.blocks.numbers] - raw[:, self.blocks.numbers].tanh()
        energy = (0.5 * (apart * (-log).exp()).square() + log).sum(1)
        for _, begin, number in self.blocks.parts:
            if number:
                there = slice(begin, begin + number)
                energy = energy - (data[:, there] * raw[:, there].log_softmax(1)).sum(1)
        return Outcome({"reconstruction": self.factor * energy, "divergence": divergence(mean, log_variance)})

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Rows of noise [B, noise]: categories drawn by the decoder's softmax, numbers about its means by σ."""
        raw = wide(run(self.generator, noise[:, : self.noise]).flatten(1))
        share = torch.special.ndtr(noise[:, self.noise :].double()).to(raw.dtype)
        return self.blocks.activated(raw, share, 0.2).view(-1, *self.generator.shape)  # type: ignore[misc]
