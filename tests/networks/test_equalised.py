"""The layers of progressive growing, against the paper's formulas in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks import equalised
from gansmith.networks.equalised import BatchDeviation, EqualConv2d, EqualLinear, pixel_norm
from gansmith.networks.layers import couples

TAPS = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])).double() / 64


def seeded(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def stirred(network: nn.Module) -> nn.Module:
    """In float64, with no parameter at a special value such as 0 or 1."""
    torch.manual_seed(0)
    network = network.double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return network


def filtered(x: torch.Tensor, padding: int) -> torch.Tensor:
    """Each channel by the filter, [B, C, H, W]."""
    return torch.cat([F.conv2d(x[:, c : c + 1], TAPS[None, None], padding=padding) for c in range(x.shape[1])], 1)


def test_a_linear_layer_scales_its_weights_as_they_are_used():
    layer = stirred(EqualLinear(6, 4, bias=1.0, rate=0.01, gain=1.5))
    x = seeded(3, 6)
    expected = 1.5 * (0.01 / math.sqrt(6) * x @ layer.weight.T + 0.01 * layer.bias)
    assert torch.allclose(layer(x), expected)
    bare = stirred(EqualLinear(6, 4, bias=None, gain=0.5))
    assert torch.allclose(bare(x), 0.5 / math.sqrt(6) * x @ bare.weight.T)


def test_weights_begin_standard_normal_over_the_rate():
    torch.manual_seed(0)
    layer = EqualLinear(400, 300, bias=1.0, rate=0.01)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    assert torch.allclose(layer(torch.zeros(1, 400)), torch.ones(1))
    assert layer(torch.randn(2000, 400)).std().item() == pytest.approx(1, rel=0.02)
    convolution = EqualConv2d(32, 300, 3)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.02)
    assert convolution.bias is not None
    assert not convolution.bias.any()


@pytest.mark.parametrize(("kernel", "bias", "down"), [(1, False, False), (3, True, False), (3, True, True)])
def test_a_convolution_likewise(kernel: int, bias: bool, down: bool):
    layer = stirred(EqualConv2d(3, 5, kernel, bias=bias, gain=1.5, down=down))
    x = seeded(2, 3, 6, 8)
    weight = layer.weight / math.sqrt(3 * kernel**2)
    plain = F.conv2d(filtered(x, 2) if down else x, weight, layer.bias, 2 if down else 1, 0 if down else kernel // 2)
    assert plain.shape[2:] == ((3, 4) if down else (6, 8))
    assert torch.allclose(layer(x), 1.5 * plain)


def test_adam_moves_equalised_layers_at_one_relative_speed():
    # A step of Adam is of the size of its rate in each number: that of the weights, which is 1 in every layer.
    torch.manual_seed(0)
    narrow, wide = EqualLinear(8, 100), EqualLinear(512, 100)
    for layer in (narrow, wide):
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), 0.01)
        layer(torch.randn(4, layer.in_features)).square().mean().backward()
        optimizer.step()
        moved = (layer.weight.detach() - before).norm() / before.norm()
        assert moved.item() == pytest.approx(0.01, rel=0.05)


def test_pixel_norm_is_the_papers():
    torch.manual_seed(0)
    for shape in ((3, 7), (3, 7, 2, 4)):
        a = torch.randn(*shape, dtype=torch.float64)
        b = torch.stack([a[:, c] / ((a**2).sum(1) / 7 + 1e-8).sqrt() for c in range(7)], 1)
        assert torch.allclose(pixel_norm(a), b)
    half = pixel_norm(torch.randn(2, 5).bfloat16())
    assert half.dtype == torch.bfloat16
    assert half.float().square().mean(1).tolist() == pytest.approx([1, 1], rel=0.02)
    assert torch.equal(pixel_norm(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize(("group", "sizes"), [(None, [6]), (2, [2, 2, 2]), (4, [3, 3]), (6, [6])])
def test_the_deviation_of_a_batch_is_one_number_at_all_places(group: int | None, sizes: list[int]):
    torch.manual_seed(0)
    x = torch.randn(6, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    out = BatchDeviation(group)(x)
    parts = [part.var(0, unbiased=False).add(1e-8).sqrt().mean().expand(len(part)) for part in x.split(sizes)]
    expected = torch.cat(parts)[:, None, None, None].expand(6, 1, 2, 4)
    assert out.shape == (6, 4, 2, 4)
    assert torch.equal(out[:, :3], x)
    assert torch.allclose(out[:, 3:], expected)
    first = [torch.autograd.grad((y * y).sum(), x, create_graph=True)[0] for y in (out[:, 3:], expected)]
    assert torch.allclose(*first)
    assert torch.allclose(*[torch.autograd.grad(g.square().sum(), x)[0] for g in first])
    assert couples(BatchDeviation(group))


def test_the_deviation_is_over_all_ranks(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    x = torch.randn(8, 3, 2, 2, dtype=torch.float64)
    whole = BatchDeviation()(x)
    # What two ranks with half of it each would exchange, in the order of the calls: means, then variances.
    mean = x.mean(0, keepdim=True)[None]
    sent = iter([mean, (x - mean[0]).square().mean(0)[None]])
    monkeypatch.setattr(equalised.collectives, "all_mean", lambda value: next(sent))
    assert torch.allclose(BatchDeviation()(x[:4]), whole[:4])
    monkeypatch.setattr(equalised.collectives, "all_mean", None)
    assert BatchDeviation(2)(x).shape == whole.shape  # groups lie within a rank


def test_a_batch_of_one_has_no_deviation_and_bf16_keeps_its_type():
    out = BatchDeviation()(torch.randn(1, 2, 3, 3).bfloat16())
    assert out.dtype == torch.bfloat16
    assert out[:, 2].float().max().item() == pytest.approx(1e-4, rel=0.01)
