"""Plays rounds of any game: examples in, weights moved, clock advanced; all of its state in tensors and JSON."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from gansmith import collectives
from gansmith.data.dataset import Batch, Dataset
from gansmith.data.feed import Feed
from gansmith.draws import Draws
from gansmith.engine import distributed
from gansmith.engine.hardware import Numerics
from gansmith.engine.held import Held, feed_for
from gansmith.engine.phases import Span, phases_of, spans
from gansmith.engine.sampler import Sampler, examples_of
from gansmith.engine.side import Flat, Side
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.errors import Refused
from gansmith.games.game import Game, Move, Turn
from gansmith.recipe import Recipe
from gansmith.schedule import Adaptive, value_at

SAMPLED_ROUNDS = 8
"""Terms are averaged over each n-th round only: keeping the sums costs as much as a small network's layer."""

EASED_RATE, EASED_PENALTY, EASED_PLAIN = 0.5, 2.0, 0.75
"""What each easing multiplies: learning rates, penalties' weights, and the share of examples not augmented."""


class Player:
    """A game, its data and its optimisers at one point of a training.

    Args:
        game: as built, on the CPU in float32.
        dataset: labels or conditions are fed where it has them.
        recipe: resolved.
        device: where to train.
        numerics: how to compute.

    Attributes:
        images: the clock.
        attempt: raised by a roll-back.
        eased: how often the training was made gentler, after trouble.
        phases: the recipe's, or else the game's own.
        phase: the name of the one that is on, or None.
        noted: called with the terms and the gradient's norm of a move, in the rounds that are averaged; or None.
        sampled: terms are averaged over each so many-th round only.
    """

    def __init__(self, game: Game, dataset: Dataset, recipe: Recipe, device: torch.device, numerics: Numerics) -> None:
        self.recipe, self.device, self.dataset, self.numerics = recipe, device, dataset, numerics
        self.total = recipe.images
        self.dtype = torch.float64 if numerics.precision == "fp64" else torch.float32
        working = torch.bfloat16 if numerics.precision == "bf16" else self.dtype
        self.game = game.to(device=device, dtype=self.dtype).train()
        self.flats: dict[str, Flat] = {}
        for name, network in self.game.named_children():
            named = {f"{name}.{key}": p for key, p in network.named_parameters()}
            if named:
                self.flats[name] = Flat(named, device, self.dtype, working)
        self.moves = list(self.game.moves())
        self.phases = phases_of(recipe, self.game)
        for phase in [phase.name for phase in self.phases] or [None]:
            if not any(move.fresh and move.phase in (None, phase) for move in self.moves):
                where = f" of phase {phase!r}" if phase else ""
                raise Refused(f"game {recipe.game.name}: no move{where} takes fresh examples, so no clock runs")
        self.sides = {move.name: self._side(move) for move in self.moves}
        self.averages = {name: self.flats[name].master.clone() for name in self.game.averaged if recipe.ema}
        first_states = self.game.states()
        self.states = {name: tensor.to(device) for name, (tensor, _) in first_states.items()}
        self.reductions = {name: how for name, (_, how) in first_states.items()}
        self._synchronise()
        self.stepper: Stepper = Compiled(self.game) if numerics.compiled else Eager(self.game)
        self.rank, self.world = collectives.rank(), collectives.world()
        self._set_batch(recipe.batch, recipe.microbatch)
        self.feed = self.feeds(
            dataset, batch=recipe.batch, seed=recipe.seed, rank=self.rank, world=self.world, mirror=recipe.data.mirror
        )
        self.images = self.rounds = self.attempt = self.eased = 0
        self.steps = dict.fromkeys(self.sides, 0)
        self.phase: str | None = None
        self._place = 0
        self._first, self._batch = 0, None
        self._begin_round()
        self._seen: set[str] = set()
        self.sampled = SAMPLED_ROUNDS
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self.noted: Callable[[str, Mapping[str, torch.Tensor], torch.Tensor], None] | None = None
        self._shown: Game | None = None
        self._behind: dict[Any, frozenset[str]] = {}
        self._handed: dict[str, frozenset[str]] = {}
        self._enter_phase()

    def _side(self, move: Move) -> Side:
        recipe = self.recipe
        flats = [self.flats[name] for name in move.trains if name in self.flats]
        if not flats:
            raise Refused(f"the move {move.name!r} trains {', '.join(move.trains)}, which have no parameters")
        return Side(flats, recipe.optimizers.get(move.name, recipe.optimizer), recipe.clip)

    def feeds(self, dataset: Dataset, *, seed: int, **options: Any) -> Feed:
        """A feed of examples as this game wants them; options are the feed's own."""
        return feed_for(self.game, dataset, self.device, seed=seed, **options)

    def _synchronise(self) -> None:
        distributed.broadcast(flat.master for flat in self.flats.values())
        distributed.broadcast(self.averages.values())
        distributed.broadcast(self.game.buffers())
        for flat in self.flats.values():
            flat.refresh()

    def _fed(self, at: int) -> Batch:
        batch = self.feed.at(at)
        return _wide(batch) if self.dtype == torch.float64 else batch

    def _set_batch(self, batch: int, microbatch: int | None) -> None:
        share, rest = divmod(batch, self.world)
        if rest:
            raise Refused(f"batch: {batch} examples cannot be shared evenly by {self.world} ranks")
        micro = min(microbatch or share, share)
        if share % micro:
            raise Refused(f"microbatch: {micro} does not divide the {share} examples of a rank's batch")
        if micro < share and self.game.coupled:
            raise Refused(
                f"microbatch: this game mixes the examples of a batch, so its {share} cannot be split",
                "Networks with batch norm, or a relativistic average loss, do so.",
            )
        self.share, self.micro = share, micro

    # --- play --------------------------------------------------------------------------------------

    def round(self) -> None:
        """Play each move that is due, once or as often as it says, and move the averages along."""
        self._begin_round()
        for move in self.moves:
            if self.rounds % move.every or (move.phase is not None and move.phase != self.phase):
                continue
            for _ in range(move.steps):
                self._play_next(move, move.fresh or self.images == 0)
        self._end_round()

    def play_move(self, name: str) -> None:
        """Play one move by itself; the moves of a round one by one come to the same as `round`.

        Of new examples where it takes such or has seen the last ones; else of those that the last move took. A round
        ends with its last move, and between rounds alone is the state whole that `tensors` and `clock` give.

        Args:
            name: of the move.

        Raises:
            Refused: the game has no such move.
        """
        known = {move.name: move for move in self.moves}
        if name not in known:
            raise Refused(f"the game {self.recipe.game.name} has no move {name!r}; there are {', '.join(known)}")
        move = known[name]
        again = name in self._seen and not self._played[name]
        self._play_next(move, move.fresh or self.images == 0 or again)
        if move is self.moves[-1] and self._played[name] >= move.steps:
            self._end_round()

    def _begin_round(self) -> None:
        self._begun = self.images
        self._played: dict[str, int] = dict.fromkeys(self.sides, 0)
        self._shared: list[dict[str, torch.Tensor]] = [{} for _ in range(self.share // self.micro)]

    def _play_next(self, move: Move, fresh: bool) -> None:
        if fresh:
            self._first, self._batch = self.images, self._fed(self.images)
            self.images += self.recipe.batch
            self._seen.clear()
        elif self._batch is None:  # resumed: the batch that the last fresh move took
            self._batch = self._fed(self._first)
        self._play(move, self._played[move.name], self._shared)
        self._played[move.name] += 1
        self._seen.add(move.name)

    def _end_round(self) -> None:
        self.rounds += 1
        self._average(self.images - self._begun)
        before = self.phase
        self._enter_phase()
        if self.phase != before and self.phases[self._place].settle:
            self._settle()
        self._begin_round()

    def _settle(self) -> None:
        for name, average in self.averages.items():
            self.flats[name].master.copy_(average)
            self.flats[name].refresh()

    def _play(self, move: Move, repeat: int, shared: list[dict[str, torch.Tensor]]) -> None:
        assert self._batch is not None
        side, knobs = self.sides[move.name], self.knobs()
        prefix = move.name if repeat == 0 else f"{move.name}.{repeat}"
        whole, result = len(shared) == 1, None
        new: dict[str, list[torch.Tensor]] = {}
        for i, handed in enumerate(shared):
            start = i * self.micro
            batch = self._batch if whole else _rows(self._batch, start, start + self.micro)
            at = self.rank * self.share + start
            draws = Draws(
                self.recipe.seed, self._first, self.recipe.batch, start=at, stop=at + self.micro,
                attempt=self.attempt, device=self.device, prefix=prefix,
            )  # fmt: skip
            turn = Turn(batch, draws, knobs, self.states, handed, self.steps[move.name])
            prepared = self.game.prepare(move.name, turn)
            if prepared:
                turn = replace(turn, shared={**handed, **prepared})
            result = self.stepper(move.name, turn, side.targets)
            side.collect(result.grads, first=i == 0)
            if whole and self.stepper.keeps_graphs:
                handed.update(result.shared)
            else:  # a graph kept for each microbatch would cost the memory that splitting saves
                handed.update({k: v for k, v in result.shared.items() if not v.requires_grad})
            for name, value in result.state.items():
                new.setdefault(name, []).append(value.detach())
            if self.rounds % self.sampled == 0:
                self._note(move.name, result.terms)
        if not whole:
            for grad in side.grads:
                grad /= len(shared)
        side.reduce()
        if self.noted is not None and result is not None and self.rounds % self.sampled == 0:
            self.noted(move.name, result.terms, side.norm())
        side.step(self._first, self.total, EASED_RATE**self.eased)
        if result is not None and whole and self.stepper.keeps_graphs:
            self._drop_stale(move, result.shared, shared[0])
        self.steps[move.name] += 1
        for name, values in new.items():
            self.states[name] = self._reduced(self.reductions[name], torch.stack(values))

    def _drop_stale(self, move: Move, given: Mapping[str, torch.Tensor], handed: dict[str, torch.Tensor]) -> None:
        # Weights lie in one flat tensor, so autograd does not notice that a step has changed them: a graph
        # through what was just trained would give wrong gradients, silently.
        for name, tensor in given.items():
            if tensor.grad_fn is not None:
                key = (move.name, name, self.game.variant(move.name, self.steps[move.name]))
                if key not in self._behind:
                    self._behind[key] = self._networks_behind(tensor)
                self._handed[name] = self._behind[key]
        for name in [name for name, tensor in handed.items() if tensor.grad_fn is not None]:
            if self._handed[name] & set(move.trains):
                del handed[name]

    def _networks_behind(self, tensor: torch.Tensor) -> frozenset[str]:
        owners = {id(p): name for name, flat in self.flats.items() for p in flat.parameters.values()}
        found, seen, nodes = set(), set(), [tensor.grad_fn]
        while nodes:
            node = nodes.pop()
            if node is not None and node not in seen:
                seen.add(node)
                found.add(owners.get(id(getattr(node, "variable", None)), ""))
                nodes += [following for following, _ in node.next_functions]
        return frozenset(found)

    def _reduced(self, how: str, values: torch.Tensor) -> torch.Tensor:
        if how == "sum":
            return collectives.all_sum(values.sum(0))
        return collectives.all_mean(values.mean(0)) if how == "mean" else values[-1]

    def knobs(self) -> dict[str, float | torch.Tensor]:
        """The scheduled values at the clock of the step, by name; and those that the game moves, which are states."""
        at, recipe = self._first, self.recipe
        more, plain = EASED_PENALTY**self.eased, EASED_PLAIN**self.eased
        out: dict[str, float | torch.Tensor] = {
            name: more * value_at(penalty.weight, at, self.total) for name, penalty in recipe.penalties.items()
        }
        for name, knob in recipe.augment_knobs().items():
            probability = recipe.augment[name].probability
            if isinstance(probability, Adaptive):  # which the game raises by itself
                out[knob] = self.states[knob]
            else:
                often = value_at(probability, at, self.total)
                out[knob] = often + (1 - plain) * (1 - often)
        span = self.spans()[self._place]
        moved = (at - span.begin) / (span.end - span.begin) if span.end > span.begin else 1.0
        return {**out, "progress": at / self.total, "phase": min(max(moved, 0.0), 1.0)}

    def shown_knobs(self) -> dict[str, float]:
        """The values that a person wants to see; waits for the device where the game moves one."""
        recipe, at = self.recipe, self._first
        out = {name: float(value) for name, value in self.knobs().items() if name not in ("progress", "phase")}
        for move in self.sides:
            optimizer = recipe.optimizers.get(move, recipe.optimizer)
            name = "lr" if not recipe.optimizers else f"lr/{move}"
            out[name] = EASED_RATE**self.eased * value_at(optimizer.lr, at, self.total)
        if recipe.ema:
            out["ema_half_life"] = self._half_life()
        return out

    def _half_life(self) -> float:
        ema = self.recipe.ema
        assert ema is not None
        if ema.half_life is not None:
            half = value_at(ema.half_life, self.images, self.total)
        else:
            half = (ema.share or 0.1) * self.total
        return half if ema.warmup is None else min(half, ema.warmup * self.images)

    def _average(self, shown: int) -> None:
        if not self.averages:
            return
        half = self._half_life()
        pull = 1.0 if half <= 0 else 1.0 - 0.5 ** (shown / half)
        for name, average in self.averages.items():
            average.lerp_(self.flats[name].master, pull)

    def spans(self) -> list[Span]:
        """The phases on the clock, in order; one without a name where there are none."""
        return spans(self.phases, self.total)

    def _enter_phase(self) -> None:
        spans = self.spans()
        # The last one stays on to the training's end.
        self._place = next((i for i, span in enumerate(spans) if self.images < span.end), len(spans) - 1)
        name = spans[self._place].name
        if name is None or name == self.phase:
            return
        self.phase = name
        self.game.enter(name)
        if self.phases[self._place].renew:
            for side in self.sides.values():
                side.load({})
        if isinstance(self.stepper, Compiled):
            self.stepper.traced.clear()  # a phase may change what a move does

    # --- what to look at ---------------------------------------------------------------------------

    def _note(self, move: str, terms: Mapping[str, torch.Tensor]) -> None:
        for name, value in terms.items():
            key = f"{move}/{name}"
            mean = value.detach().mean()
            old = self._sums.get(key)
            if old is None:
                self._sums[key], self._counts[key] = mean.float().clone(), 1
            else:
                old += mean
                self._counts[key] += 1

    def terms(self) -> dict[str, float]:
        """Means of the terms since the last call; the only place where the device is waited for."""
        if not self._sums:
            return {}
        names = list(self._sums)
        values = collectives.all_mean(torch.stack([self._sums[name] / self._counts[name] for name in names]))
        self._sums, self._counts = {}, {}
        return dict(zip(names, values.tolist(), strict=True))

    def healthy(self) -> bool:
        """Whether all weights are finite. A gradient that is not makes them so, and they never recover."""
        sums = torch.stack([flat.master.sum() for flat in self.flats.values()])
        return not distributed.agree(not math.isfinite(float(sums.sum())), self.device)

    def shown(self) -> Game:
        """The game with averaged weights, in eval mode and float32: what a sample is drawn from."""
        if self._shown is None:
            self._shown = copy.deepcopy(self.game).to(torch.float32).eval().requires_grad_(False)
        if self.phase is not None:
            self._shown.enter(self.phase)
        with torch.no_grad():
            mine = dict(self._shown.named_parameters())
            for name, flat in self.flats.items():
                for key, view in flat.views(self.averages.get(name, flat.master)).items():
                    mine[key].copy_(view)
            theirs = dict(self.game.named_buffers())
            for key, buffer in self._shown.named_buffers():
                buffer.copy_(theirs[key])
        return self._shown

    def sampler(self, held: Dataset | None = None) -> Sampler:
        """A sampler of the averaged weights.

        Args:
            held: examples that the training does not see, for a game that makes nothing of noise alone; None is those
                that it does.
        """
        game, dataset = self.shown(), self.dataset
        classes = dataset.classes if dataset.labels is not None else None
        conditions = None if dataset.conditions is None else examples_of(dataset.conditions)
        made = Sampler(
            game.generate, shape=dataset.shape, modality=dataset.modality, noise=self.recipe.noise,
            classes=game.classes or classes, coded=game.classes is not None, conditions=conditions,
            truncated=game.truncated, device=self.device,
        )  # fmt: skip
        if game.use is not None:
            made.held = Held(game, held or dataset, self.device)
        return made

    # --- state -------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors of the training's state, by name."""
        out: dict[str, torch.Tensor] = {}
        for name, flat in self.flats.items():
            out |= {f"weights.{key}": view for key, view in flat.views(flat.master).items()}
            if name in self.averages:
                out |= {f"average.{key}": view for key, view in flat.views(self.averages[name]).items()}
        persistent = self.game.state_dict()
        out |= {f"buffer.{key}": b for key, b in self.game.named_buffers() if key in persistent}
        for move, side in self.sides.items():
            out |= {f"optimizer.{move}.{key}": value for key, value in side.state().items()}
        return out | {f"state.{key}": value for key, value in self.states.items()}

    def clock(self) -> dict[str, Any]:
        """The rest of the state, as plain JSON."""
        return {
            "images": self.images, "first": self._first, "rounds": self.rounds, "steps": dict(self.steps),
            "attempt": self.attempt, "eased": self.eased, "phase": self.phase,
        }  # fmt: skip

    def load(self, tensors: Mapping[str, torch.Tensor], clock: Mapping[str, Any]) -> None:
        """Go to the state that `tensors` and `clock` gave.

        Raises:
            Refused: tensors that are missing or of another shape.
        """
        self.images, self.rounds, self.attempt = clock["images"], clock["rounds"], clock["attempt"]
        self._first, self.eased = clock["first"], int(clock.get("eased", 0))
        self.steps = {move: int(clock["steps"][move]) for move in self.sides}
        self._batch, self._sums, self._counts = None, {}, {}
        self._seen = set(self.sides)
        self._begin_round()
        self._enter_phase()
        try:
            with torch.no_grad():
                for name, flat in self.flats.items():
                    for key, view in flat.views(flat.master).items():
                        view.copy_(tensors[f"weights.{key}"])
                    flat.refresh()
                    if name in self.averages:
                        for key, view in flat.views(self.averages[name]).items():
                            view.copy_(tensors[f"average.{key}"])
                for key, buffer in self.game.named_buffers():
                    if f"buffer.{key}" in tensors:
                        buffer.copy_(tensors[f"buffer.{key}"])
            for move, side in self.sides.items():
                head = f"optimizer.{move}."
                side.load({k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)})
            self.states = {key: tensors[f"state.{key}"].to(self.device).clone() for key in self.states}
        except (KeyError, RuntimeError) as error:
            raise Refused(f"the checkpoint does not fit the recipe ({error})") from None

    def start_from(self, tensors: Mapping[str, torch.Tensor]) -> tuple[int, int]:
        """Take the weights of another run wherever names and shapes agree (fine-tuning).

        Returns:
            How many parameters were taken, and how many there are.
        """
        taken = 0
        with torch.no_grad():
            for name, flat in self.flats.items():
                views = flat.views(flat.master)
                for key, view in views.items():
                    given = tensors.get(f"average.{key}", tensors.get(f"weights.{key}"))
                    if given is not None and given.shape == view.shape:
                        view.copy_(given)
                        taken += 1
                if name in self.averages:
                    self.averages[name].copy_(flat.master)
            for key, buffer in self.game.named_buffers():
                given = tensors.get(f"buffer.{key}")
                if given is not None and given.shape == buffer.shape:
                    buffer.copy_(given)
        self._synchronise()
        return taken, sum(len(flat.parameters) for flat in self.flats.values())

    def close(self) -> None:
        """Stop the feed's threads."""
        self.feed.close()


def _wide(batch: Batch) -> Batch:
    """Examples in float64, so that nothing is computed in float32 before the first layer."""
    more = {name: part.double() if part.is_floating_point() else part for name, part in batch.more.items()}
    return Batch(batch.data.double(), batch.labels, more)


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    labels = None if batch.labels is None else batch.labels[start:stop]
    return Batch(batch.data[start:stop], labels, {k: v[start:stop] for k, v in batch.more.items()})
