"""One move's gradients and terms: eagerly, or traced whole and compiled.

Torch cannot differentiate twice *through* a compiled graph. So the whole move, its inner gradients
(R1, R2, gradient penalties) and the outer one, is first traced into one flat graph of plain operations
(`make_fx`, below autograd); that graph has no gradients left in it, and any compiler may have it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from gansmith import draws as randomness
from gansmith.data.dataset import Batch
from gansmith.games.game import Game, Outcome, Turn

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Result:
    """What a move came to.

    Attributes:
        grads: of the mean loss, in the order of the targets; None where a target does not matter.
        terms: each term and watched number, not yet averaged, by name.
        state: new values of states.
        shared: for later moves of this round.
    """

    grads: Sequence[torch.Tensor | None]
    terms: Tensors
    state: Tensors
    shared: Tensors


class Stepper(Protocol):
    """Anything that plays a move and differentiates it."""

    keeps_graphs: bool

    def __call__(self, move: str, turn: Turn, targets: Sequence[torch.Tensor]) -> Result:
        """Play the move, and give the gradients of its mean loss with respect to the targets."""
        ...


def loss_of(outcome: Outcome) -> torch.Tensor:
    """The sum over terms of their means over examples."""
    means = [term.mean() if term.dim() else term for term in outcome.terms.values()]
    return sum(means[1:], means[0]) if means else torch.zeros(())


def named(outcome: Outcome) -> dict[str, torch.Tensor]:
    """Terms by name, and what is only watched as `watched/name`: no part of a loss, and not to be added to it."""
    return {**outcome.terms, **{f"watched/{name}": value for name, value in outcome.watched.items()}}


class Eager:
    """Plays a move with autograd, as it stands."""

    keeps_graphs = True

    def __init__(self, game: Game) -> None:
        self.game = game

    def __call__(self, move: str, turn: Turn, targets: Sequence[torch.Tensor]) -> Result:
        """Play, and differentiate the loss by the targets."""
        with randomness.use(turn.draws):
            outcome = self.game.play(move, turn)
            grads = torch.autograd.grad(loss_of(outcome), targets, allow_unused=True)
        terms = named(outcome)
        return Result(grads, {k: v.detach() for k, v in terms.items()}, outcome.state, outcome.shared)


class Compiled:
    """Plays a move by a graph that was traced whole, once for each variant, and compiled.

    Args:
        game: the game, its parameters where they will stay.
        compiler: graph module → callable; by default `torch.compile` in its default mode, and with CUDA
            graphs on a CUDA device.
    """

    keeps_graphs = False

    def __init__(
        self, game: Game, compiler: Callable[[torch.fx.GraphModule], Callable[..., Any]] | None = None
    ) -> None:
        self.game, self.compiler = game, compiler or torch_compile
        precise = any(p.dtype == torch.float64 for p in game.parameters())
        self.wide = torch.float64 if precise else torch.float32
        self.traced: dict[Hashable, tuple[Callable[..., Any], list[tuple[str, str, tuple[Any, ...]]]]] = {}

    def __call__(self, move: str, turn: Turn, targets: Sequence[torch.Tensor]) -> Result:
        """Play by the compiled graph; the first call of a variant traces and compiles it."""
        shared = {k: v for k, v in turn.shared.items() if not v.requires_grad}
        turn = replace(turn, shared=shared)
        key = (move, self.game.variant(move, turn.step), turn.batch.data.shape, tuple(sorted(shared)))
        if key not in self.traced:
            self.traced[key] = self._trace(move, turn, targets)
        function, calls = self.traced[key]
        with torch.no_grad():
            grads, terms, state, handed = function(self._inputs(turn, randomness.replay(turn.draws, calls)))
        return Result(grads, terms, state, handed)

    def _inputs(self, turn: Turn, drawn: list[torch.Tensor]) -> dict[str, Any]:
        device = turn.batch.data.device
        return {
            "parameters": {name: p.detach() for name, p in self.game.named_parameters()},
            "buffers": dict(self.game.named_buffers()),
            "data": turn.batch.data,
            "labels": turn.batch.labels,
            "more": dict(turn.batch.more),
            "drawn": drawn,
            # Scheduled values change at each step: as tensors they are inputs, not constants of the graph.
            "knobs": {k: torch.as_tensor(v, dtype=self.wide, device=device) for k, v in turn.knobs.items()},
            "state": dict(turn.state),
            "shared": dict(turn.shared),
        }

    def _trace(
        self, move: str, turn: Turn, targets: Sequence[torch.Tensor]
    ) -> tuple[Callable[..., Any], list[tuple[str, str, tuple[Any, ...]]]]:
        order = {id(p): name for name, p in self.game.named_parameters()}
        names = [order[id(target)] for target in targets]
        recorder = randomness.Recorded.of(turn.draws)

        def whole(inputs: dict[str, Any]) -> tuple[Any, ...]:
            recording = not inputs["drawn"]
            source = recorder if recording else randomness.Recorded.of(turn.draws, inputs["drawn"])
            parameters = {k: v.detach().requires_grad_() for k, v in inputs["parameters"].items()}
            now = Turn(
                Batch(inputs["data"], inputs["labels"], inputs["more"]), source,
                inputs["knobs"], inputs["state"], inputs["shared"], turn.step,
            )  # fmt: skip
            with randomness.use(source), torch.enable_grad():
                outcome: Outcome = functional_call(self.game, {**parameters, **inputs["buffers"]}, (move, now))
                grads = torch.autograd.grad(loss_of(outcome), [parameters[n] for n in names], allow_unused=True)
            # What carries a graph cannot leave the trace: a later move makes it anew from the same draws.
            handed = {k: v for k, v in outcome.shared.items() if not v.requires_grad}
            plain = [{k: v.detach() for k, v in part.items()} for part in
                     (named(outcome), outcome.state, handed)]  # fmt: skip
            return (list(grads), *plain)

        # Once beside, on copies of the buffers, to learn which draws the move makes; then for the tracer.
        copies = {name: b.clone() for name, b in self.game.named_buffers()}
        whole({**self._inputs(turn, []), "buffers": copies})
        inputs = {**self._inputs(turn, randomness.replay(turn.draws, recorder.calls)), "buffers": copies}
        return self.compiler(make_fx(whole)(inputs)), recorder.calls


def torch_compile(graph: torch.fx.GraphModule) -> Callable[..., Any]:
    """Compile a traced graph; on CUDA with CUDA graphs."""
    cuda = torch.cuda.is_available()
    return torch.compile(graph, fullgraph=True, dynamic=False, mode="reduce-overhead" if cuda else None)
