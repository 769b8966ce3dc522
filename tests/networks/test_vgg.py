"""The discriminator of SRGAN and ESRGAN: sizes, classes, two halves, and the published number of parameters."""

import pytest
import torch

from gansmith.networks import vgg
from gansmith.networks.layers import couples, read


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 17, 40), (3, 32, 24), (4, 48, 48)], ids=str)
def test_any_size_and_any_channels(shape, classes):
    torch.manual_seed(0)
    network = vgg.Discriminator(shape, classes, width=4, hidden=5, norm=False)
    labels = torch.tensor([0, 2]) if classes else None
    x = torch.randn(2, *shape, requires_grad=True)
    logits = network(x, labels)
    assert logits.shape == (2,)
    features = read(network, x, labels)
    assert features.shape == (2, 5)
    assert torch.equal(network.logits(features, labels), logits)
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    slope.square().sum().backward()  # twice
    assert not couples(network)
    assert couples(vgg.Discriminator(shape, width=4))


def test_the_papers_parameters():
    # ESRGAN's for 128 pixels: ten convolutions, a norm after each but the first, and two dense layers.
    network = vgg.Discriminator((3, 128, 128))
    widths = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), *[(512, 512)] * 3]
    convs = sum(a * b * (9 if i % 2 == 0 else 16) for i, (a, b) in enumerate(widths)) + 64
    norms = 2 * sum(b for _, b in widths[1:])
    assert sum(p.numel() for p in network.parameters()) == convs + norms + 512 * 16 * 100 + 100 + 100
    assert len([m for m in vgg.Discriminator((3, 96, 96)).body if isinstance(m, torch.nn.Conv2d)]) == 8  # SRGAN's


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="16 pixels a side"):
        vgg.Discriminator((3, 15, 64))
    with pytest.raises(ValueError, match="have 1 to 4"):
        vgg.Discriminator((3, 16, 16), stages=5)
