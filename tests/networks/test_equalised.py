"""The layers of progressive growing, against the paper's formulas in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gansmith.networks import equalised
from gansmith.networks.equalised import BatchDeviation, EqualisedConv2d, EqualisedLinear, pixel_norm
from gansmith.networks.layers import couples


def test_equalised_layers_scale_standard_normal_weights_as_they_are_used():
    torch.manual_seed(0)
    linear, conv = EqualisedLinear(50, 200, gain=math.sqrt(2)).double(), EqualisedConv2d(7, 90, 3, 1).double()
    for layer, inputs in ((linear, 50), (conv, 63)):
        assert layer.weight.std().item() == pytest.approx(1, rel=0.03)
        assert layer.bias is not None
        assert not layer.bias.any()
        layer.bias.data.normal_()
        assert layer.scale == pytest.approx((math.sqrt(2) if layer is linear else 1) / math.sqrt(inputs))
    x, image = torch.randn(5, 50, dtype=torch.float64), torch.randn(2, 7, 5, 6, dtype=torch.float64)
    assert torch.allclose(linear(x), x @ linear.weight.T * math.sqrt(2 / 50) + linear.bias)
    assert torch.allclose(conv(image), nn.functional.conv2d(image, conv.weight / math.sqrt(63), conv.bias, padding=1))
    assert EqualisedLinear(3, 2, bias=False).bias is None
    assert EqualisedConv2d(3, 2, 1, bias=False).bias is None


def test_a_factor_is_of_all_and_a_rate_of_the_learning_alone():
    torch.manual_seed(0)
    linear = EqualisedLinear(400, 300, gain=2.0, factor=1.5, begin=0.7, rate=0.01)
    assert linear.weight.std().item() == pytest.approx(100, rel=0.02)
    assert torch.allclose(linear(torch.zeros(1, 400)), torch.tensor(1.5 * 0.7))
    made = linear(torch.randn(1000, 400)) - 1.5 * 0.7
    assert made.std().item() == pytest.approx(2 * 1.5, rel=0.02)
    x = torch.randn(5, 400)
    expected = 1.5 * (0.01 * 2 / 20 * x @ linear.weight.T + 0.01 * linear.bias)
    assert torch.allclose(linear(x), expected, atol=1e-4)
    conv, image = EqualisedConv2d(3, 4, 3, 1, factor=1.5, stride=2).double(), torch.randn(2, 3, 5, 6).double()
    assert conv.bias is not None
    conv.bias.data.normal_()
    plain = nn.functional.conv2d(image, conv.weight / math.sqrt(27), conv.bias, stride=2, padding=1)
    assert torch.allclose(conv(image), 1.5 * plain)


def test_adam_moves_equalised_layers_at_one_relative_speed():
    # A step of Adam is of the size of its rate in each number: that of the weights, which is 1 in every layer.
    torch.manual_seed(0)
    narrow, wide = EqualisedLinear(8, 100), EqualisedLinear(512, 100)
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


@pytest.mark.parametrize(("group", "sizes"), [(None, [6]), (2, [2, 2, 2]), (4, [2, 2, 2]), (6, [6])])
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
