"""The parameters that one move trains: flat in memory, with their optimiser.

All parameters of a side are views of one flat tensor, and their gradients of another. So an optimiser
step, an average, a clip, a finiteness check and an all-reduce are one kernel each; and the engine owns
access to parameters, so that they can be sharded later without touching a game.

In bf16 the networks hold a flat working copy in bf16; the flat master weights stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from gansmith import collectives
from gansmith.fields import Optimizer
from gansmith.schedule import value_at


def _flat_view(flat: torch.Tensor, at: int, like: torch.Tensor) -> torch.Tensor:
    """A view of `flat` shaped as `like`; convolution weights lie in channels_last."""
    piece = flat[at : at + like.numel()]
    if like.dim() == 4:
        n, c, h, w = like.shape
        return piece.view(n, h, w, c).permute(0, 3, 1, 2)
    return piece.view(like.shape)


def _dense(piece: torch.Tensor) -> torch.Tensor:
    """A piece in the order in which it lies: torch's fused kernel copies what it does not hold for contiguous."""
    return piece.permute(0, 2, 3, 1) if piece.dim() == 4 else piece


class Flat:
    """Named parameters laid out in one flat tensor.

    Args:
        parameters: by name; afterwards each is a view of `work`.
        device: where they go.
        dtype: of the master weights, float32 or float64.
        working: of the copy that the networks run in, `dtype` or bfloat16.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], device: torch.device, dtype: torch.dtype, working: torch.dtype
    ) -> None:
        self.parameters = dict(parameters)
        self.size = sum(p.numel() for p in self.parameters.values())
        self.master = torch.empty(self.size, device=device, dtype=dtype)
        self.work = self.master if working == dtype else torch.empty(self.size, device=device, dtype=working)
        with torch.no_grad():
            for name, view in self.views(self.master).items():
                view.copy_(self.parameters[name])
            self.refresh()
            for name, view in self.views(self.work).items():
                self.parameters[name].data = view

    def views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Another flat tensor of the same layout, as views by name."""
        out, at = {}, 0
        for name, parameter in self.parameters.items():
            out[name] = _flat_view(flat, at, parameter)
            at += parameter.numel()
        return out

    def refresh(self) -> None:
        """Bring the working copy up to the master weights."""
        if self.work is not self.master:
            self.work.copy_(self.master)


class FusedAdam:
    """Adam or AdamW of flat tensors by torch's fused kernel, called directly.

    Kingma and Ba, 2015 (arXiv:1412.6980); Loshchilov and Hutter, 2019 (arXiv:1711.05101). `torch.optim` sorts
    its parameters anew at each step, which costs as much as the kernel where networks are small; and here the
    kernel takes the gradients as they come from autograd, one for each parameter, without a copy.

    Args:
        flats: the parameters.
        recipe: `adam`, or `adamw` whose weight decay is decoupled.
    """

    takes_pieces = True

    def __init__(self, flats: Sequence[Flat], recipe: Optimizer) -> None:
        self.flats, self.recipe = flats, recipe
        self.kernel = torch._fused_adamw_ if recipe.name == "adamw" else torch._fused_adam_  # pyright: ignore
        self.states = [
            {"exp_avg": torch.zeros_like(f.master), "exp_avg_sq": torch.zeros_like(f.master),
             "step": torch.zeros((), device=f.master.device)}
            for f in flats
        ]  # fmt: skip
        self._lists: dict[bool, list[list[torch.Tensor]]] = {}

    def step(self, grads: Sequence[torch.Tensor], lr: float, b1: float, b2: float, *, pieces: bool) -> None:
        """Update the weights by flat gradients, or in pieces by one for each parameter."""
        if pieces not in self._lists:
            self._lists[pieces] = self._arguments(pieces)
        weights, means, squares, steps = self._lists[pieces]
        for state in self.states:
            state["step"].add_(1)
        with torch.no_grad():
            self.kernel(
                weights, [_dense(grad) for grad in grads], means, squares, [], steps, lr=lr, beta1=b1, beta2=b2,
                weight_decay=self.recipe.weight_decay, eps=self.recipe.eps, amsgrad=False, maximize=False,
            )  # fmt: skip

    def _arguments(self, pieces: bool) -> list[list[torch.Tensor]]:
        out: list[list[torch.Tensor]] = [[], [], [], []]
        for flat, state in zip(self.flats, self.states, strict=True):
            whole = [flat.master, state["exp_avg"], state["exp_avg_sq"]]
            for got, tensor in zip(out, whole, strict=False):
                got += map(_dense, flat.views(tensor).values()) if pieces else [tensor]
            out[3] += [state["step"]] * (len(flat.parameters) if pieces else 1)
        return out

    def load(self, states: Sequence[Mapping[str, torch.Tensor]]) -> None:
        """Put states back; what is missing is as at the start."""
        for mine, given in zip(self.states, states, strict=True):
            for name, tensor in mine.items():
                tensor.copy_(given[name]) if name in given else tensor.zero_()


class StockOptimizer:
    """One of `torch.optim`'s, for flat tensors.

    Args:
        flats: the parameters.
        recipe: `rmsprop` or `sgd`.
    """

    takes_pieces = False

    def __init__(self, flats: Sequence[Flat], recipe: Optimizer) -> None:
        self.leaves = [nn.Parameter(flat.master) for flat in flats]
        decay = recipe.weight_decay
        if recipe.name == "rmsprop":
            self.torch = torch.optim.RMSprop(self.leaves, eps=recipe.eps, weight_decay=decay, foreach=True)
        else:
            # It has a state only where it begins with a momentum.
            self.torch = torch.optim.SGD(
                self.leaves, momentum=value_at(recipe.betas[0], 0, 1), weight_decay=decay, fused=True
            )
        self.second = recipe.name == "rmsprop"

    @property
    def states(self) -> list[dict[str, torch.Tensor]]:
        """The state's tensors, one mapping a flat."""
        return [{k: v for k, v in self.torch.state[leaf].items() if torch.is_tensor(v)} for leaf in self.leaves]

    def step(self, grads: Sequence[torch.Tensor], lr: float, b1: float, b2: float, *, pieces: bool) -> None:
        """Update the weights by flat gradients."""
        for leaf, grad in zip(self.leaves, grads, strict=True):
            leaf.grad = grad
        for group in self.torch.param_groups:
            group["lr"] = lr
            if self.second:
                group["alpha"] = b2
            else:
                group["momentum"] = b1
        self.torch.step()

    def load(self, states: Sequence[Mapping[str, torch.Tensor]]) -> None:
        """Put states back; what is missing is as at the start."""
        self.torch.state.clear()
        for leaf, given in zip(self.leaves, states, strict=True):
            for name, value in given.items():
                self.torch.state[leaf][name] = value.to(leaf.device).clone()


class Side:
    """What one move trains, and how.

    Args:
        flats: the flat parameters of the networks that it trains.
        optimizer: the recipe's.
        clip: bound of the gradient's norm, or None.
    """

    def __init__(self, flats: Sequence[Flat], optimizer: Optimizer, clip: float | None) -> None:
        self.flats, self.recipe, self.clip = list(flats), optimizer, clip
        self.targets: list[torch.Tensor] = [p for flat in self.flats for p in flat.parameters.values()]
        kind = FusedAdam if optimizer.name in ("adam", "adamw") else StockOptimizer
        self.optimizer = kind(self.flats, optimizer)
        # The layout in which a kernel reads a gradient that it is given as it came.
        self._layout = [(v.dtype, v.stride()) for flat in self.flats for v in flat.views(flat.master).values()]
        self._given: list[torch.Tensor] | None = None
        self._grads: list[torch.Tensor] = []
        self._views: list[torch.Tensor] = []

    @property
    def grads(self) -> list[torch.Tensor]:
        """The gradients collected last, one flat tensor a network."""
        self._settle()
        return self._grads

    def _settle(self) -> None:
        """Lay the gradients that were given out in flat tensors, which are made when they are first needed."""
        if not self._grads:
            self._grads = [torch.zeros_like(flat.master) for flat in self.flats]
            self._views = [v for f, g in zip(self.flats, self._grads, strict=True) for v in f.views(g).values()]
        if self._given is not None:
            torch._foreach_copy_(self._views, self._given)
            self._given = None

    def collect(self, grads: Sequence[torch.Tensor | None], first: bool) -> None:
        """Take one microbatch's gradients, in the order of `targets`; the first replaces, others add."""
        if all(g is None for g in grads):
            raise ValueError("a move's loss does not depend on any of the weights that it trains")
        given = [g if g is not None else torch.zeros_like(t) for g, t in zip(grads, self.targets, strict=True)]
        if not first:
            self._settle()
            torch._foreach_add_(self._views, [g.to(v.dtype) for g, v in zip(given, self._views, strict=True)])
            return
        self._given = given
        if any((g.dtype, g.stride()) != held for g, held in zip(given, self._layout, strict=True)):
            self._settle()

    def reduce(self) -> None:
        """Average the gradients over ranks, one flat all-reduce a network."""
        if collectives.world() > 1:
            for grad in self.grads:
                torch.distributed.all_reduce(grad)
                grad /= collectives.world()

    def norm(self) -> torch.Tensor:
        """The norm of the gradient collected last."""
        return torch.stack(torch._foreach_norm(self._grads if self._given is None else self._given)).norm()

    def health(self) -> torch.Tensor:
        """A scalar that is finite exactly where all gradients are."""
        # 0·g is 0, or NaN where g is not finite; so nothing overflows in the sum.
        return torch.stack([(grad * 0).sum() for grad in self.grads]).sum()

    def step(self, images: float, total: int, ease: float = 1.0) -> None:
        """Update the weights, with the schedules' values after so many of `total` images; `ease` scales the rate."""
        if self.clip is not None:
            norm = torch.stack([grad.norm() for grad in self.grads]).norm()
            for grad in self.grads:
                grad.mul_(torch.clamp(self.clip / (norm + 1e-6), max=1.0))
        lr, b1, b2 = (value_at(value, images, total) for value in (self.recipe.lr, *self.recipe.betas))
        lr *= ease
        pieces = self._given if self.optimizer.takes_pieces else None
        self.optimizer.step(self.grads if pieces is None else pieces, lr, b1, b2, pieces=pieces is not None)
        for flat in self.flats:
            if self.recipe.weight_clip is not None:
                flat.master.clamp_(-self.recipe.weight_clip, self.recipe.weight_clip)
            flat.refresh()

    def state(self) -> dict[str, torch.Tensor]:
        """The optimiser's tensors, flat, by name."""
        return {f"{i}.{k}": v for i, state in enumerate(self.optimizer.states) for k, v in state.items()}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` gave."""
        states: list[dict[str, torch.Tensor]] = [{} for _ in self.flats]
        for key, value in tensors.items():
            i, _, name = key.partition(".")
            states[int(i)][name] = value
        self.optimizer.load(states)
