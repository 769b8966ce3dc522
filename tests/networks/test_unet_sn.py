"""Real-ESRGAN's discriminator: a logit a pixel, two halves, spectral norm, the published number of parameters."""

import pytest
import torch

from gansmith.networks import unet_sn
from gansmith.networks.layers import couples, read, still


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 8, 24), (3, 32, 16), (4, 24, 24)], ids=str)
def test_a_logit_for_each_pixel(shape):
    torch.manual_seed(0)
    network = unet_sn.Discriminator(shape, width=4)
    x = torch.randn(2, *shape, requires_grad=True)
    with still():
        logits = network(x)
        features = read(network, x)
    assert logits.shape == (2, shape[1] * shape[2])
    assert features.shape == (2, network.feature_width)
    assert torch.equal(network.logits(features), logits)
    (slope,) = torch.autograd.grad(logits.mean(), x, create_graph=True)
    slope.square().sum().backward()  # twice
    assert all(p.grad is not None for name, p in network.named_parameters() if name != "last.bias")
    assert not couples(network)


def test_the_papers_parameters():
    assert sum(p.numel() for p in unet_sn.Discriminator((3, 256, 256)).parameters()) == 4_376_897


def test_without_what_it_saw_on_the_way_down_fine_detail_is_lost():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 16, 16)
    with still():
        both = [unet_sn.Discriminator((1, 16, 16), width=4, skip=skip).eval()(x).detach() for skip in (True, False)]
    rough = [float(one.view(16, 16).diff(dim=1).square().mean() / one.var()) for one in both]
    assert rough[0] > 2 * rough[1]


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="whose sides 8 divides"):
        unet_sn.Discriminator((3, 20, 16))
    with pytest.raises(ValueError, match="knows no classes"):
        unet_sn.Discriminator((3, 16, 16), classes=2)
