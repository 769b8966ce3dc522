"""StyleGAN2: the published parameter counts, both forms written out, styles, and second derivatives."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gansmith.data.dataset import Batch
from gansmith.draws import Draws, use
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses.adversarial import nonsaturating
from gansmith.losses.penalties import r1
from gansmith.networks.layers import couples, run, still
from gansmith.networks.stylegan2 import Discriminator, Down, Generator

from .test_modulation import by_definition, filtered, seeded, stirred

SMALL: dict[str, Any] = {"base": 64, "most": 8}


def small(shape: tuple[int, int, int] = (1, 8, 8), classes: int = 0, **arguments: Any) -> Generator:
    return Generator(shape, 5, classes, **{**SMALL, "width_w": 6, "mapping_layers": 2, **arguments})


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# --- as published ----------------------------------------------------------------------------------


def test_at_256_pixels_it_has_the_published_parameters():
    # The tables that the ADA authors' code prints: 24.77M and 24.00M, buffers apart.
    with torch.device("meta"):
        generator, discriminator = Generator((3, 256, 256), 512), Discriminator((3, 256, 256))
        wide = Generator((3, 1024, 1024), 512, base=32768), Discriminator((3, 1024, 1024), base=32768)
    assert parameters(generator) == 24_767_458
    assert parameters(discriminator) == 24_001_089
    # And config F at 1024 pixels, as the tables of the first authors' code have it.
    assert [parameters(network) for network in wide] == [30_370_060, 29_012_513]
    assert generator.layers == 14
    # Buffers: the mean of w, and a constant noise for each of 13 layers.
    maps = 16 + sum(2 * side**2 for side in (8, 16, 32, 64, 128, 256))
    assert sum(b.numel() for b in generator.buffers()) == 512 + maps
    assert not list(discriminator.buffers())


def test_parameters_of_a_layer_by_hand():
    with torch.device("meta"):
        generator = Generator((3, 256, 256), 512)
    first = generator.first
    assert parameters(first) == (512 * 512 + 512) + 512 * 512 * 9 + 512 + 1 == 2_622_465
    assert parameters(generator.images[0]) == (512 * 512 + 512) + 512 * 3 + 3 == 264_195
    assert parameters(generator.mapping) == 8 * (512 * 512 + 512)


@pytest.mark.parametrize(
    ("side", "base", "widths"),
    [(256, 16384, [512] * 4 + [256, 128, 64]), (256, 32768, [512] * 5 + [256, 128]), (32, 1024, [256, 128, 64, 32]),
     (28, 1024, [256, 128, 64])],
)  # fmt: skip
def test_channels_halve_as_the_side_doubles(side: int, base: int, widths: list[int]):
    with torch.device("meta"):
        generator, discriminator = Generator((1, side, side), 8, base=base), Discriminator((1, side, side), base=base)
    assert [generator.first.convolution.weight.shape[0]] + [
        block.second.convolution.weight.shape[0] for block in generator.blocks  # type: ignore[union-attr]
    ] == widths  # fmt: skip
    assert [block.first.weight.shape[0] for block in discriminator.blocks] == widths[:0:-1]  # type: ignore[union-attr]
    assert discriminator.feature_width == widths[0]


# --- any size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["skip", "residual"])
@pytest.mark.parametrize("shape", [(1, 5, 5), (2, 8, 21), (3, 28, 28), (4, 16, 40)], ids=str)
def test_any_size_in_both_forms(shape: tuple[int, int, int], form: str):
    torch.manual_seed(0)
    generator = small(shape, 3, form=form, squash=True)
    discriminator = Discriminator(shape, 3, form=form, **SMALL)
    labels = torch.tensor([0, 2])
    fake = generator(torch.randn(2, 5), labels)
    assert fake.shape == (2, *shape)
    assert fake.abs().max() <= 1
    logits = discriminator(fake, labels)
    assert logits.shape == (2,)
    logits.sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    # A conditional pair without labels is a pair of the mean class.
    assert discriminator(generator(torch.randn(2, 5))).isfinite().all()


@pytest.mark.parametrize(
    ("which", "arguments", "said"),
    [
        (Generator, {"shape": (2,)}, "makes images"),
        (Generator, {"form": "dense"}, "form is `skip` or `residual`, not 'dense'"),
        (Generator, {"mixing": 2}, "mixing is a probability, not 2"),
        (Generator, {"mapping_layers": 0}, "mapping_layers must be 1 or more"),
        (Generator, {"base": 0}, "base and most are numbers of channels above 0"),
        (Discriminator, {"shape": (2,)}, "makes images"),
        (Discriminator, {"form": "orig"}, "form is `skip` or `residual`, not 'orig'"),
        (Discriminator, {"group": -1}, "group is a number of examples, not -1"),
    ],
)
def test_what_does_not_fit_is_refused(which: type[nn.Module], arguments: dict[str, Any], said: str):
    given = {"shape": (1, 8, 8), **({"noise": 4} if which is Generator else {}), **arguments}
    with pytest.raises(ValueError, match=said):
        which(**given)


# --- written out -----------------------------------------------------------------------------------


def equal(layer: nn.Module, x: torch.Tensor, padding: int = 0, stride: int = 1, gain: float = 1.0) -> torch.Tensor:
    """An equalised convolution."""
    weight = layer.weight / math.sqrt(layer.weight[0].numel())  # type: ignore[operator, index]
    return F.conv2d(x, weight, layer.bias, stride, padding) * gain  # type: ignore[arg-type]


def phi(x: torch.Tensor) -> torch.Tensor:
    return math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)


def twice(x: torch.Tensor) -> torch.Tensor:
    spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    spread[:, :, ::2, ::2] = x
    return 4 * filtered(spread, 2)[:, :, :-1, :-1]


def half(x: torch.Tensor) -> torch.Tensor:
    return filtered(x, 1)[:, :, ::2, ::2]


@pytest.mark.parametrize("form", ["skip", "residual"])
def test_the_synthesis_is_its_formula(form: str):
    generator = stirred(small((2, 17, 16), form=form, most=4)).eval()
    assert isinstance(generator, Generator)
    styles = seeded(3, generator.layers, 6)

    def styled(layer: Any, x: torch.Tensor, at: int) -> torch.Tensor:
        style = styles[:, at] @ layer.style.weight.T / math.sqrt(6) + layer.style.bias
        if not hasattr(layer, "noise"):
            return by_definition(layer.convolution, x, style, None, 1.0)
        return phi(by_definition(layer.convolution, x, style, layer.noise.constant * layer.noise.strength, 1.0))

    x = styled(generator.first, generator.start.expand(3, -1, -1, -1), 0)
    image = styled(generator.images[0], x, 1) if form == "skip" else 0.0
    for i, block in enumerate(generator.blocks):
        inner = styled(block.second, styled(block.first, x, 1 + 2 * i), 2 + 2 * i)
        if form == "skip":
            x = inner
            image = twice(image) + styled(generator.images[i + 1], x, 3 + 2 * i)
        else:
            x = (inner + twice(equal(block.shortcut, x))) / math.sqrt(2)
    image = image if form == "skip" else styled(generator.images[0], x, generator.layers - 1)
    assert (generator.layers, image.shape) == (6, (3, 2, 20, 16))
    torch.testing.assert_close(generator.synthesis(styles), image[:, :, :17], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", ["skip", "residual"])
def test_the_discriminator_is_its_formula(form: str):
    discriminator = stirred(Discriminator((2, 8, 8), 3, form=form, group=2, mapping_layers=2, **SMALL))
    assert isinstance(discriminator, Discriminator)
    image, labels = seeded(4, 2, 8, 8), torch.tensor([2, 0, 0, 1])
    x = phi(equal(discriminator.stems[0], image))
    for i, block in enumerate(discriminator.blocks):
        inner = phi(equal(block.first, x, 1))
        inner = phi(equal(block.second, filtered(inner, 2), stride=2))
        if form == "skip":
            image = half(image)
            x = inner + phi(equal(discriminator.stems[i + 1], image))
        else:
            x = (inner + equal(block.shortcut, half(x))) / math.sqrt(2)
    apart = [x[2 * i : 2 * i + 2].var(0, correction=0).add(1e-8).sqrt().mean() for i in range(2)]
    channel = torch.stack([apart[i // 2].expand(1, 4, 4) for i in range(4)])
    x = phi(equal(discriminator.convolution, torch.cat([x, channel], 1), 1))
    flat = x.permute(0, 2, 3, 1).flatten(1)
    dense, last = discriminator.dense, discriminator.last
    features = phi(flat @ dense.weight.T / math.sqrt(flat.shape[1]) + dense.bias)
    out = features @ last.weight.T / math.sqrt(features.shape[1]) + last.bias
    assert discriminator.mapping is not None
    expected = (out * discriminator.mapping(out, labels)).sum(1) / math.sqrt(out.shape[1])
    torch.testing.assert_close(discriminator(seeded(4, 2, 8, 8), labels), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(discriminator.features(seeded(4, 2, 8, 8)), features, rtol=1e-9, atol=1e-9)


def test_a_rank_whose_share_is_whole_groups_finds_what_one_rank_finds():
    discriminator = stirred(Discriminator((1, 8, 8), **SMALL))
    x = seeded(8, 1, 8, 8)
    assert couples(discriminator)
    assert torch.allclose(discriminator(x)[4:], discriminator(x[4:]))
    assert not torch.allclose(discriminator(x)[6:], discriminator(x[6:]))


def test_without_groups_each_example_is_judged_by_itself():
    discriminator = stirred(Discriminator((1, 8, 8), group=0, **SMALL))
    x = seeded(3, 1, 8, 8)
    assert not couples(discriminator)
    assert torch.allclose(discriminator(x)[:1], discriminator(x[:1]))


# --- styles ----------------------------------------------------------------------------------------


def test_in_use_an_image_is_a_function_of_the_noise():
    generator = stirred(small((1, 16, 16))).eval()
    assert isinstance(generator, Generator)
    z = seeded(3, 5)
    styles = generator.styles(z)
    assert styles.shape == (3, generator.layers, 6)
    assert all(torch.equal(styles[:, i], generator.mapping(z)) for i in range(generator.layers))
    assert torch.equal(generator(z), generator(z))
    assert torch.equal(generator(z), generator.synthesis(styles))
    assert torch.allclose(generator(z)[1:], generator(z[1:]))
    # As it does after a trip through a checkpoint: the constant noise is saved.
    other = stirred(small((1, 16, 16))).eval()
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other(z), generator(z))


def test_finer_layers_take_the_styles_of_other_noise():
    generator = small((1, 16, 16), mixing=0.5).train()
    n, z = 600, torch.randn(600, 5, generator=torch.Generator().manual_seed(0))
    with use(Draws(0, 0, n)), torch.no_grad():
        styles, again = generator.styles(z), generator.styles(z)
        one = generator.mapping(z)
        other = generator.mapping(Draws(0, 0, n).normal("mixed noise", 5))
    assert torch.equal(styles, again)
    own = (styles == one[:, None]).all(2)
    assert torch.equal(own, own.cummin(1).values)  # the first so many are its own
    assert torch.equal(styles[~own], other[:, None].expand(-1, generator.layers, -1)[~own])
    kept = own.sum(1)
    counts = kept.bincount(minlength=generator.layers + 1)
    assert counts[0] == 0
    assert counts[-1].item() == pytest.approx(n / 2, abs=4 * math.sqrt(n / 4))
    each = n / 2 / (generator.layers - 1)
    assert all(abs(c - each) < 4 * math.sqrt(each) for c in counts[1:-1].tolist())
    with use(Draws(0, 0, n, start=100, stop=200)), torch.no_grad():
        assert torch.allclose(generator.styles(z[100:200]), styles[100:200], atol=1e-6)
    assert (small(mixing=0.0).train().styles(z).diff(dim=1) == 0).all()


def test_the_mean_of_w_follows_the_batches_that_are_no_repeats():
    generator = stirred(small()).train()
    assert isinstance(generator, Generator)
    z = seeded(64, 5)
    w = generator.mapping(z).detach().mean(0)
    for _ in range(2):
        generator.styles(z)
    expected = 0.005 * w + 0.995 * 0.005 * w
    assert torch.allclose(generator.w_mean, expected[None])
    with still():
        generator(z)
    generator.eval()(z)
    assert torch.allclose(generator.w_mean, expected[None])


def test_each_class_has_a_mean_of_its_own():
    generator = stirred(small(classes=3)).train()
    assert isinstance(generator, Generator)
    z, labels = seeded(6, 5), torch.tensor([2, 0, 2, 2, 0, 2])
    generator.w_mean.copy_(seeded(3, 6, seed=1))
    before = generator.w_mean.clone()
    w = generator.mapping(z, labels).detach()
    generator.styles(z, labels)
    means = torch.stack([w[labels == c].mean(0) if c != 1 else before[1] for c in range(3)])
    assert torch.allclose(generator.w_mean, before + 0.005 * (means - before))


def test_truncation_draws_w_to_its_mean():
    generator = stirred(small((1, 8, 8), 3)).eval()
    assert isinstance(generator, Generator)
    generator.w_mean.normal_()
    z, labels = seeded(3, 5), torch.tensor([0, 2, 1])
    assert torch.allclose(generator.truncated(z, labels, 1.0), generator(z, labels))
    assert torch.allclose(generator.truncated(z, None, 1.0), generator(z))

    def image(w: torch.Tensor) -> torch.Tensor:
        return generator.synthesis(w[:, None].expand(-1, generator.layers, -1))

    middle = generator.w_mean[labels]
    assert torch.allclose(generator.truncated(z, labels, 0.0), image(middle))
    w = middle + 0.3 * (generator.mapping(z, labels) - middle)
    assert torch.allclose(generator.truncated(z, labels, 0.3), image(w))
    mean = generator.w_mean.mean(0, keepdim=True)
    assert torch.allclose(generator.truncated(z, None, 0.3), image(mean + 0.3 * (generator.mapping(z) - mean)))


def test_a_path_length_reaches_the_mapping_and_the_synthesis():
    generator = stirred(small((1, 8, 8))).train()
    assert isinstance(generator, Generator)
    z = seeded(4, 5)
    with use(Draws(0, 0, 4)):
        styles = generator.styles(z)
        image = generator.synthesis(styles)
    (slope,) = torch.autograd.grad((image * seeded(*image.shape, seed=1)).sum(), styles, create_graph=True)
    assert slope.shape == (4, generator.layers, 6)
    length = slope.square().sum(2).mean(1).sqrt()
    grads = torch.autograd.grad((length - 1).square().sum(), list(generator.parameters()), allow_unused=True)
    for (name, _), gradient in zip(generator.named_parameters(), grads, strict=True):
        if not name.startswith("images") or not name.endswith("convolution.bias"):  # of which an image is a shift
            assert gradient is not None, name
            assert gradient.isfinite().all(), name


# --- second derivatives, precisions ----------------------------------------------------------------


@pytest.mark.parametrize("residual", [False, True])
def test_a_shrinking_block_differentiates_twice(residual: bool):
    block = stirred(Down(2, 3, residual))
    names, values = zip(*block.named_parameters(), strict=True)
    x = seeded(2, 2, 4, 4).requires_grad_()

    def play(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(block, dict(zip(names, values, strict=True)), (x,))

    # An activation's bend between two nearby points would spoil a difference; none lies so near here.
    assert gradcheck(play, (x, *values), fast_mode=True)
    assert gradgradcheck(play, (x, *values), fast_mode=True)


def r1_step(form: str, classes: int) -> tuple[Synthesis, Turn]:
    generator = small((2, 8, 8), classes, mapping_layers=1)
    discriminator = Discriminator((2, 8, 8), classes, form=form, group=2, mapping_layers=1, **SMALL)
    game = Synthesis(generator, discriminator, loss=nonsaturating(), penalties={"r1": Lazy(r1())}, noise=5)
    stirred(game).train()
    labels = torch.tensor([0, 2, 1, 1]) if classes else None
    turn = Turn(Batch(seeded(4, 2, 8, 8), labels), Draws(0, 0, 4, prefix="discriminator"), {"r1": 3.0})
    return game, turn


@pytest.mark.parametrize(("form", "classes"), [("skip", 0), ("residual", 3)])
def test_r1_traced_and_eager_agree_with_autograd(form: str, classes: int):
    game, turn = r1_step(form, classes)
    assert not game.joint_pass
    targets = list(game.discriminator.parameters())
    found = [Eager(game)("discriminator", turn, targets).grads]
    moved = game.generator.w_mean.clone()
    assert moved.any()
    if form == "residual":  # tracing takes a while
        game.generator.w_mean.zero_()
        found.append(Compiled(game, lambda graph: graph)("discriminator", turn, targets).grads)
        assert torch.equal(game.generator.w_mean, moved)
    # The same in plain autograd, of the fakes of the same draws.
    drawn = Draws(0, 0, 4, prefix="fakes")
    with use(drawn), still():
        fake = game.generator(drawn.normal("noise", 5).double(), turn.batch.labels).detach()
    real = turn.batch.data.clone().requires_grad_()
    on_real = game.discriminator(real, turn.batch.labels)
    (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
    loss = F.softplus(-on_real) + F.softplus(game.discriminator(fake, turn.batch.labels))
    loss = loss + 3.0 * 0.5 * slope.square().sum((1, 2, 3))
    wanted = torch.autograd.grad(loss.mean(), targets)
    for grads in found:
        for mine, theirs in zip(grads, wanted, strict=True):
            assert mine is not None
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11 * float(theirs.abs().max()))


def test_both_moves_trace_in_training():
    game, turn = r1_step("residual", 3)
    turn = Turn(turn.batch, Draws(0, 0, 4, prefix="generator"), turn.knobs)
    targets = list(game.generator.parameters())
    eager = Eager(game)("generator", turn, targets).grads
    traced = Compiled(game, lambda graph: graph)("generator", turn, targets).grads
    for mine, theirs in zip(traced, eager, strict=True):
        assert mine is not None
        assert theirs is not None
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)
        assert theirs.any()


@pytest.mark.parametrize("form", ["skip", "residual"])
def test_in_bf16_all_is_finite(form: str):
    torch.manual_seed(0)
    generator = small((3, 16, 16), 3, form=form).train()
    discriminator = Discriminator((3, 16, 16), 3, form=form, **SMALL)
    labels, z = torch.tensor([0, 2]), torch.randn(2, 5)
    generator.eval()
    wide = run(generator, z, labels)
    judged = run(discriminator, wide, labels, logits=True)
    for network in (generator, discriminator):
        for p in network.parameters():
            p.data = p.data.bfloat16()
    near = run(generator, z, labels)
    assert near.dtype == torch.bfloat16
    assert (near.float() - wide).abs().max() < 0.06 * wide.abs().max()
    assert torch.allclose(run(discriminator, wide, labels, logits=True), judged, rtol=0.1, atol=0.05)
    generator.train()
    fake = run(generator, z, labels)
    logits = run(discriminator, fake, labels, logits=True)
    assert logits.dtype == torch.float32
    grads = torch.autograd.grad(logits.sum(), [*generator.parameters(), *discriminator.parameters()])
    assert all(g.isfinite().all() for g in grads)
    assert generator.w_mean.dtype == torch.float32
    assert generator.w_mean.any()
