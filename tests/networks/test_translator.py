"""CycleGAN's generator: the paper's parameters, any size, and the features that CUT reads."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks import translator
from gansmith.networks.layers import couples


def test_it_has_the_papers_parameters():
    with torch.device("meta"):
        network = translator.Generator((3, 256, 256))
    blocks = 9 * 2 * 256 * 256 * 9
    halvings = 9 * (64 * 128 + 128 * 256)
    assert sum(p.numel() for p in network.parameters()) == 2 * 3 * 64 * 49 + 3 + 2 * halvings + blocks


def test_it_is_what_the_paper_draws():
    """Against the same layers of torch's own, in a row."""
    torch.manual_seed(0)
    mine = translator.Generator((2, 12, 16), width=3, blocks=2).double()

    def norm(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()

    def residual(x: torch.Tensor, block: translator.Block) -> torch.Tensor:
        y = F.conv2d(nn.ReflectionPad2d(1)(x), block.first.weight)
        return x + norm(F.conv2d(nn.ReflectionPad2d(1)(norm(y).relu()), block.second.weight))

    x = torch.randn(2, 2, 12, 16, dtype=torch.float64)
    y = norm(F.conv2d(nn.ReflectionPad2d(3)(x), mine.first.weight)).relu()
    for layer in mine.down:
        y = norm(F.conv2d(y, layer.weight, stride=2, padding=1)).relu()
    for block in mine.blocks:
        y = residual(y, block)
    for layer in mine.up:
        y = norm(F.conv_transpose2d(y, layer.weight, stride=2, padding=1, output_padding=1)).relu()
    y = F.conv2d(nn.ReflectionPad2d(3)(y), mine.last.weight, mine.last.bias).tanh()
    torch.testing.assert_close(mine(x), y)


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32)], ids=str)
def test_any_size_and_any_channels_either_way(shape, filtered):
    torch.manual_seed(0)
    beside = {"b": (2, *shape[1:])}
    there = translator.Generator(shape, beside, width=4, blocks=1, filtered=filtered)
    back = translator.Back(shape, beside, width=4, blocks=1, filtered=filtered)
    x = torch.randn(2, *shape, requires_grad=True)
    y = there(x)
    assert y.shape == (2, 2, *shape[1:])
    assert y.abs().max() <= 1
    assert back(y).shape == x.shape
    (slope,) = torch.autograd.grad(y.square().sum(), x)
    assert (slope != 0).flatten(1).double().mean() > 0.9
    assert there(torch.randn(1, shape[0], 21, 10)).shape == (1, 2, 21, 10)
    assert not couples(there)
    torch.testing.assert_close(there(x[:1]), y[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("blocks", "depths"), [(6, 5), (2, 5), (1, 4)])
def test_the_features_are_those_that_the_translation_passes_through(blocks, depths):
    torch.manual_seed(0)
    network = translator.Generator((3, 16, 16), width=4, blocks=blocks, filtered=True)
    x = torch.randn(2, 3, 16, 16)
    out, passed = network.both(x)
    features = network.features(x)
    assert torch.equal(out, network(x))
    assert [each.shape[1] for each in features] == list(network.feature_widths)
    assert len(features) == depths
    assert torch.equal(features[0], x)
    for one, other in zip(passed, features, strict=True):
        torch.testing.assert_close(one, other)


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="8 pixels a side"):
        translator.Generator((3, 4, 9))
