"""Our convolutions and resampling against torch's own, to the second derivative."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from gansmith.networks.convolution import (
    Conv2d,
    ConvTranspose2d,
    _plan,
    blur,
    conv2d,
    conv_transpose2d,
    downsample,
    upsample,
)


def seeded(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# kernel, stride, padding, groups, bias
KINDS = [(1, 1, 0, 1, True), (1, 1, 0, 1, False), (3, 1, 1, 1, True), (3, 1, 1, 2, True), (4, 2, 1, 1, False),
         (4, 2, 1, 2, True), (3, 2, 0, 1, True), (1, 2, 0, 2, False)]  # fmt: skip


def case(kernel: int, groups: int, bias: bool, transposed: bool) -> tuple[torch.Tensor, ...]:
    x = seeded(2, 4, 5, 6)
    w = seeded(*((4, 6 // groups) if transposed else (6, 4 // groups)), kernel, kernel, seed=1)
    return tuple(t.requires_grad_() for t in (x, w, *([seeded(6, seed=2)] if bias else [])))


@pytest.mark.parametrize("places", [0, 10**6])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_values_gradients_and_second_gradients_are_torchs(
    kind: tuple[int, int, int, int, bool], transposed: bool, places: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gansmith.networks.convolution.PLACES", places)
    kernel, stride, padding, groups, bias = kind
    given = case(kernel, groups, bias, transposed)
    x, w, *b = given
    laid = w.contiguous(memory_format=torch.channels_last)
    mine = (conv_transpose2d if transposed else conv2d)(x, laid, *(b or [None]), stride, padding, groups)
    if transposed:
        theirs = F.conv_transpose2d(x, w, *(b or [None]), stride=stride, padding=padding, groups=groups)
    else:
        theirs = F.conv2d(x, w, *(b or [None]), stride=stride, padding=padding, groups=groups)
    assert torch.allclose(mine, theirs)
    weights = seeded(*theirs.shape, seed=3)

    def chain(y: torch.Tensor) -> list[torch.Tensor]:
        # As a penalty does: a gradient by the input, squared, by the input, the weights and the bias.
        first = torch.autograd.grad((y.tanh() * weights).sum(), given, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), given, create_graph=True)  # type: ignore[arg-type]
        third = torch.autograd.grad(sum(g.square().sum() for g in second), given)  # type: ignore[arg-type]
        return [*first, *second, *third]

    for a, b_ in zip(chain(mine), chain(theirs), strict=True):
        assert torch.allclose(a, b_, rtol=1e-8, atol=1e-8 * float(b_.detach().abs().max()))


@pytest.mark.parametrize("places", [0, 10**6])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3], KINDS[4], KINDS[5]], ids=str)
def test_numerical_derivatives(
    kind: tuple[int, int, int, int, bool], transposed: bool, places: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gansmith.networks.convolution.PLACES", places)
    kernel, stride, padding, groups, bias = kind
    x, w, *b = case(kernel, groups, bias, transposed)
    x = x.detach()[:1, :, :3, :3].clone().requires_grad_()
    operation = conv_transpose2d if transposed else conv2d

    def run(x: torch.Tensor, w: torch.Tensor, *b: torch.Tensor) -> torch.Tensor:
        w = w.contiguous(memory_format=torch.channels_last)
        return operation(x, w, *(b or [None]), stride, padding, groups)

    assert gradcheck(run, (x, w, *b), fast_mode=True)
    assert gradgradcheck(run, (x, w, *b), fast_mode=True)


def test_only_what_is_wanted_is_differentiated():
    x, w = seeded(1, 2, 4, 4), seeded(3, 2, 3, 3, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(conv2d(x, w, padding=1).sum(), w)
    assert gradient.shape == w.shape
    with torch.no_grad():
        assert not conv2d(x, w, padding=1).requires_grad


@pytest.mark.parametrize("places", [0, 10**6])
def test_memory_formats_and_bf16(places: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gansmith.networks.convolution.PLACES", places)
    x, w = seeded(2, 4, 6, 6, dtype=torch.float32), seeded(8, 4, 3, 3, seed=1, dtype=torch.float32)
    w = w.contiguous(memory_format=torch.channels_last)
    plain = conv2d(x, w, padding=1)
    lasting = conv2d(x.contiguous(memory_format=torch.channels_last), w, padding=1)
    assert torch.allclose(plain, lasting, atol=1e-5)
    half = conv2d(x.bfloat16(), w.bfloat16(), padding=1)
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), plain, atol=0.15, rtol=0.05)


@pytest.mark.parametrize("transposed", [False, True])
def test_what_comes_next_may_write_in_place_however_few_places_there_are(transposed: bool):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 4, 4, generator=draw, dtype=torch.float64).requires_grad_()
    w = torch.randn(3, 3, 3, 3, generator=draw, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    ours, theirs = (conv_transpose2d, F.conv_transpose2d) if transposed else (conv2d, F.conv2d)
    found = F.leaky_relu(ours(x, w.requires_grad_(), padding=1), 0.2, inplace=True)
    wanted = F.leaky_relu(theirs(x, w, padding=1), 0.2)
    torch.testing.assert_close(found, wanted)
    for a, b in zip(*(torch.autograd.grad(y.square().sum(), [x, w]) for y in (found, wanted)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("batch", "side", "few"), [(0, 4, False), (1, 8, True), (4, 4, True), (5, 4, False)])
def test_few_places_are_products_of_patches(batch: int, side: int, few: bool):
    x, w = seeded(batch, 2, side, side), seeded(3, 2, 4, 4, seed=1).contiguous(memory_format=torch.channels_last)
    assert not _plan(tuple(x.shape), w.contiguous(), 2, 1, 1).by_patches
    assert _plan(tuple(x.shape), w, 2, 1, 1).by_patches == few
    assert not _plan(tuple(x.shape), w.to("meta"), 2, 1, 1).by_patches
    assert conv2d(x, w, stride=2, padding=1).shape == (batch, 3, side // 2, side // 2)


COMPILED = """
import torch
from gansmith.networks.convolution import conv2d, conv_transpose2d
torch.set_num_threads(2)
draw = torch.Generator().manual_seed(0)
def seeded(*shape):
    made = torch.randn(*shape, generator=draw).bfloat16()
    return made.contiguous(memory_format=torch.channels_last)
w = seeded(256, 128, 4, 4)
for move, x in ((conv_transpose2d, seeded(1, 256, 2, 2)), (conv2d, seeded(1, 128, 4, 4))):
    with torch.no_grad():
        meant = move(x, w, stride=2, padding=1).float()
        made = torch.compile(move)(x, w, stride=2, padding=1).float()
    print(float((made - meant).norm() / meant.norm()))
"""


def test_products_of_patches_are_the_same_compiled_for_two_threads():
    # In a process of its own: torch compiles its own fold for two threads so that it writes beyond its memory.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [float(line) for line in done.stdout.split()] == pytest.approx([0.0, 0.0], abs=5e-3)


def test_pixels_more_at_the_edge_are_torchs():
    x, w = seeded(1, 4, 2, 3), seeded(4, 5, 3, 3, seed=1).contiguous(memory_format=torch.channels_last)
    for more in (0, 1):
        made = conv_transpose2d(x, w, stride=2, padding=1, more=more)
        assert torch.allclose(made, F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=more))


def test_layers_are_torchs_layers():
    torch.manual_seed(0)
    x = seeded(2, 4, 6, 6, dtype=torch.float32)
    for mine, theirs in (
        (Conv2d(4, 6, 3, 2, 1, groups=2), torch.nn.Conv2d(4, 6, 3, 2, 1, groups=2)),
        (ConvTranspose2d(4, 6, 4, 2, 1), torch.nn.ConvTranspose2d(4, 6, 4, 2, 1)),
    ):
        theirs.load_state_dict(mine.state_dict())
        assert torch.allclose(mine(x), theirs(x), atol=1e-5)


# --- resampling ------------------------------------------------------------------------------------


def by_filter_up(x: torch.Tensor) -> torch.Tensor:
    """Zeros between the pixels, then the filter [1, 3, 3, 1]/4 along each axis, term by term."""
    for axis in (2, 3):
        n = x.shape[axis]
        spread = x.new_zeros([2 * s if i == axis else s for i, s in enumerate(x.shape)])
        spread.index_copy_(axis, torch.arange(n) * 2, x)
        out = torch.zeros_like(spread)
        for tap, weight in zip((-1, 0, 1, 2), (0.25, 0.75, 0.75, 0.25), strict=True):
            for i in range(2 * n):
                if 0 <= i - tap < 2 * n:
                    out.select(axis, i).add_(weight * spread.select(axis, i - tap))
        x = out
    return x


def by_filter_down(x: torch.Tensor) -> torch.Tensor:
    """The filter [1, 3, 3, 1]/8 along each axis, zeros beyond the edge, and each second pixel of the result."""
    for axis in (2, 3):
        n = x.shape[axis] // 2
        out = []
        for i in range(n):
            taps = [(2 * i + k, weight) for k, weight in zip((-1, 0, 1, 2), (0.125, 0.375, 0.375, 0.125), strict=True)]
            out.append(sum(weight * x.select(axis, j) for j, weight in taps if 0 <= j < 2 * n))
        x = torch.stack(out, axis)  # type: ignore[arg-type]
    return x


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (7, 7)])
def test_resampling_is_the_filter(size: tuple[int, int]):
    x, large = seeded(2, 3, *size), seeded(2, 3, 2 * size[0], 2 * size[1], seed=1)
    assert torch.allclose(upsample(x), by_filter_up(x))
    assert torch.allclose(downsample(large), by_filter_down(large))
    # Each is the other's adjoint, but for the factor between their gains.
    assert torch.allclose((upsample(x) * large).sum(), 4 * (x * downsample(large)).sum())


def test_resampling_of_large_maps_is_the_same():
    x = seeded(1, 2, 65, 70)
    assert torch.allclose(upsample(x), by_filter_up(x))
    assert torch.allclose(upsample(x)[..., :60, :60], upsample(x[..., :40, :40])[..., :60, :60])


@pytest.mark.parametrize("padding", [1, 2])
def test_a_blur_is_the_filter_at_each_place(padding: int):
    x = seeded(2, 3, 4, 5)
    wide = F.pad(x, [padding] * 4)
    taps = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    down, right = 4 + 2 * padding - 3, 5 + 2 * padding - 3
    each = [(a * b, wide[:, :, i : i + down, j : j + right]) for i, a in enumerate(taps) for j, b in enumerate(taps)]
    assert torch.allclose(blur(x, padding), sum(weight * part for weight, part in each))  # type: ignore[arg-type]
    # At each second place it is what downsampling gives.
    assert torch.allclose(blur(seeded(2, 3, 4, 6), 1)[:, :, ::2, ::2], downsample(seeded(2, 3, 4, 6)))


def test_resampling_differentiates_twice():
    x = seeded(1, 2, 4, 6).requires_grad_()
    for operation in (upsample, downsample, lambda x: blur(x, 1), lambda x: blur(x, 2)):
        assert gradcheck(operation, (x,))
        assert gradgradcheck(lambda x, f=operation: f(x).tanh(), (x,))


def test_upsampling_keeps_a_constant_away_from_the_edge():
    up = upsample(torch.ones(1, 1, 6, 6))
    assert torch.equal(up[..., 1:-1, 1:-1], torch.ones(1, 1, 10, 10))


def test_a_transposed_convolution_takes_torchs_output_padding():
    x, w = seeded(2, 4, 5, 6).requires_grad_(), seeded(4, 3, 3, 3, seed=1).requires_grad_()
    mine = conv_transpose2d(x, w, None, stride=2, padding=1, more=1)
    theirs = F.conv_transpose2d(x, w, None, stride=2, padding=1, output_padding=1)
    assert mine.shape == (2, 3, 10, 12)
    torch.testing.assert_close(mine, theirs)
    for a, b in zip(*(torch.autograd.grad(y.pow(3).sum(), (x, w)) for y in (mine, theirs)), strict=True):
        torch.testing.assert_close(a, b)
    torch.manual_seed(0)
    layer = ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1).double()
    wanted = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(layer(x), wanted)
