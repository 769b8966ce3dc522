"""StyleGAN2's layers against their definitions in float64, to the second derivative."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gansmith.draws import Draws, use
from gansmith.networks.modulation import (
    LayerNoise,
    Mapping,
    ModulatedConv2d,
    StyledConv2d,
    ToImage,
    drawn,
)


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stirred(network: nn.Module) -> nn.Module:
    """In float64, with no parameter at a special value such as 0 or 1."""
    torch.manual_seed(0)
    network = network.double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return network


TAPS = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])).double() / 64


def filtered(x: torch.Tensor, padding: int) -> torch.Tensor:
    """Each channel by the filter, [B, C, H, W]."""
    return torch.cat([F.conv2d(x[:, c : c + 1], TAPS[None, None], padding=padding) for c in range(x.shape[1])], 1)


# --- modulation ------------------------------------------------------------------------------------


def by_definition(
    layer: ModulatedConv2d, x: torch.Tensor, style: torch.Tensor, noise: torch.Tensor | None, gain: float
) -> torch.Tensor:
    """Each example by weights of its own, which are modulated, and demodulated, entry by entry."""
    outs = []
    _, inputs, kernel, _ = layer.weight.shape
    for b in range(len(x)):
        weight = layer.weight / math.sqrt(inputs * kernel**2)
        weight = torch.stack([weight[:, i] * style[b, i] for i in range(inputs)], 1)
        if layer.demodulate:
            weight = torch.stack([w / ((w**2).sum() + 1e-8).sqrt() for w in weight])
        if layer.up:  # zeros between the pixels, a convolution that keeps all of it, and the filter four times over
            spread = x.new_zeros(1, inputs, 2 * x.shape[2], 2 * x.shape[3])
            spread[:, :, ::2, ::2] = x[b]
            turned = weight.flip(2, 3)
            out = 4 * filtered(F.conv2d(spread, turned, padding=2)[:, :, :-1, :-1], 1)
        else:
            out = F.conv2d(x[b : b + 1], weight, padding=kernel // 2)
        outs.append(out + layer.bias[:, None, None])
    out = torch.cat(outs)
    return gain * (out if noise is None else out + noise)


KINDS = {"3x3": (3, True, False), "up": (3, True, True), "image": (1, False, False)}


@pytest.mark.parametrize("with_noise", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_modulated_convolution_is_its_definition(kind: str, with_noise: bool):
    layer = stirred(ModulatedConv2d(3, 5, *KINDS[kind]))
    assert isinstance(layer, ModulatedConv2d)
    x, style = seeded(2, 3, 4, 6).requires_grad_(), seeded(2, 3, seed=1).requires_grad_()
    noise = seeded(2, 1, *((8, 12) if layer.up else (4, 6)), seed=2) if with_noise else None
    given = (x, style, *layer.parameters())
    found, wanted = layer(x, style, noise, 1.5), by_definition(layer, x, style, noise, 1.5)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)

    def slopes(y: torch.Tensor) -> list[torch.Tensor]:
        first = torch.autograd.grad(y.pow(3).sum(), given, create_graph=True)
        return [*first, *torch.autograd.grad(sum(g.square().sum() for g in first), given)]  # type: ignore[arg-type]

    for mine, theirs in zip(slopes(found), slopes(wanted), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_it_differentiates_twice(kind: str):
    layer = stirred(ModulatedConv2d(2, 3, *KINDS[kind]))
    names, values = zip(*layer.named_parameters(), strict=True)
    x, style = seeded(2, 2, 3, 3).requires_grad_(), seeded(2, 2, seed=1).requires_grad_()

    def play(x: torch.Tensor, style: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, style))

    assert gradcheck(play, (x, style, *values), fast_mode=True)
    assert gradgradcheck(play, (x, style, *values), fast_mode=True)


def test_demodulation_takes_the_size_of_a_style_out_and_keeps_the_variance():
    torch.manual_seed(0)
    layer = ModulatedConv2d(64, 128, 3)
    x, style = torch.randn(4, 64, 16, 16), torch.rand(4, 64) + 0.5
    out = layer(x, style)
    assert torch.allclose(out, layer(x, 7 * style), atol=1e-5)
    assert out[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, rel=0.03)
    assert layer.weight.std().item() == pytest.approx(1, rel=0.02)
    assert not layer.bias.any()
    assert ModulatedConv2d(64, 128, 3, up=True)(x, style).shape == (4, 128, 32, 32)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "styled": lambda: StyledConv2d(3, 4, 5, 0, (6, 6)),
    "styled up": lambda: StyledConv2d(3, 4, 5, 0, (12, 12), up=True, gain=1.0),
    "image": lambda: ToImage(3, 2, 5),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_their_styles(name: str):
    layer = stirred(LAYERS[name]()).eval()
    x, w = seeded(2, 3, 6, 6), seeded(2, 5, seed=1)
    style = w @ layer.style.weight.T / math.sqrt(5) + layer.style.bias
    if name == "image":
        assert torch.allclose(layer(x, w), by_definition(layer.convolution, x, style, None, 1.0))
        return
    noise = layer.noise.constant * layer.noise.strength
    gain = 1.0 if name == "styled up" else math.sqrt(2)
    expected = F.leaky_relu(by_definition(layer.convolution, x, style, noise, 1.0), 0.2) * gain
    assert torch.allclose(layer(x, w), expected)


def test_a_style_is_one_at_first():
    torch.manual_seed(0)
    assert torch.equal(StyledConv2d(3, 4, 5, 0, (6, 6)).style(torch.zeros(1, 5)), torch.ones(1, 3))


# --- noise -----------------------------------------------------------------------------------------


def test_noise_is_constant_in_use_and_drawn_by_layer_in_training():
    torch.manual_seed(0)
    one, other = LayerNoise(1, 4, 6), LayerNoise(2, 4, 6)
    for layer in (one, other):
        assert not layer(3).any()
        nn.init.constant_(layer.strength, 0.5)
    with use(Draws(0, 0, 8)):
        first, again, apart = one(8), one(8), other(8)
    assert first.shape == (8, 1, 4, 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, apart)
    assert torch.equal(first, 0.5 * Draws(0, 0, 8).normal("layer 1", 1, 4, 6))
    with use(Draws(0, 0, 8, start=2, stop=5)):
        assert torch.equal(one(3), first[2:5])
        assert torch.equal(one(2), first[2:4])  # a pass over fewer
        assert torch.equal(one(6)[:3], first[2:5])  # and over two sets
        assert not torch.equal(one(6)[3:], first[2:5])
    one.eval()
    assert torch.equal(one(8), 0.5 * one.constant[None, None])
    assert "constant" in one.state_dict()


def test_outside_of_a_step_numbers_are_torchs():
    torch.manual_seed(0)
    like = torch.zeros(1, dtype=torch.float64)
    normal, uniform = drawn("normal", "a", 2000, 3, like=like), drawn("uniform", "a", 2000, like=like)
    assert normal.dtype == torch.float64
    assert abs(normal.mean().item()) < 0.06
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1


# --- the mapping -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "classes"), [(6, 0), (6, 3), (0, 3)])
def test_the_mapping_is_its_formula(noise: int, classes: int):
    mapping = stirred(Mapping(noise, classes, 5, 3))
    assert isinstance(mapping, Mapping)
    z = seeded(4, max(noise, 1))
    labels = torch.tensor([2, 0, 1, 2])

    def wanted(weights: torch.Tensor) -> torch.Tensor:
        parts = [z / (z**2).mean(1, keepdim=True).sqrt()] if noise else []
        if classes:
            e = weights @ mapping.embedding.weight.T / math.sqrt(classes)  # type: ignore[union-attr]
            parts.append(e / (e**2).mean(1, keepdim=True).sqrt())
        x = torch.cat(parts, 1)
        for layer in mapping.layers:
            x = 0.01 / math.sqrt(x.shape[1]) * x @ layer.weight.T + 0.01 * layer.bias  # type: ignore[operator]
            x = math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)
        return x

    of = torch.eye(max(classes, 1), dtype=torch.float64)
    torch.testing.assert_close(mapping(z, labels), wanted(of[labels % len(of)]), rtol=1e-6, atol=1e-7)
    mean = torch.full((4, max(classes, 1)), 1 / max(classes, 1), dtype=torch.float64)
    torch.testing.assert_close(mapping(z), wanted(mean), rtol=1e-6, atol=1e-7)


def test_a_layer_of_the_mapping_keeps_the_size():
    torch.manual_seed(0)
    mapping = Mapping(128, 0, 4096, 1)
    w = mapping(torch.randn(500, 128))
    # A leaky ReLU of slope 0.2 leaves half of a normal input's second moment, and 4% of the other half; doubled.
    assert w.square().mean().item() == pytest.approx(1.04, rel=0.1)
    assert torch.allclose(mapping(torch.full((1, 128), 3.0)), mapping(torch.full((1, 128), 0.5)), atol=1e-5)
    with pytest.raises(ValueError, match="mapping_layers must be 1 or more"):
        Mapping(4, 0, 4, 0)
