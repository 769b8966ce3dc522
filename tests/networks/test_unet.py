"""The U-Net: the paper's parameters and layers, any size, and dropout where it is published."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gansmith import draws
from gansmith.networks import unet
from gansmith.networks.layers import Dropout, couples

SHAPES = [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32)]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_of_256_pixels_it_has_the_papers_layers():
    with torch.device("meta"):
        network = unet.Generator((3, 256, 256))
    assert [layer.out_channels for layer in network.down] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [layer.out_channels for layer in network.up] == [512, 512, 512, 512, 256, 128, 64]
    # The decoder takes what the encoder hands across beside what comes from below.
    assert [layer.in_channels for layer in network.up] == [512, 1024, 1024, 1024, 1024, 512, 256]
    assert [isinstance(layer, Dropout) for layer in network.dropouts] == [True] * 3 + [False] * 4
    with torch.device("meta"):
        spared = unet.Generator((3, 256, 256), spared=1)
    assert [isinstance(layer, Dropout) for layer in spared.dropouts] == [False] + [True] * 3 + [False] * 3
    down = sum(
        a * b * 16 for a, b in zip([3, 64, 128, 256, 512, 512, 512, 512], [64, 128, 256, *[512] * 5], strict=True)
    )
    up = sum(a * b * 16 for a, b in zip([512, *[1024] * 4, 512, 256, 128], [512] * 4 + [256, 128, 64, 3], strict=True))
    norms = 2 * (128 + 256 + 4 * 512) + 2 * (4 * 512 + 256 + 128 + 64)
    assert parameters(network) == down + up + norms + 64 + 512 + 3


@pytest.mark.parametrize(("size", "depth"), [((256, 256), 8), ((64, 64), 6), ((72, 72), 4), ((8, 8), 3), ((9, 13), 3)])
def test_it_is_as_deep_as_little_padding_allows(size, depth):
    assert unet.depth_for(*size) == depth


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_and_any_channels_either_way(shape):
    torch.manual_seed(0)
    beside = {"b": (2, *shape[1:])}
    there, back = unet.Generator(shape, beside, width=4), unet.Back(shape, beside, width=4)
    x = torch.randn(2, *shape, requires_grad=True)
    y = there(x)
    assert y.shape == (2, 2, *shape[1:])
    assert y.abs().max() <= 1
    assert back(y).shape == x.shape
    (slope,) = torch.autograd.grad(y.square().sum(), x)
    assert (slope != 0).flatten(1).double().mean() > 0.9
    assert there(torch.randn(1, shape[0], 21, 10)).shape == (1, 2, 21, 10)  # and sizes that it was not trained on


def test_a_picture_is_translated_alike_alone_and_in_a_batch_in_training_and_in_use():
    torch.manual_seed(0)
    network = unet.Generator((3, 16, 16), width=4, dropout=0.0).double()
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    assert not couples(network)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))
    torch.testing.assert_close(network.eval()(x), network.train()(x))


def test_dropout_is_drawn_in_training_alone():
    torch.manual_seed(0)
    network, x = unet.Generator((3, 32, 32), width=4), torch.randn(2, 3, 32, 32)

    def run(seed: int) -> torch.Tensor:
        with draws.use(draws.Draws(seed, 0, 2)):
            return network(x)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    network.eval()
    assert torch.equal(run(0), run(1))


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="8 pixels a side"):
        unet.Generator((3, 7, 9))
    with pytest.raises(ValueError, match="1 to 4 times, not 5"):
        unet.Generator((3, 16, 16), depth=5)
    assert len(unet.Generator((3, 16, 16), depth=1, width=2).down) == 1
