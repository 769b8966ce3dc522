"""What a tensor needs of the other ranks, differentiable as often as wanted; identities on one rank.

Lies below networks and losses, since batch norm and batch-coupled losses average over the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist


def world() -> int:
    """Number of ranks that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's place among them."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _Sum(torch.autograd.Function):
    # The sum over ranks is its own adjoint, and so differentiates again by calling itself.
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        return all_sum(grad_outputs[0])


def all_sum(x: torch.Tensor) -> torch.Tensor:
    """The sum of `x` over all ranks, on each of them."""
    return _Sum.apply(x) if world() > 1 else x  # type: ignore[return-value]


def all_mean(x: torch.Tensor) -> torch.Tensor:
    """The mean of `x` over all ranks, on each of them."""
    return all_sum(x) / world() if world() > 1 else x


def gather_rows(x: torch.Tensor) -> torch.Tensor:
    """The rows of all ranks in order, [world * B, ...]; the gradient flows back to the owner's rows."""
    if world() == 1:
        return x
    blank = x.new_zeros(world(), *x.shape)
    blank[rank()] = x
    return all_sum(blank).flatten(0, 1)


def gather_each(x: torch.Tensor) -> list[torch.Tensor]:
    """Each rank's tensor, in the ranks' order, whatever its shape; all have as many axes and one dtype. No gradient."""
    if world() == 1:
        return [x]
    own = torch.tensor(x.shape, dtype=torch.int64, device=x.device)
    shapes = [torch.zeros_like(own) for _ in range(world())]
    dist.all_gather(shapes, own)
    sizes = [int(shape.prod()) for shape in shapes]
    padded = x.new_zeros(max(sizes))
    padded[: x.numel()] = x.detach().reshape(-1)
    found = [torch.zeros_like(padded) for _ in sizes]
    dist.all_gather(found, padded)
    return [flat[:size].view(*shape.tolist()) for flat, size, shape in zip(found, sizes, shapes, strict=True)]
