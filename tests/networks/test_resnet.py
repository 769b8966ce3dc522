"""The residual networks: the papers' tables, each block against its formula written out, and second derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gansmith.networks.layers import SpectralConv2d, SpectralLinear, run
from gansmith.networks.resnet import Attention, Discriminator, Generator, Up


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def stirred(network: nn.Module) -> nn.Module:
    """In float64, with no parameter at a special value such as 0 or 1."""
    torch.manual_seed(0)
    network = network.double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return network


# --- the papers' tables ----------------------------------------------------------------------------


def test_on_cifar10_it_has_the_parameters_of_table_3():
    # Derived by hand from SNGAN's Table 3; the tables do not say where biases are, and here each layer has one.
    def convolution(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + outputs

    def norm(width: int) -> int:
        return 2 * width

    up = 2 * norm(256) + 2 * convolution(256, 256, 3) + convolution(256, 256, 1)
    of_g = (128 * 4 * 4 * 256 + 4 * 4 * 256) + 3 * up + norm(256) + convolution(256, 3, 3)
    image = convolution(3, 128, 3) + convolution(128, 128, 3) + convolution(3, 128, 1)
    down, same = 2 * convolution(128, 128, 3) + convolution(128, 128, 1), 2 * convolution(128, 128, 3)
    of_d = image + down + 2 * same + (128 + 1)
    assert (of_g, of_d) == (4_276_739, 1_053_825)
    with torch.device("meta"):
        assert parameters(Generator((3, 32, 32), 128)) == of_g
        for spectral in (False, True):
            assert parameters(Discriminator((3, 32, 32), spectral=spectral)) == of_d
        # A class: scales and shifts in the blocks' six norms instead of one set; and an embedding.
        assert parameters(Generator((3, 32, 32), 128, 10)) == of_g + 9 * 6 * norm(256)
        assert parameters(Discriminator((3, 32, 32), 10)) == of_d + 10 * 128


@pytest.mark.parametrize(
    ("side", "base", "of_g", "of_d"),
    [
        (32, 4, [256] * 4, [128] * 4),
        (48, 6, [512, 256, 128, 64], [64, 128, 256, 512, 1024]),
        (128, 4, [1024, 1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024, 1024]),
    ],
)
def test_widths_are_those_of_tables_3_to_5(side: int, base: int, of_g: list[int], of_d: list[int]):
    with torch.device("meta"):
        generator, discriminator = Generator((3, side, side), 128), Discriminator((3, side, side))
    assert generator.base == (base, base)
    assert generator.first.out_features == base * base * of_g[0]
    assert [block.second.out_channels for block in generator.blocks] == of_g[1:]  # type: ignore[union-attr]
    assert [block.second.out_channels for block in discriminator.blocks] == of_d  # type: ignore[union-attr]
    halving = [block.halve for block in discriminator.blocks]
    assert halving == ([True, True, False, False] if side == 32 else [True] * (len(of_d) - 1) + [False])


def test_the_shape_of_a_table_can_be_asked_for():
    with torch.device("meta"):
        flat = Generator((3, 64, 64), 8, width=32, pyramid=False)
        steep = Generator((3, 32, 32), 8, width=32, pyramid=True)
    assert [block.second.out_channels for block in flat.blocks] == [32] * 4  # type: ignore[union-attr]
    assert [block.second.out_channels for block in steep.blocks] == [32, 16, 8]  # type: ignore[union-attr]


def test_weights_start_by_glorots_rule():
    torch.manual_seed(0)
    block = Generator((1, 8, 8), 16, width=64).blocks[0]
    assert isinstance(block, Up)
    assert block.first.weight.std().item() == pytest.approx(math.sqrt(2) * math.sqrt(2 / (2 * 64 * 9)), rel=0.03)
    assert block.shortcut.weight.std().item() == pytest.approx(math.sqrt(2 / (2 * 64)), rel=0.03)
    assert block.first.bias is not None
    assert not block.first.bias.any()


# --- shapes ----------------------------------------------------------------------------------------

SHAPES = [(1, 8, 8), (3, 9, 14), (1, 28, 28), (3, 32, 32), (2, 16, 40), (4, 33, 48), (3, 64, 64)]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_and_any_channels(shape: tuple[int, int, int], classes: int):
    torch.manual_seed(0)
    options = {"width": 8, "spectral": True, "attention": 32}
    generator = Generator(shape, 5, classes, **options)  # type: ignore[arg-type]
    discriminator = Discriminator(shape, classes, **options)  # type: ignore[arg-type]
    labels = torch.tensor([0, 2]) if classes else None
    fake = generator(torch.randn(2, 5), labels)
    assert fake.shape == (2, *shape)
    assert fake.abs().max() <= 1
    logits = discriminator(fake, labels)
    assert logits.shape == (2,)
    logits.sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    # A conditional pair without labels is a pair of the mean class, and judges by the part that no class decides.
    assert discriminator(generator(torch.randn(2, 5))).isfinite().all()


@pytest.mark.parametrize("spectral", [False, True])
def test_in_bf16_all_is_finite(spectral: bool):
    torch.manual_seed(0)
    options = {"width": 8, "spectral": spectral, "attention": 16}
    generator = Generator((3, 16, 16), 5, 3, **options).train()  # type: ignore[arg-type]
    discriminator = Discriminator((3, 16, 16), 3, **options).train()  # type: ignore[arg-type]
    labels = torch.tensor([0, 2])
    wide = run(discriminator, torch.ones(2, 3, 16, 16), labels, logits=True)
    for network in (generator, discriminator):
        for p in network.parameters():
            p.data = p.data.bfloat16()
    fake = run(generator, torch.randn(2, 5), labels)
    assert fake.dtype == torch.bfloat16
    logits = run(discriminator, fake, labels, logits=True)
    assert logits.isfinite().all()
    grads = torch.autograd.grad(logits.sum(), [*generator.parameters(), *discriminator.parameters()])
    assert all(g.isfinite().all() for g in grads)
    near = run(discriminator, torch.ones(2, 3, 16, 16), labels, logits=True)
    assert torch.allclose(near, wide, rtol=0.1, atol=0.05 * float(wide.detach().abs().max()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"shape": (1, 7, 8)}, "8 pixels a side or more"),
        ({"shape": (2,)}, "8 pixels a side or more"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, object], said: str):
    for make in (lambda: Generator(noise=4, width=4, **arguments), lambda: Discriminator(width=4, **arguments)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=said):
            make()


def test_a_pool_is_one_of_two():
    with pytest.raises(ValueError, match="`sum` or `mean`, not 'max'"):
        Discriminator((1, 8, 8), pool="max")
    torch.manual_seed(0)
    by_sum, by_mean = Discriminator((1, 8, 8), width=4), Discriminator((1, 8, 8), width=4, pool="mean")
    by_mean.load_state_dict(by_sum.state_dict())
    x = torch.randn(3, 1, 8, 8)
    assert torch.allclose(by_sum(x), 16 * by_mean(x), atol=1e-5)  # no bias yet, and 4x4 places


# --- attention and projection ----------------------------------------------------------------------


def test_attention_begins_as_the_identity_and_stands_where_it_should():
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(Attention(8, True)(x), x)

    def places(side: int, attention: int) -> list[int]:
        with torch.device("meta"):
            shape = (3, side, side)
            pair = Generator(shape, 8, attention=attention), Discriminator(shape, attention=attention)
        grids = []
        for network in pair:
            assert network.attention is not None
            seen: list[int] = []
            network.attention.register_forward_hook(lambda _, given, __, seen=seen: seen.append(given[0].shape[2]))
            with torch.device("meta"):
                network(torch.empty(2, 8) if network is pair[0] else torch.empty(2, 3, side, side))
            grids += seen
        return grids

    assert places(128, 32) == [32, 32]
    assert places(64, 32) == [32, 32]
    assert places(48, 32) == [24, 24]
    assert places(32, 32) == [16, 16]
    assert places(32, 8) == [8, 8]
    assert places(8, 32) == [4, 4]
    assert places(32, 2) == [4, 8]  # the coarsest that there are


def test_the_projection_adds_the_product_of_features_and_class():
    discriminator = stirred(Discriminator((1, 8, 8), 3, width=4))
    assert isinstance(discriminator, Discriminator)
    assert discriminator.embedding is not None
    seen: list[torch.Tensor] = []
    discriminator.last.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    x, labels = seeded(3, 1, 8, 8), torch.tensor([2, 0, 1])
    logits, without = discriminator(x, labels), discriminator(x)
    features = seen[0]
    expected = torch.stack([features[i] @ discriminator.embedding.weight[:, y] for i, y in enumerate(labels)])
    assert torch.allclose(logits - without, expected)
    assert torch.allclose(without, features @ discriminator.last.weight[0] + discriminator.last.bias)


# --- second derivatives ----------------------------------------------------------------------------


def test_a_gradient_penalty_reaches_every_weight():
    discriminator = stirred(Discriminator((1, 8, 8), 2, width=4, spectral=True, attention=4))
    x = seeded(3, 1, 8, 8).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x, torch.tensor([0, 1, 1])).sum(), x, create_graph=True)
    grads = torch.autograd.grad(slope.square().sum(), list(discriminator.parameters()), allow_unused=True)
    for (name, _), gradient in zip(discriminator.named_parameters(), grads, strict=True):
        if not name.endswith("bias"):  # beyond the attention all is linear but for bends, so no bias moves a slope
            assert gradient is not None, name
            assert gradient.any(), name


# --- spectral norm ---------------------------------------------------------------------------------


def test_after_some_steps_the_largest_singular_values_are_one():
    torch.manual_seed(0)
    discriminator = Discriminator((1, 8, 8), 3, width=8, spectral=True, attention=4)
    generator = Generator((1, 8, 8), 4, 3, width=8, spectral=True, attention=4)
    labels = torch.tensor([0, 1, 2, 0])
    sides = [torch.optim.Adam(network.parameters(), 2e-3, (0.0, 0.9)) for network in (discriminator, generator)]
    for _ in range(30):
        for k, side in enumerate(sides):
            on_fake = discriminator(generator(torch.randn(4, 4), labels), labels)
            on_real = discriminator(torch.randn(4, 1, 8, 8), labels)
            loss = -on_fake if k else torch.relu(1 + on_fake) + torch.relu(1 - on_real)
            side.zero_grad()
            loss.mean().backward()
            side.step()
    found = []
    for network in (generator.eval(), discriminator.eval()):
        bare = [m for m in network.modules() if type(m) in (nn.Linear, nn.Conv2d)]
        assert not bare
        for layer in network.modules():
            if isinstance(layer, SpectralConv2d | SpectralLinear):
                used = layer.norm(layer.weight).flatten(1)
                found.append(torch.linalg.svdvals(used)[0].item())
    assert len(found) == (1 + 3 + 4 + 1) + (3 + 2 + 2 + 4 + 2)
    assert found == pytest.approx([1.0] * len(found), rel=0.05)
