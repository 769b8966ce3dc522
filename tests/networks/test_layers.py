"""Layers that networks share: batch norm against torch's, dropout by the step's draws, sizes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gansmith.draws import Draws, use
from gansmith.networks import layers
from gansmith.networks.layers import (
    GAIN,
    SLOPE,
    BatchNorm,
    Dropout,
    InstanceNorm,
    checked_moments,
    couples,
    fixed,
    one_hot,
    pad_to,
    run,
    scaled,
    squashed,
    stages,
)


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5, 6)])
def test_batch_norm_is_torchs(shape: tuple[int, ...]):
    torch.manual_seed(0)
    mine = BatchNorm(3).double()
    theirs = (nn.BatchNorm1d(3) if len(shape) == 2 else nn.BatchNorm2d(3)).double()
    with torch.no_grad():
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            q.copy_(p.normal_())
    for _ in range(3):
        x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        a, b = mine(x), theirs(x)
        assert torch.allclose(a, b)
        grads = [torch.autograd.grad(y.pow(3).sum(), (x, *m.parameters())) for y, m in ((a, mine), (b, theirs))]
        for g, h in zip(*grads, strict=True):
            assert torch.allclose(g, h)
    assert torch.allclose(mine.running_mean, theirs.running_mean)  # type: ignore[arg-type]
    assert torch.allclose(mine.running_var, theirs.running_var)  # type: ignore[arg-type]
    mine.eval(), theirs.eval()
    assert torch.allclose(mine(x), theirs(x))


def test_batch_norm_by_collectives_is_torchs_too(monkeypatch: pytest.MonkeyPatch):
    # One rank that believes it is one of two, each with this same half: the statistics stay its own.
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    alone, together = BatchNorm(3).double(), BatchNorm(3).double()
    expected = alone(torch.cat([x, x]))[:4]
    (gradient,) = torch.autograd.grad(expected.pow(3).sum(), x, retain_graph=True)
    monkeypatch.setattr(layers.collectives, "world", lambda: 2)
    monkeypatch.setattr(layers.collectives, "all_mean", lambda value: value)
    out = together(x)
    assert torch.allclose(out, expected)
    assert torch.allclose(together.running_mean, alone.running_mean)
    assert torch.allclose(together.running_var, alone.running_var)
    (mine,) = torch.autograd.grad(out.pow(3).sum(), x)
    assert mine.shape == gradient.shape
    assert torch.allclose(mine, gradient)


def test_batch_norm_keeps_float32_statistics_in_bf16():
    norm = BatchNorm(3)
    norm.weight.data, norm.bias.data = norm.weight.data.bfloat16(), norm.bias.data.bfloat16()
    out = norm(torch.randn(16, 3, 4, 4).bfloat16())
    assert out.dtype == torch.bfloat16
    assert norm.running_mean.dtype == torch.float32


def test_dropout_follows_the_draws():
    drop, x = Dropout(0.25), torch.ones(64, 300)
    with use(Draws(0, 0, 64)):
        first, second = drop(x), drop(x)
    with use(Draws(0, 0, 64)):
        again = drop(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert first.unique().tolist() == pytest.approx([0, 4 / 3])
    dropped = (first == 0).double().mean().item()
    assert abs(dropped - 0.25) < 4 * math.sqrt(0.25 * 0.75 / x.numel())
    with use(Draws(0, 0, 64, start=16, stop=32)):
        assert torch.equal(drop(x[16:32]), first[16:32])


def test_dropout_is_off_outside_of_training_and_torchs_outside_of_a_step():
    x = torch.ones(8, 8)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    torch.manual_seed(0)
    assert (Dropout(0.5)(x) == 0).any()
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="dropout"):
            Dropout(wrong)


def test_networks_run_in_the_precision_of_their_weights():
    network = nn.Linear(4, 1)
    x = torch.randn(3, 4, dtype=torch.float64)
    assert run(network, x).dtype == torch.float32
    assert run(network, x, logits=True).shape == (3,)
    half = run(nn.Linear(4, 1).bfloat16(), x, logits=True)
    assert half.dtype == torch.float32
    assert run(nn.Linear(4, 1).double(), x, logits=True).dtype == torch.float64
    assert run(nn.Identity(), x).dtype == torch.float64


def test_what_couples_a_batch():
    assert couples(nn.Sequential(nn.Linear(2, 2), BatchNorm(2)))
    assert couples(nn.Sequential(nn.BatchNorm1d(2)))
    assert not couples(nn.Sequential(nn.Linear(2, 2), Dropout(0.5)))
    own = nn.Linear(2, 2)
    own.coupled = True  # type: ignore[assignment]
    assert couples(nn.Sequential(own))


@pytest.mark.parametrize(
    ("shape", "number", "base"),
    [((1, 28, 28), 2, (7, 7)), ((3, 32, 32), 3, (4, 4)), ((3, 30, 45), 2, (8, 12)), ((1, 5, 5), 0, (5, 5)),
     ((1, 4, 100), 0, (4, 100)), ((3, 64, 256), 4, (4, 16))],
)  # fmt: skip
def test_stages(shape: tuple[int, ...], number: int, base: tuple[int, int]):
    assert stages(shape) == (number, base)


def test_padding_reflects_below_and_to_the_right():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    out = pad_to(x, 4, 6)
    assert out.shape == (1, 1, 4, 6)
    assert torch.equal(out[..., :3, :4], x)
    assert torch.equal(out[0, 0, 3, :4], x[0, 0, 1])
    assert torch.equal(out[0, 0, :3, 4:], x[0, 0][:, [2, 1]])
    assert pad_to(x, 3, 4) is x


def test_one_hot():
    assert one_hot(torch.tensor([1, 0]), 3, torch.zeros(1)).tolist() == [[0, 1, 0], [1, 0, 0]]
    vectors = torch.tensor([[0.5, -1.0, 2.0]])
    assert one_hot(vectors, 3, torch.zeros(1, dtype=torch.float64)).tolist() == vectors.tolist()


@pytest.mark.parametrize("layer", [nn.Linear(400, 300), nn.Conv2d(32, 300, 3)], ids=["linear", "convolution"])
def test_scaled_layers_keep_the_variance(layer: nn.Linear | nn.Conv2d):
    torch.manual_seed(0)
    assert scaled(layer, 1.5) is layer
    assert layer.weight.std().item() == pytest.approx(1.5 / math.sqrt(layer.weight[0].numel()), rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.any()
    # Through a LeakyReLU and a layer of gain GAIN the second moment stays.
    x = torch.randn(2000, 400)
    y = scaled(nn.Linear(400, 400), GAIN)(nn.functional.leaky_relu(x, SLOPE))
    assert y.square().mean().item() == pytest.approx(x.square().mean().item(), rel=0.05)


def test_a_squashed_value_in_bf16_can_still_come_back():
    x = torch.tensor([-6.0, 0.5, 6.0], dtype=torch.bfloat16, requires_grad=True)
    y = squashed(x)
    assert y.dtype == torch.bfloat16
    assert y.tolist() == pytest.approx([-1, math.tanh(0.5), 1], abs=4e-3)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert slope.float().tolist() == pytest.approx([1 - math.tanh(v) ** 2 for v in (6, 0.5, 6)], rel=0.01)


def test_noise_and_a_class_lie_side_by_side():
    start, bare = layers.ClassNoise(5, 3), layers.ClassNoise(0, 3)
    noise, labels = torch.randn(4, 6), torch.tensor([4, 0, 4, 2])
    made = start(noise, labels)
    assert (start.width, bare.width, made.shape) == (3, 0, (4, 9))
    assert torch.equal(made[:, :6], noise)
    assert torch.allclose(made[:, 6:], start.embedding.weight.T[labels])
    assert torch.equal(bare(noise, labels), noise)
    assert torch.equal(start(noise), noise)


def test_a_logit_is_the_product_of_features_and_class():
    end, bare = layers.ClassLogit(6, 5, 3, 0.5), layers.ClassLogit(6, 0, 3, 0.5)
    x, labels = torch.randn(4, 6), torch.tensor([4, 0, 4, 2])
    expected = torch.einsum("bi,fi,fb->b", x, end.last.weight, end.embedding.weight[:, labels])
    assert torch.allclose(end(x, labels), expected, atol=1e-6)
    assert torch.allclose(bare(x, labels), (x @ bare.last.weight.T)[:, 0], atol=1e-6)
    assert sum(p.numel() for p in bare.parameters()) == 6


def test_batch_norm_without_scales_has_no_parameters_and_saves_none():
    x, norm = torch.randn(8, 3, dtype=torch.float64), BatchNorm(3, affine=False).double()
    assert not list(norm.parameters())
    assert set(norm.state_dict()) == {"running_mean", "running_var"}
    assert torch.allclose(norm(x), (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt())


def test_batch_norm_by_class():
    torch.manual_seed(0)
    norm = layers.ClassBatchNorm(3, 4).double()
    with torch.no_grad():
        norm.gain.normal_()
        norm.shift.normal_()
    x, labels = torch.randn(6, 3, 2, 5, dtype=torch.float64, requires_grad=True), torch.tensor([3, 0, 1, 1, 3, 2])
    bare = nn.BatchNorm2d(3, affine=False).double()
    plain = bare(x)
    expected = torch.stack([
        torch.stack([(1 + norm.gain[y, c]) * plain[b, c] + norm.shift[y, c] for c in range(3)])
        for b, y in enumerate(labels)
    ])  # fmt: skip
    out = norm(x, labels)
    assert torch.allclose(out, expected)
    grads = [torch.autograd.grad(y.pow(3).sum(), (x, norm.gain, norm.shift)) for y in (out, expected)]
    for mine, theirs in zip(*grads, strict=True):
        assert torch.allclose(mine, theirs)
    norm.eval(), bare.eval()
    mean = [p.mean(0)[:, None, None] for p in (1 + norm.gain, norm.shift)]
    assert torch.allclose(norm(x), bare(x) * mean[0] + mean[1])
    assert couples(norm)
    assert torch.allclose(layers.ClassBatchNorm(3, 0).double()(x, labels), plain)


# --- spectral norm ---------------------------------------------------------------------------------


def rows(weight: torch.Tensor) -> torch.Tensor:
    """The columns in our order: a convolution's channels last."""
    return weight.movedim(1, -1).flatten(1)


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_spectral_norm_is_torchs(kind: str):
    torch.manual_seed(0)
    theirs = nn.Linear(7, 5).double() if kind == "linear" else nn.Conv2d(3, 5, (2, 3)).double()
    mine = layers.SpectralNorm(theirs.weight).double()
    torch.nn.utils.parametrizations.spectral_norm(theirs)
    inner, original = theirs.parametrizations.weight[0], theirs.parametrizations.weight.original  # type: ignore[index, union-attr]
    with torch.no_grad():  # far from where they have converged to
        inner._u.copy_(torch.nn.functional.normalize(torch.randn(5), dim=0))
        inner._v.copy_(torch.nn.functional.normalize(torch.randn(inner._v.shape), dim=0))
        mine.u.copy_(inner._u)
        mine.v.copy_(rows(inner._v.view(1, *original.shape[1:]))[0])
    weight = original.detach().clone().requires_grad_()
    for training in (True, True, True, False):
        theirs.train(training), mine.train(training)
        a, b = mine(weight), theirs.weight
        assert torch.allclose(a, b, rtol=1e-12)
        assert torch.allclose(mine.u, inner._u)
        assert torch.allclose(mine.v, rows(inner._v.view(1, *original.shape[1:]))[0])
        first = [torch.autograd.grad(y.pow(3).sum(), w, create_graph=True)[0] for y, w in ((a, weight), (b, original))]
        second = [torch.autograd.grad(g.pow(2).sum(), w)[0] for g, w in zip(first, (weight, original), strict=True)]
        assert torch.allclose(*first)
        assert torch.allclose(*second)


def test_spectral_norm_stands_still_where_it_is_told():
    torch.manual_seed(0)
    layer = layers.SpectralLinear(6, 4)
    held = layer.norm.u.clone()
    with layers.still():
        first = layer(torch.eye(6))
    assert torch.equal(layer.norm.u, held)
    second = layer(torch.eye(6))  # written to after `first`, which can still be differentiated
    assert not torch.equal(layer.norm.u, held)
    (first + second).sum().backward()
    held = layer.norm.u.clone()
    assert torch.equal(layer.eval()(torch.eye(6)), layer(torch.eye(6)))
    assert torch.equal(layer.norm.u, held)


def test_a_repeated_pass_is_bit_equal_to_the_one_that_it_repeats():
    torch.manual_seed(0)
    layer, x = layers.SpectralConv2d(2, 4, 3, padding=1), torch.randn(2, 2, 5, 5)
    first = layer(x)
    with layers.still():
        assert torch.equal(layer(x), first)


def test_spectral_norm_settles_on_the_largest_singular_value():
    torch.manual_seed(0)
    layer = layers.SpectralConv2d(4, 6, 3)
    nn.init.orthogonal_(layer.weight)
    with torch.no_grad():
        layer.weight[0] *= 3
    layer.norm.settle(layer.weight, 30)
    largest = torch.linalg.svdvals(layer.norm.eval()(layer.weight).flatten(1))[0]
    assert largest.item() == pytest.approx(1, rel=1e-3)


def test_spectral_norm_keeps_float32_vectors_in_bf16():
    torch.manual_seed(0)
    layer = layers.SpectralLinear(6, 4)
    wide = layer.eval()(torch.eye(6))
    layer.weight.data, layer.bias.data = layer.weight.data.bfloat16(), layer.bias.data.bfloat16()
    out = layer.train()(torch.eye(6).bfloat16())
    assert (out.dtype, layer.norm.u.dtype) == (torch.bfloat16, torch.float32)
    assert torch.allclose(out.float(), wide, atol=0.02)


def test_an_encoder_gives_a_vector_or_two():
    assert [checked_moments(moments) for moments in (1, 2)] == [1, 2]
    with pytest.raises(ValueError, match="moments must be 1"):
        checked_moments(3)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_is_of_each_example_alone_in_training_and_in_use(count: int, affine: bool):
    torch.manual_seed(0)
    norm = InstanceNorm(2, affine).double()
    if affine:
        with torch.no_grad():
            norm.weight.normal_()
            norm.bias.normal_()
    x = torch.randn(count, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    wanted = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    if affine:
        wanted = wanted * norm.weight.view(1, 2, 1, 1) + norm.bias.view(1, 2, 1, 1)
    torch.testing.assert_close(norm(x), wanted)
    torch.testing.assert_close(norm.eval()(x), wanted)
    assert not couples(norm)
    (mine,), (theirs,) = (torch.autograd.grad(y.pow(3).sum(), x) for y in (norm(x), wanted))
    torch.testing.assert_close(mine, theirs)
    assert torch.autograd.gradgradcheck(lambda z: norm(z).pow(2).sum(), (x,))


def test_a_fixed_network_hands_gradients_through_and_gets_none():
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    x = torch.randn(3, 2, requires_grad=True)
    with fixed(second):
        y = second(first(x)).sum()
    assert all(p.requires_grad for p in second.parameters())
    got = torch.autograd.grad(y, [x, *first.parameters(), *second.parameters()], allow_unused=True)
    assert [g is None for g in got] == [False] * 3 + [True] * 2
