"""What translating networks share: sides of one size, norms by name, padding at any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gansmith.networks.layers import BatchNorm, InstanceNorm
from gansmith.networks.translating import begin, mirrored, normed, other, padded


def test_the_other_side_is_what_lies_beside_or_the_same():
    assert other((1, 8, 12), {"b": (3, 8, 12), "truth": (2, 8, 12)}) == (3, 8, 12)
    assert other((1, 8, 12), None) == (1, 8, 12)
    with pytest.raises(ValueError, match="of one size, not 8x12 and 8x8"):
        other((1, 8, 12), {"b": (3, 8, 8)})
    with pytest.raises(ValueError, match="a translation is of images"):
        other((2,), None)


def test_norms_go_by_their_names():
    assert isinstance(normed("instance", 3), InstanceNorm)
    assert normed("instance", 3).weight is None
    assert normed("instance", 3, affine=True).weight.shape == (3,)
    assert isinstance(normed("batch", 3), BatchNorm)
    assert isinstance(normed("none", 3), nn.Identity)
    with pytest.raises(ValueError, match="instance, batch or none, not 'layer'"):
        normed("layer", 3)


def test_first_weights_are_the_papers():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(64, 64, 3), InstanceNorm(4096, affine=True), nn.Linear(100, 100))
    begin(network)
    for layer, mean in ((network[0], 0), (network[1], 1), (network[2], 0)):
        assert layer.weight.mean().item() == pytest.approx(mean, abs=1e-3)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("size", "multiple", "wanted"), [((9, 13), 4, (12, 16)), ((8, 8), 4, (8, 8)), ((3, 1), 8, (8, 8))]
)
def test_padding_reaches_a_multiple_at_any_size(size, multiple, wanted):
    x = torch.rand(1, 2, *size, dtype=torch.float64, requires_grad=True)
    out = padded(x, multiple)
    assert out.shape[2:] == wanted
    assert torch.equal(out[:, :, : size[0], : size[1]], x)
    if size == (9, 13):
        assert torch.equal(out[:, :, 9], out[:, :, 7])


def test_mirroring_differentiates_twice():
    x = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert mirrored(x, 3).shape == (1, 1, 10, 11)
    assert torch.autograd.gradgradcheck(lambda z: mirrored(z, 3).square().sum(), (x,))
