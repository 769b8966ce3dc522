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
from gansmith.recipe import Optimizer, value_at


def _flat_view(flat: torch.Tensor, at: int, like: torch.Tensor) -> torch.Tensor:
    """A view of `flat` shaped as `like`; convolution weights lie in channels_last."""
    piece = flat[at : at + like.numel()]
    if like.dim() == 4:
        n, c, h, w = like.shape
        return piece.view(n, h, w, c).permute(0, 3, 1, 2)
    return piece.view(like.shape)


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
        decoupled: weight decay as AdamW has it.
        eps: added to the root of the second moment.
        decay: weight decay.
    """

    def __init__(self, flats: Sequence[Flat], decoupled: bool, eps: float, decay: float) -> None:
        self.flats, self.eps, self.decay = list(flats), eps, decay
        self.kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_  # pyright: ignore
        self.states = [
            {"exp_avg": torch.zeros_like(f.master), "exp_avg_sq": torch.zeros_like(f.master),
             "step": torch.zeros((), device=f.master.device)}
            for f in self.flats
        ]  # fmt: skip
        self._lists: dict[bool, list[list[torch.Tensor]]] = {}

    def step(self, grads: Sequence[torch.Tensor], lr: float, b1: float, b2: float, piecewise: bool) -> None:
        """Update the weights by flat gradients, or piecewise by one for each parameter."""
        if piecewise not in self._lists:
            self._lists[piecewise] = self._arguments(piecewise)
        weights, means, squares, steps = self._lists[piecewise]
        for state in self.states:
            state["step"].add_(1)
        with torch.no_grad():
            self.kernel(
                weights, list(grads), means, squares, [], steps, lr=lr, beta1=b1, beta2=b2,
                weight_decay=self.decay, eps=self.eps, amsgrad=False, maximize=False,
            )  # fmt: skip

    def _arguments(self, piecewise: bool) -> list[list[torch.Tensor]]:
        out: list[list[torch.Tensor]] = [[], [], [], []]
        for flat, state in zip(self.flats, self.states, strict=True):
            whole = [flat.master, state["exp_avg"], state["exp_avg_sq"]]
            for got, tensor in zip(out, whole, strict=False):
                got += flat.views(tensor).values() if piecewise else [tensor]
            out[3] += [state["step"]] * (len(flat.parameters) if piecewise else 1)
        return out


class Side:
    """What one move trains, and how.

    Args:
        flats: the flat parameters of the networks that it trains.
        optimizer: the recipe's.
        clip: bound of the gradient's norm, or None.
    """

    def __init__(self, flats: Sequence[Flat], optimizer: Optimizer, clip: float | None) -> None:
        self.flats, self.recipe, self.clip = list(flats), optimizer, clip
        self.targets: list[torch.Tensor] = []
        self.views: list[torch.Tensor] = []
        self._flat_grads: list[torch.Tensor] = []
        self._given: list[torch.Tensor] | None = None
        for flat in self.flats:
            self.targets += flat.parameters.values()
        self.adam: FusedAdam | None = None
        if optimizer.name in ("adam", "adamw"):
            decoupled = optimizer.name == "adamw"
            self.adam = FusedAdam(self.flats, decoupled, optimizer.eps, optimizer.weight_decay)
        else:
            self.leaves = [nn.Parameter(flat.master) for flat in self.flats]
            self.torch = self._torch_optimizer()
        # The layout in which the kernel reads a gradient that it is given as it is.
        self._shapes = [(v.dtype, v.stride()) for flat in self.flats for v in flat.views(flat.master).values()]

    def _torch_optimizer(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        lr, (b1, b2) = value_at(recipe.lr, 0, 1), (value_at(beta, 0, 1) for beta in recipe.betas)
        decay = recipe.weight_decay
        if recipe.name == "rmsprop":
            return torch.optim.RMSprop(self.leaves, lr=lr, alpha=b2, eps=recipe.eps, weight_decay=decay, foreach=True)
        return torch.optim.SGD(self.leaves, lr=lr, momentum=b1, weight_decay=decay, fused=True)

    @property
    def grads(self) -> list[torch.Tensor]:
        """The gradients collected last, one flat tensor a network."""
        self._lay_out()
        if self._given is not None:
            torch._foreach_copy_(self.views, self._given)
            self._given = None
        return self._flat_grads

    def _lay_out(self) -> None:
        if not self._flat_grads:
            self._flat_grads = [torch.zeros_like(flat.master) for flat in self.flats]
            for flat, grad in zip(self.flats, self._flat_grads, strict=True):
                self.views += flat.views(grad).values()

    def collect(self, grads: Sequence[torch.Tensor | None], first: bool) -> None:
        """Take one microbatch's gradients, in the order of `targets`; the first replaces, others add."""
        if all(g is None for g in grads):
            raise ValueError("a move's loss does not depend on any of the weights that it trains")
        given = [g if g is not None else torch.zeros_like(t) for g, t in zip(grads, self.targets, strict=True)]
        if first:
            self._given = given
            if any((g.dtype, g.stride()) != shape for g, shape in zip(given, self._shapes, strict=True)):
                self.grads  # noqa: B018 - laid out flat, and cast, at once
        else:
            flat = self.grads
            torch._foreach_add_(self.views, [g.to(flat[0].dtype) for g in given])

    def reduce(self) -> None:
        """Average the gradients over ranks, one flat all-reduce a network."""
        if collectives.world() > 1:
            for grad in self.grads:
                torch.distributed.all_reduce(grad)
                grad /= collectives.world()

    def health(self) -> torch.Tensor:
        """A scalar that is finite exactly where all gradients are."""
        # 0·g is 0, or NaN where g is not finite; so nothing overflows in the sum.
        return torch.stack([(grad * 0).sum() for grad in self.grads]).sum()

    def step(self, images: float, total: int) -> None:
        """Update the weights, with the schedules' values after so many of `total` images."""
        if self.clip is not None:
            norm = torch.stack([grad.norm() for grad in self.grads]).norm()
            for grad in self.grads:
                grad.mul_(torch.clamp(self.clip / (norm + 1e-6), max=1.0))
        recipe = self.recipe
        lr, b1, b2 = (value_at(value, images, total) for value in (recipe.lr, *recipe.betas))
        if self.adam is not None:
            given = self._given
            self.adam.step(self.grads if given is None else given, lr, b1, b2, piecewise=given is not None)
        else:
            for leaf, grad in zip(self.leaves, self.grads, strict=True):
                leaf.grad = grad
            for group in self.torch.param_groups:
                group["lr"] = lr
                group["alpha" if recipe.name == "rmsprop" else "momentum"] = b2 if recipe.name == "rmsprop" else b1
            self.torch.step()
        for flat in self.flats:
            flat.refresh()

    def state(self) -> dict[str, torch.Tensor]:
        """The optimiser's tensors, flat, by name."""
        states = self.adam.states if self.adam else [self.torch.state[leaf] for leaf in self.leaves]
        return {f"{i}.{k}": v for i, state in enumerate(states) for k, v in state.items() if torch.is_tensor(v)}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` gave."""
        if self.adam is None:
            self.torch.state.clear()
        for key, value in tensors.items():
            i, _, name = key.partition(".")
            if self.adam is not None:
                self.adam.states[int(i)][name].copy_(value)
            else:
                self.torch.state[self.leaves[int(i)]][name] = value.to(self.leaves[int(i)].device).clone()
