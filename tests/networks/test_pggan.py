"""Networks that grow: the paper's sizes, and each level against the layers written out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from gansmith.networks import pggan
from gansmith.networks.layers import couples, one_hot


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def pair(shape: tuple[int, ...], classes: int = 0, width: int = 4, noise: int = 6):
    torch.manual_seed(0)
    return pggan.Generator(shape, noise, classes, width, 3), pggan.Discriminator(shape, classes, width)


SHAPES = [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32), (1, 12, 8)]


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_any_channels_and_every_level(shape: tuple[int, ...], classes: int):
    generator, discriminator = pair(shape, classes)
    labels = torch.tensor([0, 1, 2]) if classes else None
    assert generator.level == len(generator.sizes) - 1
    assert generator.sizes[-1] == shape[1:]
    for level, size in enumerate(generator.sizes):
        for fading in (False, True) if level else (False,):
            for network in (generator, discriminator):
                network.grow(level, fading)
                network.fade(0.3)
            fake = generator(torch.randn(3, 6), labels)
            assert fake.shape == (3, shape[0], *size)
            logits = discriminator(fake, labels)
            assert logits.shape == (3,)
            used = {name for network, role in ((generator, "g"), (discriminator, "d"))
                    for name, p in _graded(network, role, logits.sum() + fake.sum()) if p is not None}  # fmt: skip
            # Blocks and the layers that read and write images: those of the level, and of the last while it fades in.
            blocks = {int(n.split(".")[2]) for n in used if n.startswith("g.blocks")}
            assert blocks == set(range(level))
            for ends in ("g.write", "d.read"):
                assert {int(n.split(".")[2]) for n in used if n.startswith(ends)} == {level, level - fading}
    x = fake.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x, labels).sum(), x)
    assert (slope != 0).flatten(1).double().mean() > 0.9


def _graded(network: nn.Module, role: str, loss: torch.Tensor):
    named = dict(network.named_parameters())
    grads = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return [(f"{role}.{name}", grad) for name, grad in zip(named, grads, strict=True)]


def test_the_papers_networks_at_1024_pixels_have_its_parameters():
    with torch.device("meta"):
        generator, discriminator = pggan.Generator((3, 1024, 1024), 512), pggan.Discriminator((3, 1024, 1024))
    widths = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert generator.widths == discriminator.widths == widths
    assert generator.sizes[0] == (4, 4)

    def conv(n: int, m: int, kernel: int) -> int:
        return n * m * kernel**2 + m

    # Table 2, which has the layers of the last level's image alone: in the generator a 4x4 and a 3x3 layer, then two of
    # 3x3 at each size; in the discriminator the same in reverse, with the batch's deviation as a channel more.
    pairs = list(pairwise(widths))
    table_g = conv(512, 512, 4) + conv(512, 512, 3) + sum(conv(n, m, 3) + conv(m, m, 3) for n, m in pairs)
    table_g += conv(16, 3, 1)
    table_d = conv(3, 16, 1) + sum(conv(m, m, 3) + conv(m, n, 3) for n, m in pairs)
    table_d += conv(513, 512, 3) + conv(512, 512, 4) + 513
    assert [round(n / 1e6, 1) for n in (table_g, table_d)] == [23.1, 23.1]
    assert parameters(generator) == table_g + sum(conv(n, 3, 1) for n in widths[:-1])
    assert parameters(discriminator) == table_d + sum(conv(3, n, 1) for n in widths[:-1])


def test_a_narrower_network_is_as_wide_at_most():
    with torch.device("meta"):
        assert pggan.Generator((3, 256, 256), 64, width=128).widths == [128, 128, 128, 128, 128, 128, 64]
        assert pggan.Generator((1, 28, 28), 64, width=48).widths == [48] * 3


def norm(a: torch.Tensor) -> torch.Tensor:
    return a / (a.pow(2).mean(1, keepdim=True) + 1e-8).sqrt()


def layer(module: nn.Module, x: torch.Tensor, gain: float = math.sqrt(2)) -> torch.Tensor:
    """A convolution by torch's own, its weight scaled by He's constant."""
    weight = module.weight * gain / math.sqrt(module.weight[0].numel())  # type: ignore[operator, index]
    return F.conv2d(x, weight, module.bias, padding=weight.shape[-1] // 2)  # type: ignore[arg-type]


def act(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize(("level", "alpha"), [(0, None), (1, None), (1, 0.25), (2, 0.75)])
def test_the_generator_written_out(level: int, alpha: float | None):
    generator = pair((2, 16, 16))[0].double()
    for p in generator.parameters():
        p.data.normal_()
    generator.grow(level, alpha is not None)
    generator.fade(0.5 if alpha is None else alpha)
    noise = torch.randn(3, 6, dtype=torch.float64)
    weight = generator.first.weight.view(4, 4, 4, 6)  # height, width, channels, inputs
    # The 4x4 convolution of one pixel, of whose outputs each place has its own weights: He counts 16 times 6.
    x = torch.einsum("bi,hwci->bchw", norm(noise), weight * math.sqrt(2 / (6 * 16)))
    x = norm(act(x + generator.bias.view(1, 4, 1, 1)))
    features = [norm(act(layer(generator.start, x)))]
    for one, two in generator.blocks:  # type: ignore[misc]
        x = features[-1].repeat_interleave(2, 2).repeat_interleave(2, 3)
        features.append(norm(act(layer(two, norm(act(layer(one, x)))))))
    images = [layer(write, x, 1.0) for write, x in zip(generator.write, features, strict=True)]
    expected = images[level]
    if alpha is not None:
        old = images[level - 1].repeat_interleave(2, 2).repeat_interleave(2, 3)
        expected = (1 - alpha) * old + alpha * expected
    assert torch.allclose(generator(noise), expected)


@pytest.mark.parametrize(("level", "alpha"), [(0, None), (1, None), (1, 0.25), (2, 0.75)])
def test_the_discriminator_written_out(level: int, alpha: float | None):
    discriminator = pair((2, 16, 16))[1].double()
    for p in discriminator.parameters():
        p.data.normal_()
    discriminator.grow(level, alpha is not None)
    discriminator.fade(0.5 if alpha is None else alpha)
    image = torch.randn(3, 2, 4 << level, 4 << level, dtype=torch.float64)

    def half(x: torch.Tensor) -> torch.Tensor:
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    x = act(layer(discriminator.read[level], image))
    for i in reversed(range(level)):
        one, two = discriminator.blocks[i]  # type: ignore[misc]
        x = half(act(layer(two, act(layer(one, x)))))
        if alpha is not None and i == level - 1:
            x = (1 - alpha) * act(layer(discriminator.read[i], half(image))) + alpha * x
    spread = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
    x = act(layer(discriminator.end, torch.cat([x, spread.expand(3, 1, 4, 4)], 1)))
    weight = discriminator.dense.weight.view(4, 4, 4, 4) * math.sqrt(2 / 64)  # outputs, height, width, channels
    x = act(torch.einsum("bchw,ohwc->bo", x, weight) + discriminator.dense.bias)
    expected = x @ discriminator.last.weight[0] / 2 + discriminator.last.bias
    assert torch.allclose(discriminator(image), expected)
    assert discriminator.feature_width == 4
    assert couples(discriminator)


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_fade_begins_as_the_old_level_and_ends_as_the_new(side: str):
    generator, discriminator = pair((1, 16, 16))
    noise, fine = torch.randn(3, 6), torch.randn(3, 1, 16, 16)
    for network in (generator, discriminator):
        network.grow(1 if side == "old" else 2, False)
    images, coarse = generator(noise), F.avg_pool2d(fine, 2)
    logits = discriminator(coarse if side == "old" else fine)
    for network in (generator, discriminator):
        network.grow(2, True)
        if side == "new":
            network.fade(1.0)
    if side == "old":
        images = F.interpolate(images, scale_factor=2)
    assert torch.allclose(generator(noise), images, atol=1e-6)
    assert torch.allclose(discriminator(fine), logits, atol=1e-6)


def test_a_class_joins_the_noise_and_the_features():
    generator, discriminator = pair((1, 8, 8), 3)
    noise, labels, x = torch.randn(4, 6), torch.tensor([0, 1, 2, 0]), torch.randn(4, 1, 8, 8)
    assert not torch.equal(generator(noise, labels)[0], generator(noise, labels.roll(2))[0])
    weight = generator.embedding.weight  # standard normal as they are used: as large as the noise
    assert torch.allclose(generator.embedding(one_hot(labels, 3, noise)), weight.T[labels], atol=1e-6)
    assert torch.isfinite(generator(noise)).all()  # without a label, the mean over classes
    features = discriminator.features(x)
    bare = discriminator.logits(features)
    joined = (features * discriminator.embedding.weight.T[labels]).sum(1) / math.sqrt(4)
    assert torch.allclose(discriminator(x, labels), bare + joined, atol=1e-6)


def test_a_share_that_is_set_anew_leaves_an_older_graph_as_it_was():
    generator, _ = pair((1, 8, 8))
    generator.grow(1, True)
    generator.fade(0.5)
    noise, names = torch.randn(2, 6), list(generator.parameters())
    want = torch.autograd.grad(generator(noise).sum(), names, allow_unused=True)
    made = generator(noise).sum()
    generator.fade(0.75)
    got = torch.autograd.grad(made, names, allow_unused=True)
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(want, got, strict=True))


def test_networks_trace_and_differentiate_twice_while_they_fade():
    _, discriminator = pair((1, 8, 8))
    discriminator.double().grow(1, True)
    discriminator.fade(0.5)
    named = dict(discriminator.named_parameters())

    def slopes(alpha: torch.Tensor, x: torch.Tensor, *weights: torch.Tensor):
        discriminator.fade(alpha)
        leaves = [w.detach().requires_grad_() for w in weights]
        x = x.detach().requires_grad_()
        out = torch.func.functional_call(discriminator, dict(zip(named, leaves, strict=True)), (x,))
        (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), leaves, allow_unused=True)

    x, given = torch.randn(4, 1, 8, 8, dtype=torch.float64), [p.detach() for p in named.values()]
    graph = make_fx(slopes)(torch.tensor(0.5, dtype=torch.float64), x, *given)
    for alpha in (0.25, 1.0):
        share = torch.tensor(alpha, dtype=torch.float64)
        for traced, eager in zip(graph(share, x, *given), slopes(share, x, *given), strict=True):
            assert traced is eager is None or torch.allclose(traced, eager)


def test_bf16_stays_bf16():
    generator, discriminator = pair((1, 8, 8))
    for network in (generator, discriminator):
        network.grow(1, True)
        for p in network.parameters():
            p.data = p.data.bfloat16()
    made = generator(torch.randn(4, 6).bfloat16())
    assert made.dtype == discriminator(made).dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [(2,), (1, 7, 9)])
def test_what_is_too_small_is_refused(shape: tuple[int, ...]):
    for make in (lambda: pggan.Generator(shape, 4), lambda: pggan.Discriminator(shape)):
        with pytest.raises(ValueError, match="8 pixels a side or more"):
            make()
