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


class Side:
    """What one move trains, and how.

    Args:
        flats: the flat parameters of the networks that it trains.
        optimizer: the recipe's.
        clip: bound of the gradient's norm, or None.
    """

    def __init__(self, flats: Sequence[Flat], optimizer: Optimizer, clip: float | None) -> None:
        self.flats, self.recipe, self.clip = list(flats), optimizer, clip
        self.grads = [torch.zeros_like(flat.master) for flat in self.flats]
        self.leaves = [nn.Parameter(flat.master) for flat in self.flats]
        for leaf, grad in zip(self.leaves, self.grads, strict=True):
            leaf.grad = grad
        self.targets: list[torch.Tensor] = []
        self.views: list[torch.Tensor] = []
        for flat, grad in zip(self.flats, self.grads, strict=True):
            self.targets += flat.parameters.values()
            self.views += flat.views(grad).values()
        self.torch = self._torch_optimizer()

    def _torch_optimizer(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        lr, (b1, b2) = value_at(recipe.lr, 0, 1), (value_at(beta, 0, 1) for beta in recipe.betas)
        decay = recipe.weight_decay
        if recipe.name == "rmsprop":
            return torch.optim.RMSprop(self.leaves, lr=lr, alpha=b2, eps=recipe.eps, weight_decay=decay, foreach=True)
        if recipe.name == "sgd":
            return torch.optim.SGD(self.leaves, lr=lr, momentum=b1, weight_decay=decay, fused=True)
        kind = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
        return kind(self.leaves, lr=lr, betas=(b1, b2), eps=recipe.eps, weight_decay=decay, fused=True)

    def collect(self, grads: Sequence[torch.Tensor | None], first: bool) -> None:
        """Take one microbatch's gradients, in the order of `targets`; the first replaces, others add."""
        if all(g is None for g in grads):
            raise ValueError("a move's loss does not depend on any of the weights that it trains")
        given = [g if g is not None else torch.zeros_like(v) for g, v in zip(grads, self.views, strict=True)]
        if first:
            torch._foreach_copy_(self.views, given)
        else:
            torch._foreach_add_(self.views, [g.to(v.dtype) for g, v in zip(given, self.views, strict=True)])

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
        b1, b2 = value_at(recipe.betas[0], images, total), value_at(recipe.betas[1], images, total)
        for group in self.torch.param_groups:
            group["lr"] = value_at(recipe.lr, images, total)
            if "betas" in group:
                group["betas"] = (b1, b2)
            elif "alpha" in group:
                group["alpha"] = b2
            elif "momentum" in group:
                group["momentum"] = b1
        self.torch.step()
        for flat in self.flats:
            flat.refresh()

    def state(self) -> dict[str, torch.Tensor]:
        """The optimiser's tensors, flat, by name."""
        out = {}
        for i, leaf in enumerate(self.leaves):
            for key, value in self.torch.state[leaf].items():
                if torch.is_tensor(value):
                    out[f"{i}.{key}"] = value
        return out

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` gave."""
        self.torch.state.clear()
        for key, value in tensors.items():
            i, _, name = key.partition(".")
            leaf = self.leaves[int(i)]
            # A step counter lives where torch wants it (fused Adam: on the parameter's device).
            self.torch.state[leaf][name] = value.to(leaf.device).clone()
