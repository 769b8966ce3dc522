"""The parts of residual networks: each block against its formula written out, and second derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gansmith.networks.layers import ClassBatchNorm, still
from gansmith.networks.residual import Attention, Down, Up


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stirred(network: nn.Module) -> nn.Module:
    """In float64, with no parameter at a special value such as 0 or 1."""
    torch.manual_seed(0)
    network = network.double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return network


# --- blocks, written out ---------------------------------------------------------------------------


def convolved(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)


def by_class(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, labels: Sequence[int]) -> torch.Tensor:
    """Conditional batch norm, one example and one channel at a time."""
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        normal = (values - values.mean()) / (values.var(unbiased=False) + 1e-5).sqrt()
        for b, label in enumerate(labels):
            out[b, c] = scale[label, c] * normal[b] + shift[label, c]
    return out


@pytest.mark.parametrize("classes", [0, 3])
def test_a_growing_block_is_its_formula(classes: int):
    block = stirred(Up(3, 4, partial(ClassBatchNorm, classes=classes), False))
    assert isinstance(block, Up)
    x, labels = seeded(2, 3, 3, 5), [2, 0]

    def normed(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
        if classes:
            return by_class(x, 1 + norm.gain, norm.shift, labels)  # type: ignore[arg-type]
        return by_class(x, norm.norm.weight[None], norm.norm.bias[None], [0, 0])  # type: ignore[index, union-attr]

    def twice(x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    inner = convolved(twice(normed(x, block.before).relu()), block.first)
    expected = convolved(normed(inner, block.between).relu(), block.second) + convolved(twice(x), block.shortcut)
    assert torch.allclose(block(x, torch.tensor(labels) if classes else None), expected)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("outputs", "halve", "image"), [(4, True, True), (4, True, False), (3, False, False),
                                                         (4, False, False)])  # fmt: skip
def test_a_shrinking_block_is_its_formula(outputs: int, halve: bool, image: bool, wide: bool):
    block = stirred(Down(3, outputs, halve, image, False, wide=wide))
    assert block.first.out_channels == (outputs if wide or image else 3)  # type: ignore[union-attr]
    assert isinstance(block, Down)
    x = seeded(2, 3, 4, 6)

    def half(x: torch.Tensor) -> torch.Tensor:
        whole = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
        return whole / 4 if halve else x

    straight = x if (outputs, halve) == (3, False) else half(convolved(x, block.shortcut))
    inner = convolved(x if image else x.relu(), block.first)
    assert torch.allclose(block(x), half(convolved(inner.relu(), block.second)) + straight)


@pytest.mark.parametrize("size", [(4, 4), (3, 6)])
def test_attention_is_its_formula(size: tuple[int, int]):
    block = stirred(Attention(8, False))
    assert isinstance(block, Attention)
    x = seeded(2, 8, *size)
    h, w = size

    def pooled(x: torch.Tensor) -> list[torch.Tensor]:
        return [x[:, i : i + 2, j : j + 2].amax((1, 2)) for i in range(0, h, 2) for j in range(0, w, 2)]

    expected = torch.empty_like(x)
    for b in range(2):
        query, keys, values = (convolved(x[b : b + 1], m)[0] for m in (block.query, block.key, block.value))
        keys, values = pooled(keys), pooled(values)
        for i in range(h):
            for j in range(w):
                scores = torch.stack([(query[:, i, j] * key).sum() for key in keys]).exp()
                seen = sum(s * v for s, v in zip(scores / scores.sum(), values, strict=True))
                expected[b, :, i, j] = x[b, :, i, j] + block.gamma * (block.last.weight[:, :, 0, 0] @ seen)
    assert torch.allclose(block(x), expected)


# --- second derivatives ----------------------------------------------------------------------------

BLOCKS = {
    "up": lambda spectral: Up(2, 3, partial(ClassBatchNorm, classes=2), spectral),
    "down": lambda spectral: Down(2, 3, True, False, spectral),
    "image": lambda spectral: Down(2, 3, True, True, spectral),
    "same": lambda spectral: Down(2, 2, False, False, spectral),
    "attention": lambda spectral: Attention(4, spectral),
}


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_differentiate_twice(name: str, spectral: bool):
    block = stirred(BLOCKS[name](spectral))
    x = seeded(2, 4 if name == "attention" else 2, 4, 4).requires_grad_()
    names, values = zip(*block.named_parameters(), strict=True)
    labels = (torch.tensor([1, 0]),) if name == "up" else ()

    def play(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        with still():  # the same singular vectors each time
            return torch.func.functional_call(block, dict(zip(names, values, strict=True)), (x, *labels))

    # An activation's bend between two nearby points would spoil a difference; none lies so near here.
    assert gradcheck(play, (x, *values), fast_mode=True)
    assert gradgradcheck(play, (x, *values), fast_mode=True)
