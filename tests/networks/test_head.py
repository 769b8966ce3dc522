"""Heads: parameter counts, lengths of one, spectral norm, and no mixing unless by batch norm."""

from __future__ import annotations

import pytest
import torch

from gansmith.networks.head import Head, Places, Proxies
from gansmith.networks.layers import SpectralLinear, couples


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_a_head_has_the_layers_that_are_asked_for():
    assert count(Head(5, 3)) == 5 * 3 + 3
    assert count(Head(5, 3, [7])) == 5 * 7 + 7 + 7 * 3 + 3
    # As InfoGAN's: dense, batch norm, LeakyReLU, dense; a bias before batch norm would not matter.
    normed = Head(5, 3, [7], norm=True)
    assert count(normed) == 5 * 7 + 2 * 7 + 7 * 3 + 3
    assert couples(normed)
    assert not couples(Head(5, 3, [7]))
    assert Head(5, 3, [7], norm=True)(torch.randn(4, 5)).shape == (4, 3)


def test_a_spectral_head_cannot_stretch():
    torch.manual_seed(0)
    head = Head(6, 4, spectral=True).eval()
    assert isinstance(head.layers[0], SpectralLinear)
    a, b = torch.randn(2, 50, 6)
    assert ((head(a) - head(b)).norm(dim=1) <= (a - b).norm(dim=1) * 1.01).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("spectral", [False, True])
def test_embeddings_and_proxies_have_length_one(spectral: bool, dtype: torch.dtype):
    torch.manual_seed(0)
    head = Proxies(6, 3, 4, spectral).to(dtype)
    labels = torch.tensor([0, 2, 2, 1])
    for found in (head(torch.randn(4, 6, dtype=dtype)), head.of(labels)):
        assert found.shape == (4, 4)
        assert found.dtype == (dtype if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(4, dtype=found.dtype))
    assert torch.equal(head.of(labels)[1], head.of(labels)[2])
    assert count(head) == 6 * 4 + 4 + 3 * 4


def test_places_of_each_depth_have_layers_of_their_own():
    torch.manual_seed(0)
    places = Places([3, 5], 7)
    assert count(places) == (3 * 7 + 7 + 7 * 7 + 7) + (5 * 7 + 7 + 7 * 7 + 7)
    x, y = torch.randn(2, 4, 3), torch.randn(2, 6, 5)
    one, other = places([x, y])
    assert (one.shape, other.shape) == ((2, 4, 7), (2, 6, 7))
    first, _, last = places.layers[0]
    torch.testing.assert_close(one, (x @ first.weight.T + first.bias).relu() @ last.weight.T + last.bias)
