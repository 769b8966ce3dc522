"""BigGAN and BigGAN-deep: published parameter counts, the paper's tables, and blocks against their formulas."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.synthesis import Synthesis
from gansmith.losses.adversarial import hinge
from gansmith.networks.biggan import ConditionalNorm, DeepDown, DeepUp, Discriminator, Generator
from gansmith.networks.layers import SpectralConv2d, SpectralLinear, couples, run, still
from gansmith.networks.residual import Attention, Down, Up

FORMS = ("wide", "deep")


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


# --- what is published -----------------------------------------------------------------------------


def test_on_imagenet_at_128_it_has_the_published_parameters():
    # As the tests of compare_gan (Google, 2019), a reconstruction of both papers' networks, have them.
    shape = (3, 128, 128)
    with torch.device("meta"):
        assert parameters(Generator(shape, 120, 1000, spectral=False)) == 70_433_988
        assert parameters(Discriminator(shape, 1000, spectral=False)) == 87_982_370
        assert parameters(Generator(shape, 128, 1000, width=128, form="deep", spectral=False)) == 50_244_484
        assert parameters(Discriminator(shape, 1000, width=128, form="deep", spectral=False)) == 34_590_210
        # The authors' last convolution has 128 outputs, of which three are the image: that is where the 50.4 million
        # come from that BigGAN-deep is said to have.
        of_128 = Generator((128, 128, 128), 128, 1000, width=128, form="deep", spectral=False)
        assert round(parameters(of_128) / 1e6, 1) == 50.4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("side", "base", "multiples"),
    [(8, 4, [4] * 2), (28, 7, [4] * 3), (32, 4, [4] * 4), (48, 6, [16, 16, 8, 4]), (64, 4, [16, 16, 8, 4, 2]),
     (128, 4, [16, 16, 8, 4, 2, 1]), (256, 4, [16, 16, 8, 8, 4, 2, 1]), (512, 4, [16, 16, 8, 8, 4, 2, 1, 1])],
)  # fmt: skip
def test_the_generators_widths_are_those_of_the_tables(side: int, base: int, multiples: list[int], form: str):
    with torch.device("meta"):
        generator = Generator((3, side, side), 128, width=8, form=form, spectral=False)
    widths = [8 * multiple for multiple in multiples]
    assert generator.base == (base, base)
    assert generator.first.out_features == base * base * widths[0]
    found: list[tuple[int, int]] = []
    for blocks in generator.grids:
        for block in blocks.children():
            if isinstance(block, Up):
                found.append((block.first.in_channels, block.second.out_channels))
            else:
                assert isinstance(block, DeepUp)
                found.append((block.layers[0].in_channels, block.outputs))  # type: ignore[arg-type]
    steps = list(pairwise(widths))
    assert found == (steps if form == "wide" else [pair for a, b in steps for pair in ((a, a), (a, b))])


@pytest.mark.parametrize(
    ("side", "form", "multiples", "halving"),
    [
        (28, "wide", [0, 4, 4, 4, 4], "1100"), (32, "wide", [0, 4, 4, 4, 4], "1100"),
        (32, "deep", [4] * 7, "101000"), (64, "wide", [0, 2, 4, 8, 16, 16], "11110"),
        (64, "deep", [2, 4, 4, 8, 8, 16, 16, 16, 16], "10101010"),
        (128, "wide", [0, 1, 2, 4, 8, 16, 16], "111110"),
        (128, "deep", [1, 2, 2, 4, 4, 8, 8, 16, 16, 16, 16], "1010101010"),
        (256, "wide", [0, 1, 2, 4, 8, 8, 16, 16], "1111110"),
        (256, "deep", [1, 2, 2, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16], "101010101010"),
    ],
)  # fmt: skip
def test_the_discriminators_widths_are_those_of_the_tables(side: int, form: str, multiples: list[int], halving: str):
    with torch.device("meta"):
        discriminator = Discriminator((3, side, side), width=8, form=form, spectral=False)
    widths = [8 * multiple or 3 for multiple in multiples]  # 0 stands for the image
    found, halves = [], ""
    for block in discriminator.layers:
        if isinstance(block, Down | DeepDown):
            first = block.first if isinstance(block, Down) else block.layers[0]
            last = block.second if isinstance(block, Down) else block.layers[-1]
            found.append((first.in_channels, last.out_channels))  # type: ignore[union-attr]
            halves += str(int(block.halve))
            if isinstance(block, Down):
                assert block.first.out_channels == block.second.out_channels
    assert found == list(pairwise(widths))
    assert halves == halving


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("side", "of_g", "of_d"), [(128, 64, 64), (64, 32, 32), (32, 16, 16)])
def test_attention_stands_at_64_pixels(side: int, of_g: int, of_d: int, form: str):
    seen: list[tuple[int, int]] = []
    with torch.device("meta"):
        pair = (
            Generator((3, side, side), 128, width=8, form=form, spectral=False),
            Discriminator((3, side, side), width=8, form=form, spectral=False),
        )
        for network in pair:
            (attention,) = [m for m in network.modules() if isinstance(m, Attention)]
            attention.register_forward_hook(lambda m, given, _: seen.append((given[0].shape[2], given[0].shape[1])))
        pair[1](pair[0](torch.empty(2, 128)))
    assert [grid for grid, _ in seen] == [of_g, of_d]
    if side == 128:  # of 2 ch in the generator, and the deep discriminator; the other has as many as its first block
        assert [channels for _, channels in seen] == [16, 16 if form == "deep" else 8]


def test_weights_begin_orthogonal_and_so_as_their_spectral_norm_leaves_them():
    torch.manual_seed(0)
    pair = Generator((1, 8, 8), 12, 3, width=4, attention=4), Discriminator((1, 8, 8), 3, width=4, form="deep")
    count = 0
    for network in pair:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                rows = layer.weight.detach().flatten(1)
                small = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
                assert torch.allclose(small, torch.eye(len(small)), atol=1e-5)
                assert getattr(layer, "bias", None) is None or not layer.bias.any()  # type: ignore[operator, union-attr]
                count += 1
                if isinstance(layer, SpectralConv2d | SpectralLinear):
                    assert torch.allclose(layer.norm(layer.weight), layer.weight, atol=1e-4)
    assert count > 30
    assert type(pair[0].embedding) is nn.Embedding  # which orthogonal regularization leaves out


# --- where the noise enters ------------------------------------------------------------------------


def test_noise_is_split_and_each_part_joined_with_the_class():
    torch.manual_seed(0)
    generator = Generator((1, 32, 32), 120, 5, width=2, embedding=7)  # three blocks
    assert generator.parts == [30] * 4
    noise, labels = torch.randn(2, 120), torch.tensor([4, 1])
    first, *blocks = generator.conditions(noise, labels)
    assert torch.equal(first, noise[:, :30])
    assert generator.embedding is not None
    embedded = generator.embedding.weight[labels]
    for i, block in enumerate(blocks, 1):
        assert torch.allclose(block, torch.cat([noise[:, 30 * i : 30 * i + 30], embedded], 1))
    mean = generator.conditions(noise)[1][:, 30:]
    assert torch.allclose(mean, generator.embedding.weight.mean(0).expand(2, -1), atol=1e-6)


def test_what_does_not_divide_is_split_as_evenly_as_can_be():
    assert Generator((1, 32, 32), 10, width=1).parts == [3, 3, 2, 2]
    assert [c.shape[1] for c in Generator((1, 32, 32), 10, width=1).conditions(torch.zeros(1, 10))] == [3, 3, 2, 2]


def test_the_deep_form_gives_noise_and_class_whole_to_each():
    torch.manual_seed(0)
    generator = Generator((1, 32, 32), 10, 5, width=2, embedding=7, form="deep")
    noise, labels = torch.randn(2, 10), torch.tensor([4, 1])
    assert generator.embedding is not None
    whole = torch.cat([noise, generator.embedding.weight[labels]], 1)
    conditions = generator.conditions(noise, labels)
    assert len(conditions) == 4
    assert all(torch.allclose(c, whole) for c in conditions)
    assert all(torch.equal(c, noise) for c in Generator((1, 32, 32), 10, width=2, form="deep").conditions(noise))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"shape": (1, 7, 8)}, "8 pixels a side or more"),
        ({"shape": (2,)}, "8 pixels a side or more"),
        ({"shape": (1, 8, 8), "form": "big"}, "`wide` or `deep`, not 'big'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, object], said: str):
    for make in (lambda: Generator(noise=4, width=4, **arguments), lambda: Discriminator(width=4, **arguments)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=said):
            make()


def test_too_little_noise_to_split_is_refused():
    with pytest.raises(ValueError, match="split into 4 parts, for which 3 dimensions are too few"):
        Generator((1, 32, 32), 3, width=1)
    Generator((1, 32, 32), 3, width=1, form="deep")


# --- blocks, written out ---------------------------------------------------------------------------


def convolved(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)


def normed(x: torch.Tensor, norm: nn.Module, condition: torch.Tensor) -> torch.Tensor:
    """The conditional norm, one example and one channel at a time."""
    assert isinstance(norm, ConditionalNorm)
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        normal = (values - values.mean()) / (values.var(unbiased=False) + 1e-5).sqrt()
        for b, vector in enumerate(condition):
            out[b, c] = (1 + norm.scale.weight[c] @ vector) * normal[b] + norm.shift.weight[c] @ vector
    return out


def half(x: torch.Tensor) -> torch.Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def double(x: torch.Tensor) -> torch.Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


CONDITIONED = partial(ConditionalNorm, inputs=3, spectral=False)


def test_the_conditional_norm_is_its_formula():
    norm, x, condition = stirred(CONDITIONED(4)), seeded(2, 4, 3, 5), seeded(2, 3, seed=1)
    assert torch.allclose(norm(x, condition), normed(x, norm, condition))
    assert couples(norm)


@pytest.mark.parametrize("grow", [True, False])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 4), (8, 8)])
def test_a_growing_bottleneck_is_its_formula(inputs: int, outputs: int, grow: bool):
    block = stirred(DeepUp(inputs, outputs, grow, CONDITIONED, False))
    assert isinstance(block, DeepUp)
    x, c = seeded(2, inputs, 3, 5), seeded(2, 3, seed=1)
    (one, two, three, four), norms = block.layers, block.norms
    assert [m.weight.shape[:3] for m in (one, two, three, four)] == [  # type: ignore[index]
        (2, inputs, 1), (2, 2, 3), (2, 2, 3), (outputs, 2, 1),
    ]  # fmt: skip
    size = double if grow else lambda x: x
    inner = convolved(normed(x, norms[0], c).relu(), one)
    inner = convolved(size(normed(inner, norms[1], c).relu()), two)
    inner = convolved(normed(inner, norms[2], c).relu(), three)
    expected = convolved(normed(inner, norms[3], c).relu(), four) + size(x[:, :outputs])
    assert torch.allclose(block(x, c), expected)


@pytest.mark.parametrize("halve", [True, False])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 8), (8, 8)])
def test_a_shrinking_bottleneck_is_its_formula(inputs: int, outputs: int, halve: bool):
    block = stirred(DeepDown(inputs, outputs, halve, False))
    assert isinstance(block, DeepDown)
    x = seeded(2, inputs, 4, 6)
    one, two, three, four = block.layers
    assert four.weight.shape[:2] == (outputs, 2)  # type: ignore[index, union-attr]
    size = half if halve else lambda x: x
    inner = convolved(convolved(convolved(x.relu(), one).relu(), two).relu(), three).relu()
    straight = size(x)
    if block.more is not None:
        straight = torch.cat([straight, convolved(straight, block.more)], 1)
    assert torch.allclose(block(x), convolved(size(inner), four) + straight)


@pytest.mark.parametrize("form", FORMS)
def test_a_generator_is_its_layers_in_turn(form: str):
    generator = stirred(Generator((1, 8, 8), 4, 3, width=2, form=form, attention=None, spectral=False, embedding=3))
    assert isinstance(generator, Generator)
    noise, labels = seeded(2, 4), torch.tensor([2, 0])
    start, condition = generator.conditions(noise, labels)
    x = (start @ generator.first.weight.T + generator.first.bias).view(2, 4, 4, 8).permute(0, 3, 1, 2)
    for block in generator.grids[0].children():
        x = block(x, condition)
    values = [(v - v.mean()) / (v.var(unbiased=False) + 1e-5).sqrt() for v in x.unbind(1)]
    scaled = [v * w + b for v, w, b in zip(values, generator.norm.weight, generator.norm.bias, strict=True)]
    assert torch.allclose(generator(noise, labels), convolved(torch.stack(scaled, 1).relu(), generator.last).tanh())


def test_the_projection_adds_the_product_of_features_and_class():
    discriminator = stirred(Discriminator((1, 8, 8), 3, width=2))
    assert isinstance(discriminator, Discriminator)
    assert discriminator.embedding is not None
    x, labels = seeded(3, 1, 8, 8), torch.tensor([2, 0, 1])
    with still():
        features, logits, without = discriminator.features(x), discriminator(x, labels), discriminator(x)
        embedding = discriminator.embedding.norm(discriminator.embedding.weight)  # type: ignore[operator]
    assert features.shape == (3, discriminator.feature_width)
    expected = torch.stack([features[i] @ embedding[:, y] for i, y in enumerate(labels)])
    assert torch.allclose(logits - without, expected)
    with still():
        assert torch.equal(discriminator.logits(features, labels), logits)


# --- derivatives, precision, tracing ---------------------------------------------------------------

BLOCKS = {
    "norm": lambda spectral: ConditionalNorm(4, 3, spectral),
    "up": lambda spectral: DeepUp(4, 3, True, partial(ConditionalNorm, inputs=3, spectral=spectral), spectral),
    "down": lambda spectral: DeepDown(4, 5, True, spectral),
}


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_differentiate_twice(name: str, spectral: bool):
    block = stirred(BLOCKS[name](spectral))
    x = seeded(2, 4, 4, 4).requires_grad_()
    names, values = zip(*block.named_parameters(), strict=True)
    condition = () if name == "down" else (seeded(2, 3, seed=1),)

    def play(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        with still():  # the same singular vectors each time
            return torch.func.functional_call(block, dict(zip(names, values, strict=True)), (x, *condition))

    assert gradcheck(play, (x, *values), fast_mode=True)
    assert gradgradcheck(play, (x, *values), fast_mode=True)


@pytest.mark.parametrize("form", FORMS)
def test_in_bf16_all_is_finite(form: str):
    torch.manual_seed(0)
    generator = Generator((3, 16, 16), 6, 3, width=4, form=form).train()
    discriminator = Discriminator((3, 16, 16), 3, width=4, form=form).train()
    labels = torch.tensor([0, 2])
    wide = run(discriminator, torch.ones(2, 3, 16, 16), labels, logits=True)
    for network in (generator, discriminator):
        for p in network.parameters():
            p.data = p.data.bfloat16()
    fake = run(generator, torch.randn(2, 6), labels)
    assert fake.dtype == torch.bfloat16
    logits = run(discriminator, fake, labels, logits=True)
    grads = torch.autograd.grad(logits.sum(), [*generator.parameters(), *discriminator.parameters()])
    assert logits.isfinite().all()
    assert all(g.isfinite().all() for g in grads)
    near = run(discriminator, torch.ones(2, 3, 16, 16), labels, logits=True)
    assert torch.allclose(near, wide, rtol=0.1, atol=0.05 * float(wide.detach().abs().max()))


@pytest.mark.parametrize("form", FORMS)
def test_a_traced_move_equals_the_eager_one(form: str):
    torch.manual_seed(0)
    options = {"width": 1, "form": form, "attention": None, "spectral": form == "wide"}
    pair = Generator((1, 8, 8), 6, 3, **options), Discriminator((1, 8, 8), 3, **options)  # type: ignore[arg-type]
    game = Synthesis(*pair, loss=hinge(), noise=6).double()
    turn = Turn(Batch(seeded(4, 1, 8, 8), torch.tensor([0, 1, 2, 1])), Draws(0, 0, 4))
    targets = list(game.generator.parameters())
    before = {name: b.clone() for name, b in game.named_buffers()}
    eager = Eager(game)("generator", turn, targets)
    for name, buffer in game.named_buffers():
        buffer.copy_(before[name])
    traced = Compiled(game, lambda graph: graph)("generator", turn, targets)
    assert torch.allclose(eager.terms["adversarial"], traced.terms["adversarial"])
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(eager.grads, traced.grads, strict=True))  # type: ignore[arg-type]
