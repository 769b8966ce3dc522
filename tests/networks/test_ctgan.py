"""CTGAN's generator against its formula written out."""

from __future__ import annotations

import pytest
import torch

from gansmith.networks.ctgan import Generator


def test_each_layer_joins_its_output_to_its_input():
    torch.manual_seed(0)
    network = Generator((7,), 4, 3, hidden=(5, 6)).double().eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    noise = torch.randn(8, 4, dtype=torch.float64)
    told = torch.eye(3, dtype=torch.float64)[torch.arange(8) % 3]
    h = torch.cat([noise, told], 1)
    for layer in network.layers:
        linear, norm, _ = layer
        y = linear(h)
        y = norm.weight * (y - norm.running_mean) / (norm.running_var + norm.eps).sqrt() + norm.bias
        h = torch.cat([h, y.relu()], 1)
    torch.testing.assert_close(network(noise, told), network.end(h))
    assert torch.equal(network(noise, torch.arange(8) % 3), network(noise, told))  # a class is its one-hot vector


def test_the_published_size():
    # 128 numbers and a condition of 103, twice 256 joined on, to a row of 157.
    network = Generator((157,), 128, 103)
    wide = 128 + 103
    wanted = wide * 256 + 256 + 512 + (wide + 256) * 256 + 256 + 512 + (wide + 512) * 157 + 157
    assert sum(p.numel() for p in network.parameters()) == wanted


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4)])
def test_without_norm_rows_do_not_meet(shape):
    network = Generator(shape, 4, hidden=(6,), norm=False, slope=0.2).train()
    noise = torch.randn(8, 4)
    torch.testing.assert_close(network(noise)[:3], network(noise[:3]))
    assert network(noise).shape == (8, *shape)
