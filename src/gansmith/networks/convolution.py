"""Convolutions that differentiate as often as wanted, at the speed of the first time.

A convolution y = x ∗ w is linear in each argument. So its derivatives are three bilinear maps, and the
derivatives of those are the same three again:

    A(x, w) the convolution      ∂A/∂x: B(g, w)    ∂A/∂w: C(x, g)
    B(y, w) its adjoint in x     ∂B/∂y: A(g, w)    ∂B/∂w: C(g, y)
    C(x, y) its adjoint in w     ∂C/∂x: B(y, g)    ∂C/∂y: A(x, g)

Torch's own second derivative works group by group, on copies with batch and channels exchanged; these
call the fast kernels alone, which is what makes R1, R2 and gradient penalties cheap. Where a CPU's convolution
has few places to be taken at (the depths of a U-Net, one picture at a time), most of its time goes into putting
weights in order; there the three maps are matrix products of patches, up to four times as fast.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

PLACES = 16
"""Places, over the batch, up to which products of patches are faster than a CPU's convolution."""


class _Plan(NamedTuple):
    """What a convolution is, beside its tensors: stride, padding, groups, the shapes it ties, and how it is taken.

    Of y only the height and width are needed.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, int]
    by_patches: bool


def _plan(x: tuple[int, ...], w: torch.Tensor, stride: int, padding: int, groups: int) -> _Plan:
    # The choice is made once, so that a convolution and all its derivatives go the same way.
    high, wide = (max((n + 2 * padding - k) // stride + 1, 0) for n, k in zip(x[2:], w.shape[2:], strict=True))
    few = groups == 1 and w.device.type == "cpu" and 1 <= x[0] * high * wide <= PLACES
    # The engine lays weights out in channels_last, where they are the product's matrix as they are.
    few = few and w.is_contiguous(memory_format=torch.channels_last)
    return _Plan((stride, stride), (padding, padding), groups, tuple(x), tuple(w.shape), (high, wide), few)


def _rows(y: torch.Tensor) -> torch.Tensor:
    """[N, C, h, w] as a matrix [N · h · w, C]: of maps a row for each place."""
    return y.permute(0, 2, 3, 1).flatten(0, 2)


def _matrix(w: torch.Tensor) -> torch.Tensor:
    """A kernel [O, C, h, w] as a matrix [O, h · w · C]."""
    return w.permute(0, 2, 3, 1).flatten(1)


def _patches(x: torch.Tensor, plan: _Plan) -> torch.Tensor:
    """What a kernel sees of x at each place, as a row [h · w · C] for each."""
    (down, right), (y, z), (high, wide) = plan.padding, plan.stride, plan.w[2:]
    seen = F.pad(x.permute(0, 2, 3, 1), (0, 0, right, right, down, down)).unfold(1, high, y).unfold(2, wide, z)
    return seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, high * wide * x.shape[1])


def _laid(patches: torch.Tensor, plan: _Plan) -> torch.Tensor:
    """The adjoint of `_patches`: rows [h · w · C], one for each place, laid where they were seen and summed.

    As `torch.nn.functional.fold`, which torch 2.13 compiles wrongly for more threads than one: it writes beyond the
    result. Taken apart by the stride, patches overlap in few shifts: four for a kernel of 4 and a stride of 2.
    """
    (down, right), (y, z), (high, wide), (places_y, places_x) = plan.padding, plan.stride, plan.w[2:], plan.y
    tall, broad = -(-high // y), -(-wide // z)
    seen = patches.view(-1, places_y, places_x, high, wide, plan.w[1])
    if (tall * y, broad * z) != (high, wide):
        seen = F.pad(seen, (0, 0, 0, broad * z - wide, 0, tall * y - high))
    seen = seen.unflatten(4, (broad, z)).unflatten(3, (tall, y)).permute(3, 5, 0, 1, 4, 2, 6, 7)
    shifts = [
        F.pad(seen[a, b], (0, 0, 0, 0, b, broad - 1 - b, 0, 0, a, tall - 1 - a))
        for a in range(tall)
        for b in range(broad)
    ]
    whole = reduce(torch.add, shifts).flatten(3, 4).flatten(1, 2)
    height, width = plan.x[2:]
    edges = (-right, width + right - whole.shape[2], -down, height + down - whole.shape[1])
    return F.pad(whole, (0, 0, *edges)).permute(0, 3, 1, 2)


def _convolved(x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None, plan: _Plan) -> torch.Tensor:
    if not plan.by_patches:
        return torch.ops.aten.convolution(x, w, bias, plan.stride, plan.padding, (1, 1), False, (0, 0), plan.groups)
    return F.linear(_patches(x, plan), _matrix(w), bias).view(len(x), *plan.y, -1).permute(0, 3, 1, 2)


def _adjoint(gradient: torch.Tensor, x: torch.Tensor, w: torch.Tensor, plan: _Plan, wanted: int) -> torch.Tensor:
    if plan.by_patches and wanted == 0:
        return _laid(_rows(gradient) @ _matrix(w), plan)
    if plan.by_patches:
        made = _rows(gradient).t() @ _patches(x, plan)
        return made.view(plan.w[0], plan.w[2], plan.w[3], plan.w[1]).permute(0, 3, 1, 2)
    mask = [wanted == 0, wanted == 1, False]
    out = torch.ops.aten.convolution_backward(
        gradient, x, w, None, plan.stride, plan.padding, (1, 1), False, (0, 0), plan.groups, mask
    )  # fmt: skip
    return out[wanted]


def _blank(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    # Stands for an argument whose values the kernel does not read, only its shape and format.
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None, plan: _Plan) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        ctx.plan = plan
        return _convolved(x, w, bias, plan)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (g,), (x, w), need, plan = gradients, ctx.saved_tensors, ctx.needs_input_grad, ctx.plan
        # Where nobody will differentiate this, one kernel gives all that is needed.
        if not (plan.by_patches or torch.is_grad_enabled()):
            made = torch.ops.aten.convolution_backward(
                g, x, w, [w.shape[0]], plan.stride, plan.padding, (1, 1), False, (0, 0), plan.groups, need[:3]
            )  # fmt: skip
            return (*made, None)
        return (
            _ToInput.apply(g, w, plan) if need[0] else None,
            _ToWeight.apply(x, g, plan) if need[1] else None,
            g.sum((0, 2, 3)) if need[2] else None,
            None,
        )


class _ToInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, w: torch.Tensor, plan: _Plan) -> torch.Tensor:
        ctx.save_for_backward(y, w)
        ctx.plan = plan
        return _adjoint(y, _blank(plan.x, y), w, plan, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (g,), (y, w), need = gradients, ctx.saved_tensors, ctx.needs_input_grad
        return (
            _Forward.apply(g, w, None, ctx.plan) if need[0] else None,
            _ToWeight.apply(g, y, ctx.plan) if need[1] else None,
            None,
        )


class _ToWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor, plan: _Plan) -> torch.Tensor:
        ctx.save_for_backward(x, y)
        ctx.plan = plan
        return _adjoint(y, x, _blank(plan.w, y), plan, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (g,), (x, y), need = gradients, ctx.saved_tensors, ctx.needs_input_grad
        return (
            _ToInput.apply(y, g, ctx.plan) if need[0] else None,
            _Forward.apply(x, g, None, ctx.plan) if need[1] else None,
            None,
        )


def _owned(made: Any, plan: _Plan) -> torch.Tensor:
    # By patches it is a view of a product's rows, to which torch lets nobody write, as activations in place do.
    return made.clone() if plan.by_patches else made


def _fit(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def conv2d(
    x: torch.Tensor,
    w: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> torch.Tensor:
    """The convolution of x [B, C, H, W] with w [O, C / groups, h, w], differentiable without limit."""
    if w.shape[2:] == (1, 1) and groups == stride == 1 and not padding and x.device.type == "cpu":
        # In channels_last a 1x1 convolution is a matrix product of rows; CPUs have that twice as fast.
        rows = F.linear(x.permute(0, 2, 3, 1), w[:, :, 0, 0], bias)
        return rows.permute(0, 3, 1, 2)
    plan = _plan(tuple(x.shape), w, stride, padding, groups)
    return _owned(_Forward.apply(_fit(x), w, bias, plan), plan)


def conv_transpose2d(
    x: torch.Tensor,
    w: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    more: int = 0,
) -> torch.Tensor:
    """The transposed convolution of x [B, C, H, W] with w [C, O / groups, h, w], differentiable without limit.

    `more` pixels are added below and to the right, as torch's `output_padding` adds them: less than `stride`.
    """
    sides = zip(x.shape[2:], w.shape[2:], strict=True)
    height, width = ((n - 1) * stride - 2 * padding + k + more for n, k in sides)
    made = (x.shape[0], w.shape[1] * groups, height, width)
    plan = _plan(made, w, stride, padding, groups)
    out = _owned(_ToInput.apply(_fit(x), w, plan), plan)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


class Conv2d(nn.Conv2d):
    """torch's layer, with `conv2d` of this module."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, …]."""
        assert not isinstance(self.padding, str)
        return conv2d(input, self.weight, self.bias, self.stride[0], self.padding[0], self.groups)


class ConvTranspose2d(nn.ConvTranspose2d):
    """torch's layer, with `conv_transpose2d` of this module."""

    def forward(self, input: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, O, …]."""
        assert not isinstance(self.padding, str)
        more = self.output_padding[0]
        return conv_transpose2d(input, self.weight, self.bias, self.stride[0], self.padding[0], self.groups, more)


@lru_cache(maxsize=64)
def _up_matrix(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """[2n, n]: the filter [1, 3, 3, 1]/4 along one side, zeros beyond the edge."""
    grown = torch.zeros(2 * n, n)
    for i in range(n):
        for offset, weight in ((-1, 0.25), (0, 0.75), (1, 0.75), (2, 0.25)):
            if 0 <= 2 * i + offset < 2 * n:
                grown[2 * i + offset, i] = weight
    return grown.to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
def _taps(channels: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(row, row).to(device=device, dtype=dtype).expand(channels, 1, 4, 4).contiguous()


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        count, channels, height, width = x.shape
        if max(height, width) > 64:
            # Bilinear interpolation is [1, 3, 3, 1] away from the edges; a rim of zeros makes it so there too.
            wide = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
            return _fit(wide[:, :, 2:-2, 2:-2])
        # Small maps: two matrix products over rows of [.., C], which channels_last gives for nothing.
        rows = x.permute(0, 2, 3, 1).reshape(count, height, width * channels)
        rows = torch.matmul(_up_matrix(height, x.dtype, x.device), rows).view(-1, width, channels)
        rows = torch.matmul(_up_matrix(width, x.dtype, x.device), rows)
        return rows.view(count, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return 4 * _Down.apply(gradients[0])  # type: ignore[operator]


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(_fit(x), _taps(x.shape[1], x.dtype, x.device), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return _Up.apply(gradients[0]) / 4  # type: ignore[operator]


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Twice the size, [B, C, H, W] → [B, C, 2H, 2W], by the filter [1, 3, 3, 1]/4 with zeros beyond the edge."""
    return _Up.apply(x)  # type: ignore[return-value]


def downsample(x: torch.Tensor) -> torch.Tensor:
    """Half the size, [B, C, 2H, 2W] → [B, C, H, W], by the filter [1, 3, 3, 1]/8; a quarter of `upsample`'s adjoint."""
    return _Down.apply(x)  # type: ignore[return-value]


class _Blur(torch.autograd.Function):
    # The filter is symmetric, so that its adjoint is itself, with the other padding.
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, padding: int) -> torch.Tensor:
        ctx.padding = padding
        return F.conv2d(_fit(x), _taps(x.shape[1], x.dtype, x.device), padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Blur.apply(gradients[0], 3 - ctx.padding), None  # type: ignore[return-value]


def blur(x: torch.Tensor, padding: int) -> torch.Tensor:
    """The filter [1, 3, 3, 1]/8 at each place, [B, C, H, W] → [B, C, H - 1, W - 1] or [B, C, H + 1, W + 1].

    Args:
        x: zeros lie beyond its edge.
        padding: how many of them are read at each side: 1 is for what a convolution has stretched, 2 for what one
            will halve.
    """
    return _Blur.apply(x, padding)  # type: ignore[return-value]
