"""FastGAN: the authors' layout counted by hand, each part against its formula, patches, noise and reconstructions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gansmith.data.dataset import Batch
from gansmith.draws import Draws, use
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.synthesis import Synthesis
from gansmith.losses.adversarial import hinge
from gansmith.networks.fastgan import Decoder, Discriminator, Excitation, Generator, Grow, Noise, Shrink
from gansmith.networks.layers import SpectralConv2d, SpectralLinear, couples, run, still


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


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


# --- the authors' layout ---------------------------------------------------------------------------


def grow(a: int, b: int, twice: bool) -> int:
    second = b * 2 * b * 9 + 4 * b + 2
    return a * 2 * b * 9 + 4 * b + (second if twice else 0)


def excitation(a: int, b: int) -> int:
    return a * b * 16 + b * b


@pytest.mark.parametrize(("side", "total"), [(256, 29_127_654), (512, 29_174_200), (1024, 29_176_320)])
def test_the_generator_has_the_parameters_of_its_layers(side: int, total: int):
    # By hand of the authors' code; without its second 1x1 head, which makes an image of 128 pixels.
    counted = 256 * 2048 * 16 + 2 * 2048
    widths, twice = [1024, 512, 256, 128, 128, 64, 32, 16, 8], [True, False] * 4
    number = {256: 6, 512: 7, 1024: 8}[side]
    for a, b, second in list(zip(widths, widths[1:], twice, strict=False))[:number]:
        counted += grow(a, b, second)
    pairs = [(1024, 128), (512, 64), (256, 32), (128, 16)]
    counted += sum(excitation(a, b) for a, b in pairs[: min(number, 7) - 3]) + widths[number] * 3 * 9
    assert counted == total
    with torch.device("meta"):
        generator = Generator((3, side, side), 256)
    assert parameters(generator) == counted
    assert [(e.first.in_channels, e.first.out_channels) for e in generator.excitations] == pairs[: min(number, 7) - 3]  # type: ignore[union-attr]


@pytest.mark.parametrize("side", [256, 1024])
def test_the_discriminator_has_the_parameters_of_its_layers(side: int):
    def halving(a: int, b: int) -> int:
        return a * b * 16 + 2 * b

    def shrink(a: int, b: int) -> int:
        return halving(a, b) + (b * b * 9 + 2 * b) + (a * b + 2 * b)

    def decoder(a: int) -> int:
        return sum(grow(x, y, False) for x, y in [(a, 128), (128, 64), (64, 64), (64, 32)]) + 32 * 3 * 9

    stem = 3 * 16 * 9 if side == 256 else 3 * 8 * 16 + halving(8, 16)
    large = sum(shrink(a, 2 * a) for a in (16, 32, 64, 128, 256))
    large += excitation(16, 128) + excitation(32, 256) + excitation(64, 512) + 512 * 1024 + 2 * 1024 + 1024 * 16
    small = 3 * 32 * 16 + sum(halving(a, 2 * a) for a in (32, 64, 128)) + 256 * 16
    counted = stem + large + small + decoder(512) + 2 * decoder(256)
    with torch.device("meta"):
        discriminator = Discriminator((3, side, side))
        assert discriminator.feature_width == 512 * 64 + 256 * 64
        assert discriminator(torch.empty(2, 3, side, side)).shape == (2, 25 + 25)
    assert parameters(discriminator) == counted


def test_all_weights_are_spectral():
    for network in (Generator((1, 32, 32), 8, 3, width=2), Discriminator((1, 32, 32), 3, width=2)):
        bare = [name for name, m in network.named_modules() if type(m) in (nn.Linear, nn.Conv2d)]
        assert bare == (["start.embedding"] if isinstance(network, Generator) else [])
        for layer in network.modules():
            if isinstance(layer, SpectralConv2d | SpectralLinear):
                largest = torch.linalg.matrix_norm(layer.norm(layer.weight).flatten(1), 2)
                assert largest.item() == pytest.approx(1, rel=0.1)


# --- shapes ----------------------------------------------------------------------------------------

SHAPES = [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32), (3, 32, 32), (1, 64, 80), (3, 130, 140)]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_and_any_channels(shape: tuple[int, int, int], classes: int):
    torch.manual_seed(0)
    generator, discriminator = Generator(shape, 5, classes, width=2), Discriminator(shape, classes, width=2)
    labels = torch.tensor([0, 2]) if classes else None
    fake = generator(torch.randn(2, 5), labels)
    assert fake.shape == (2, *shape)
    assert fake.abs().max() <= 1
    logits = discriminator(fake, labels)
    assert logits.shape[0] == 2
    assert logits.shape[1] > 1
    features = discriminator.features(fake)
    assert features.shape == (2, discriminator.feature_width)
    pairs = discriminator.reconstructions(fake.detach())
    side = min(128, 1 << min(shape[1:]).bit_length() - 1)
    assert [tuple(x.shape) for pair in pairs for x in pair] == [(2, shape[0], side, side)] * 6
    (logits.sum() + sum((made - wanted).square().sum() for made, wanted in pairs)).backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_what_does_not_fit_is_refused():
    for shape in ((1, 7, 8), (2,)):
        for make in (lambda shape=shape: Generator(shape, 4), lambda shape=shape: Discriminator(shape)):
            with pytest.raises(ValueError, match="8 pixels a side or more"):
                make()


def test_labels_matter():
    torch.manual_seed(0)
    generator, discriminator = Generator((1, 8, 8), 6, 3, width=2), Discriminator((1, 8, 8), 3, width=2)
    noise, x, a, b = torch.randn(2, 6), torch.randn(2, 1, 8, 8), torch.tensor([0, 1]), torch.tensor([2, 1])
    assert not torch.equal(generator(noise, a)[0], generator(noise, b)[0])
    with still():
        moved = discriminator(x, a) - discriminator(x, b)
    assert moved[0].abs().min() > 0
    assert torch.allclose(moved[0], moved[0, :1].expand(moved.shape[1]), atol=1e-6)  # alike at each patch
    assert not moved[1].any()


# --- parts, written out ----------------------------------------------------------------------------


def plain(network: nn.Module) -> nn.Module:
    """Without spectral norm: each becomes the identity."""
    for module in network.modules():
        if isinstance(module, SpectralConv2d | SpectralLinear):
            module.norm = nn.Identity()  # type: ignore[assignment]
    return network


def normal(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    weight, bias = norm.weight.view(1, -1, 1, 1), norm.bias.view(1, -1, 1, 1)  # type: ignore[operator, union-attr]
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def gated(x: torch.Tensor) -> torch.Tensor:
    half = x.shape[1] // 2
    return x[:, :half] / (1 + (-x[:, half:]).exp())


def leaky(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize("size", [None, (6, 10)])
def test_a_growing_grid_is_its_formula(size: tuple[int, int] | None):
    block = plain(stirred(Grow(3, 2, size)))
    for module in block.modules():
        if isinstance(module, Noise):
            module.eval()
    x = seeded(2, 3, 3, 5)
    layers = list(block.layers)  # type: ignore[arg-type]
    out = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for i in (1, 5) if size else (1,):
        out = F.conv2d(out, layers[i].weight, padding=1)
        if size:
            out = out + layers[i + 1].numbers.strength * layers[i + 1].numbers.constant
        out = gated(normal(out, layers[i + 2 if size else i + 1]))
    assert len(layers) == (9 if size else 4)
    assert torch.allclose(block(x), out)


@pytest.mark.parametrize("size", [(8, 12), (5, 4)])
def test_an_excitation_is_its_formula(size: tuple[int, int]):
    block = plain(stirred(Excitation(3, 4)))
    assert isinstance(block, Excitation)
    low, high = seeded(2, 3, *size), seeded(2, 4, 6, 6, seed=1)
    expected = torch.empty_like(high)
    for b in range(2):
        parts = torch.empty(3, 4, 4, dtype=torch.float64)
        for i in range(4):
            for j in range(4):
                rows = slice(i * size[0] // 4, -(-(i + 1) * size[0] // 4))
                columns = slice(j * size[1] // 4, -(-(j + 1) * size[1] // 4))
                parts[:, i, j] = low[b, :, rows, columns].mean((1, 2))
        inner = (block.first.weight * parts).sum((1, 2, 3))
        inner = block.second.weight[:, :, 0, 0] @ (inner * inner.sigmoid())
        expected[b] = inner.sigmoid()[:, None, None] * high[b]
    assert torch.allclose(block(low, high), expected)


def test_a_shrinking_grid_is_its_formula():
    block = plain(stirred(Shrink(3, 4)))
    assert isinstance(block, Shrink)
    x = seeded(2, 3, 4, 6)
    first, norm_a, _, second, norm_b, _ = block.main
    main = leaky(normal(F.conv2d(x, first.weight, stride=2, padding=1), norm_a))  # type: ignore[arg-type]
    main = leaky(normal(F.conv2d(main, second.weight, padding=1), norm_b))  # type: ignore[arg-type]
    means = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
    _, one, norm_c, _ = block.direct
    direct = leaky(normal(F.conv2d(means, one.weight), norm_c))  # type: ignore[arg-type]
    assert torch.allclose(block(x), (main + direct) / 2)


def test_a_generator_weights_each_grid_by_the_fourth_before():
    torch.manual_seed(0)
    generator = Generator((1, 128, 128), 4, width=2)
    seen = []
    for module in generator.excitations:
        module.register_forward_hook(lambda _, given, __: seen.append(tuple(x.shape[2] for x in given)))
    generator(torch.randn(2, 4))
    assert seen == [(4, 64), (8, 128)]
    with torch.device("meta"):
        assert [len(Generator((1, s, s), 4, width=8).excitations) for s in (8, 32, 64, 256, 512, 1024)] == [
            1, 1, 1, 3, 4, 4,
        ]  # fmt: skip


@pytest.mark.parametrize("part", [lambda: Grow(2, 2), lambda: Shrink(2, 2), lambda: Excitation(2, 2)],
                         ids=["grow", "shrink", "excitation"])  # fmt: skip
def test_parts_differentiate_twice(part: object):
    block = stirred(part())  # type: ignore[operator]
    x = seeded(2, 2, 4, 4).requires_grad_()
    names, values = zip(*block.named_parameters(), strict=True)

    def play(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        given = (x, x) if isinstance(block, Excitation) else (x,)
        with still():  # the same singular vectors each time
            return torch.func.functional_call(block, dict(zip(names, values, strict=True)), given)

    assert gradcheck(play, (x, *values), fast_mode=True)
    assert gradgradcheck(play, (x, *values), fast_mode=True)


# --- noise -----------------------------------------------------------------------------------------


def test_noise_is_a_draw_in_training_and_fixed_otherwise():
    torch.manual_seed(0)
    layer, x = Noise(5, 3, 5), torch.randn(4, 2, 3, 5)
    assert torch.equal(layer(x), x)  # its weight is 0 at first
    nn.init.constant_(layer.numbers.strength, 0.5)
    with use(Draws(3, 8, 4)):
        added = (layer(x) - x) / 0.5
    assert torch.allclose(added, Draws(3, 8, 4).normal("layer 5", 1, 3, 5).expand(4, 2, 3, 5), atol=1e-5)
    with use(Draws(3, 8, 4)):
        assert torch.equal(layer.eval()(x), x + 0.5 * layer.numbers.constant)
    places = [m.numbers.place for m in Generator((1, 64, 64), 4, width=2).modules() if isinstance(m, Noise)]
    assert places == [2, 3, 6, 7]


# --- the discriminator -----------------------------------------------------------------------------


def test_a_loss_is_the_mean_over_patches():
    torch.manual_seed(0)
    discriminator = Discriminator((1, 16, 16), width=2)
    assert couples(discriminator)
    game = Synthesis(Generator((1, 16, 16), 4, width=2), discriminator, loss=hinge(), noise=4).double()
    turn = Turn(Batch(seeded(4, 1, 16, 16)), Draws(0, 0, 4))
    targets = list(discriminator.parameters())
    before = {name: b.clone() for name, b in game.named_buffers()}
    eager = Eager(game)("discriminator", turn, targets)
    on_real, on_fake = eager.terms["watched/on_real"], eager.terms["watched/on_fake"]
    assert on_real.shape == on_fake.shape == (4, 25 + 25)
    assert torch.allclose(eager.terms["adversarial"], (1 - on_real).relu() + (1 + on_fake).relu())
    for name, buffer in game.named_buffers():
        buffer.copy_(before[name])
    traced = Compiled(game, lambda graph: graph)("discriminator", turn, targets)
    assert torch.allclose(eager.terms["adversarial"], traced.terms["adversarial"])
    for a, b in zip(eager.grads, traced.grads, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-12)  # type: ignore[arg-type]
    idle = [name for (name, _), g in zip(discriminator.named_parameters(), eager.grads, strict=True) if g is None]
    assert {name.split(".")[0] for name in idle} == {"decoders"}  # which no adversarial loss asks for


def test_the_halves_are_the_whole():
    torch.manual_seed(0)
    discriminator = Discriminator((2, 20, 33), 3, width=2).eval()
    x, labels = torch.randn(3, 2, 20, 33), torch.tensor([0, 2, 1])
    assert torch.equal(discriminator.logits(discriminator.features(x), labels), discriminator(x, labels))


def test_what_is_to_be_reconstructed_is_the_whole_twice_and_a_quarter():
    torch.manual_seed(0)
    discriminator = Discriminator((1, 64, 64), width=2).eval()
    x = torch.randn(4, 1, 64, 64)
    (_, whole), (_, again), (_, quarter) = discriminator.reconstructions(x)
    assert torch.equal(whole, x)
    assert torch.equal(again, x)
    quarters = [x[0, :, :32, :32], x[1, :, :32, 32:], x[2, :, 32:, :32], x[3, :, 32:, 32:]]  # in turn
    # Its 32 pixels are decoded to 64: each is a square of four.
    assert torch.allclose(quarter, torch.stack(quarters).repeat_interleave(2, 2).repeat_interleave(2, 3))
    with use(Draws(5, 0, 4)):
        drawn = discriminator.reconstructions(x)[2][1]
    which = Draws(5, 0, 4).integers("quarter", 4)
    for i, k in enumerate(which.tolist()):
        top, left = 32 * (k // 2), 32 * (k % 2)
        assert torch.allclose(drawn[i, :, ::2, ::2], x[i, :, top : top + 32, left : left + 32])


def test_what_decodes_a_quarter_sees_only_that_quarter():
    torch.manual_seed(0)
    discriminator = Discriminator((1, 32, 32), width=2).eval()
    x = torch.randn(1, 1, 32, 32, requires_grad=True)
    made = discriminator.reconstructions(x)[2][0]  # of the upper left
    (slope,) = torch.autograd.grad(made.sum(), x)
    assert slope[..., :16, :16].any()
    # A grid of 16 pixels of 32, whose own convolutions reach a few pixels across the border.
    assert not slope[..., 24:, 24:].any()


def test_the_decoders_learn():
    torch.manual_seed(0)
    discriminator = Discriminator((1, 16, 16), width=4)
    x = torch.zeros(8, 1, 16, 16)
    for i in range(8):
        x[i, 0, 2 * i : 2 * i + 2] = 1.0
    optimizer, errors = torch.optim.Adam(discriminator.parameters(), 2e-2, (0.5, 0.999)), []
    for _ in range(25):
        pairs = discriminator.reconstructions(x)
        error = sum((made - wanted).square().mean() for made, wanted in pairs)
        optimizer.zero_grad()
        error.backward()  # type: ignore[union-attr]
        optimizer.step()
        errors.append(error.item())  # type: ignore[union-attr]
    assert errors[-1] < 0.4 * errors[0]


def test_a_decoder_ends_in_tanh():
    decoder = Decoder(4, 3, 2, 2)
    assert decoder(100 * torch.randn(2, 4, 5, 7)).shape == (2, 3, 32, 32)
    assert decoder(100 * torch.randn(2, 4, 5, 7)).abs().max() <= 1


def test_in_bf16_all_is_finite():
    torch.manual_seed(0)
    generator, discriminator = Generator((3, 16, 16), 5, 3, width=2), Discriminator((3, 16, 16), 3, width=2)
    for network in (generator, discriminator):
        for p in network.parameters():
            p.data = p.data.bfloat16()
    fake = run(generator, torch.randn(2, 5), torch.tensor([0, 2]))
    assert fake.dtype == torch.bfloat16
    logits = run(discriminator, fake, torch.tensor([0, 2]), logits=True)
    pairs = discriminator.reconstructions(torch.randn(2, 3, 16, 16))
    loss = logits.sum() + sum((made - wanted).float().square().sum() for made, wanted in pairs)
    grads = torch.autograd.grad(loss, [*generator.parameters(), *discriminator.parameters()])
    assert all(g.isfinite().all() for g in grads)
