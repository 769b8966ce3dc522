"""The PatchGAN: the paper's parameters and receptive field, any size, and what it is conditional on."""

from __future__ import annotations

import pytest
import torch

from gansmith.networks import patchgan
from gansmith.networks.layers import couples


def test_it_has_the_papers_layers_and_parameters():
    with torch.device("meta"):
        network = patchgan.Discriminator((3, 256, 256), conditional=True, affine=True)
    widths = [layer.out_channels for layer in network.convolutions]
    assert widths == [64, 128, 256, 512]
    assert [layer.stride[0] for layer in network.convolutions] == [2, 2, 2, 1]
    convolutions = 16 * (6 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    assert sum(p.numel() for p in network.parameters()) == convolutions + 64 + 1 + 2 * (128 + 256 + 512)


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_a_patch_of_so_many_pixels(layers, side):
    torch.manual_seed(0)
    network = patchgan.Discriminator((1, 192, 192), width=2, layers=layers, norm="none")
    x = torch.randn(1, 1, 192, 192, requires_grad=True)
    logits = network(x)
    count = round(logits.shape[1] ** 0.5)
    (slope,) = torch.autograd.grad(logits[0, count * (count // 2) + count // 2], x)
    rows = slope[0, 0].abs().sum(1).nonzero()
    assert rows[-1] - rows[0] + 1 == side


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32), (1, 12, 8)], ids=str)
def test_any_size_and_any_channels_either_way(shape):
    torch.manual_seed(0)
    beside = {"b": (2, *shape[1:])}
    of_b = patchgan.Discriminator(shape, beside, conditional=True, width=4)
    of_a = patchgan.BackDiscriminator(shape, beside, width=4)
    a, b = torch.randn(2, *shape), torch.randn(2, 2, *shape[1:], requires_grad=True)
    logits = of_b(b, a)
    assert logits.dim() == 2
    assert of_a(a).shape == logits.shape
    (slope,) = torch.autograd.grad(logits.sum(), b)
    assert (slope != 0).flatten(1).double().mean() > 0.9
    assert not couples(of_b)
    torch.testing.assert_close(of_b(b[:1], a[:1]), logits[:1], rtol=1e-4, atol=1e-5)


def test_a_conditional_one_must_be_shown_the_input():
    network = patchgan.Discriminator((1, 16, 16), conditional=True, width=2)
    with pytest.raises(ValueError, match="must be shown the input"):
        network(torch.randn(1, 1, 16, 16))
    x = torch.randn(1, 1, 16, 16)
    assert not torch.equal(network(x, x), network(x, -x))


def test_it_differentiates_twice():
    torch.manual_seed(0)
    network = patchgan.Discriminator((1, 8, 8), width=2).double()
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda z: network(z).sum(), (x,), atol=1e-4)


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="8 pixels a side"):
        patchgan.Discriminator((1, 7, 8))
