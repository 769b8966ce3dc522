"""The head that joins features with a latent vector."""

from __future__ import annotations

import torch
from torch.autograd import gradgradcheck
from torch.nn.functional import leaky_relu, linear

from gansmith.networks.joint import JointHead


def test_it_is_a_perceptron_of_both():
    torch.manual_seed(0)
    head = JointHead(5, 3, 8).double()
    features, noise = torch.randn(4, 5).double(), torch.randn(4, 3).double()
    layers = [head.of_noise, head.joined, head.again, head.last]
    assert [tuple(layer.weight.shape) for layer in layers] == [(8, 3), (8, 13), (8, 8), (1, 8)]
    x = leaky_relu(linear(noise, head.of_noise.weight, head.of_noise.bias), 0.2)
    x = torch.cat([features, x], 1)
    for layer in (head.joined, head.again):
        x = leaky_relu(linear(x, layer.weight, layer.bias), 0.2)
    expected = linear(x, head.last.weight, head.last.bias)[:, 0]
    torch.testing.assert_close(head(features, noise), expected)


def test_it_differentiates_twice_and_both_inputs_matter():
    torch.manual_seed(0)
    head = JointHead(4, 3, 6).double()
    inputs = torch.randn(2, 4).double().requires_grad_(), torch.randn(2, 3).double().requires_grad_()
    assert gradgradcheck(lambda *x: head(*x).square(), inputs)
    for slope in torch.autograd.grad(head(*inputs).sum(), inputs):
        assert (slope != 0).all()


def test_with_spectral_norm_each_layer_has_slope_one_at_most():
    torch.manual_seed(0)
    head = JointHead(5, 3, 8, spectral=True).double().eval()
    for layer in (head.of_noise, head.joined, head.again, head.last):
        value = torch.linalg.svdvals(layer.norm(layer.weight).detach())[0]
        assert 0.999 < float(value) < 1.15  # power iteration comes to it from below
