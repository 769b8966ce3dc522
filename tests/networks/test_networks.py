"""Every network: shapes over sizes, channels and classes; the paper's parameter counts; no mixing of examples."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from gansmith.networks import biggan, dcgan, mlp, patches, r3gan, resnet, stylegan2
from gansmith.networks.layers import SpectralConv2d, SpectralLinear, couples, read, still

SMALL = {"blocks": 1, "cardinality": 2, "widths": [8, 4]}
FAMILIES = {"mlp": (mlp, {}), "dcgan": (dcgan, {"width": 4}),
            "dcgan dense": (dcgan, {"width": 4, "dense": 6}), "r3gan": (r3gan, SMALL),
            "patches": (patches, {"width": 4}), "resnet": (resnet, {"width": 4}),
            "resnet spectral": (resnet, {"width": 8, "spectral": True, "attention": 8}),
            "stylegan2": (stylegan2, {"base": 64, "most": 8, "mapping_layers": 2}),
            "biggan": (biggan, {"width": 1}), "biggan deep": (biggan, {"width": 2, "form": "deep"}),
            "r3gan patches": (r3gan, {**SMALL, "widths": [8], "patch": 2, "basis": "linear"})}  # fmt: skip
IMAGES = [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32), (1, 12, 8)]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("shape", IMAGES, ids=str)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_any_size_and_any_channels(family: str, shape: tuple[int, ...], classes: int):
    torch.manual_seed(0)
    module, arguments = FAMILIES[family]
    generator = module.Generator(shape, 6, classes, **arguments)
    discriminator = module.Discriminator(shape, classes, **arguments)
    labels = torch.tensor([0, 1, 2]) if classes else None
    fake = generator(torch.randn(3, 6), labels)
    assert fake.shape == (3, *shape)
    logits = discriminator(fake, labels)
    assert logits.shape == (3,)
    assert logits.isfinite().all()
    (logits.sum() + fake.sum()).backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None for p in network.parameters())
    # Every pixel counts, those that were padded in or cut off beside them included.
    x = fake.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x, labels).sum(), x)
    assert (slope != 0).flatten(1).double().mean() > 0.9


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_labels_matter(family: str):
    torch.manual_seed(0)
    module, arguments = FAMILIES[family]
    generator, noise = module.Generator((1, 8, 8), 6, 3, **arguments), torch.randn(4, 6)
    discriminator = module.Discriminator((1, 8, 8), 3, **arguments)
    with torch.no_grad():  # batch norms of all classes begin alike
        for p in generator.parameters():
            p.add_(0.1 * torch.randn_like(p))
    a, b = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 2, 0])
    assert not torch.equal(generator(noise, a)[0], generator(noise, b)[0])
    x = torch.randn(4, 1, 8, 8)
    assert discriminator(x, a)[0] != discriminator(x, b)[0]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_vector_takes_the_classes_place_and_a_unit_vector_is_a_class(family: str):
    torch.manual_seed(0)
    module, arguments = FAMILIES[family]
    generator, noise = module.Generator((1, 8, 8), 6, 3, **arguments).eval(), torch.randn(4, 6)
    discriminator = module.Discriminator((1, 8, 8), 3, **arguments).eval()
    with torch.no_grad():
        for p in generator.parameters():
            p.add_(0.1 * torch.randn_like(p))
    labels, x = torch.tensor([0, 1, 2, 0]), torch.randn(4, 1, 8, 8)
    vectors = torch.randn(4, 3)
    for network, data in ((generator, noise), (discriminator, x)):
        torch.testing.assert_close(network(data, torch.eye(3)[labels]), network(data, labels))
        moved = network(data, vectors + torch.tensor([0.1, 0, 0])) - network(data, vectors)
        assert (moved.reshape(4, -1) != 0).any(1).all()


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_discriminator_is_its_two_halves(family: str, classes: int):
    torch.manual_seed(0)
    module, arguments = FAMILIES[family]
    discriminator = module.Discriminator((2, 9, 13), classes, **arguments).eval()
    labels = torch.tensor([0, 1, 2]) if classes else None
    x = torch.randn(3, 2, 9, 13)
    features = read(discriminator, x, labels)
    assert features.shape == (3, discriminator.feature_width)
    assert torch.equal(discriminator.logits(features, labels), discriminator(x, labels))
    # A head must not be given features that know what it is to find.
    if classes:
        assert torch.equal(features, read(discriminator, x, torch.tensor([3, 1, 2]))) != discriminator.told
    assert not module.Discriminator((2, 9, 13), **arguments).told


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_examples_are_treated_one_by_one_unless_it_is_said(family: str):
    torch.manual_seed(0)
    module, arguments = FAMILIES[family]
    discriminator = module.Discriminator((1, 16, 16), **arguments)
    x = torch.randn(4, 1, 16, 16)
    with still():
        alone = torch.allclose(discriminator(x)[:2], discriminator(x[:2]), atol=1e-5)
    assert alone != couples(discriminator)
    assert couples(discriminator) == (family in ("dcgan", "dcgan dense", "stylegan2"))


# --- the perceptrons -------------------------------------------------------------------------------


@pytest.mark.parametrize("moments", [1, 2])
@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("shape", IMAGES, ids=str)
@pytest.mark.parametrize("family", ["mlp", "dcgan"])
def test_encoders_of_any_size_and_any_channels(family: str, shape: tuple[int, ...], classes: int, moments: int):
    torch.manual_seed(0)
    module, arguments = FAMILIES[family]
    encoder = module.Encoder(shape, 6, classes, moments, **arguments)
    assert encoder.moments == moments
    labels = torch.tensor([0, 1, 2]) if classes else None
    x = torch.randn(3, *shape, requires_grad=True)
    encoded = encoder(x, labels)
    assert encoded.shape == (3, 6 * moments)
    (slope,) = torch.autograd.grad(encoded[:, -1].square().sum(), x)
    assert (slope != 0).flatten(1).double().mean() > 0.9
    if classes:
        assert not torch.equal(encoder(x, torch.tensor([1, 1, 2]))[0], encoded[0])


def test_an_encoder_is_a_discriminator_with_another_end():
    encoder, discriminator = dcgan.Encoder((3, 32, 32), 100, moments=2), dcgan.Discriminator((3, 32, 32))
    assert parameters(encoder) - 256 * 16 * 200 - 200 == parameters(discriminator) - 256 * 16 - 1
    assert parameters(mlp.Encoder((2,), 5, hidden=(7,))) == 2 * 7 + 7 + 7 * 5 + 5
    with pytest.raises(ValueError, match="moments must be 1"):
        mlp.Encoder((2,), 5, moments=3)


def test_the_tutorials_pair():
    shape = (1, 28, 28)
    assert parameters(mlp.Generator(shape, 100, dropout=0.3)) == 100 * 256 + 256 + 256 * 784 + 784
    assert parameters(mlp.Discriminator(shape, dropout=0.3)) == 784 * 256 + 256 + 256 + 1
    kinds = [type(m).__name__ for m in mlp.Generator(shape, 100, dropout=0.3).layers]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "Squash"]
    kinds = [type(m).__name__ for m in mlp.Discriminator(shape, dropout=0.3).layers]
    assert kinds == ["Linear", "LeakyReLU", "Dropout"]


def test_points_are_not_squashed():
    torch.manual_seed(0)
    generator = mlp.Generator((2,), 4)
    assert generator(torch.randn(1000, 4) * 100).abs().max() > 1
    assert mlp.Generator((2,), 4, squash=True)(torch.randn(1000, 4) * 100).abs().max() <= 1


# --- DCGAN -----------------------------------------------------------------------------------------


def test_dcgan_of_the_paper_has_its_layers():
    generator = dcgan.Generator((3, 64, 64), 100, width=128)
    widths = [m.out_channels for m in generator.layers if isinstance(m, nn.ConvTranspose2d)]
    assert widths == [512, 256, 128, 3]
    assert generator.first.out_features == 1024 * 4 * 4
    assert generator(torch.randn(2, 100)).abs().max() <= 1
    discriminator = dcgan.Discriminator((3, 64, 64), width=128)
    widths = [m.out_channels for m in discriminator.layers if isinstance(m, nn.Conv2d)]
    assert widths == [128, 256, 512, 1024]


def test_a_dcgan_without_norm_treats_examples_one_by_one():
    discriminator = dcgan.Discriminator((1, 32, 32), width=4, norm=False)
    assert not couples(discriminator)
    assert parameters(discriminator) == parameters(dcgan.Discriminator((1, 32, 32), width=4)) - (8 + 16)


def test_dcgan_with_a_dense_layer_is_infogans_for_mnist():
    generator, discriminator = (
        dcgan.Generator((1, 28, 28), 74, dense=1024),
        dcgan.Discriminator((1, 28, 28), dense=1024),
    )
    convolutions = 128 * 64 * 16 + 2 * 64 + 64 * 16 + 1
    assert parameters(generator) == 74 * 1024 + 2 * 1024 + 1024 * 49 * 128 + 2 * 128 + convolutions
    convolutions = 64 * 16 + 64 + 64 * 128 * 16 + 2 * 128
    assert parameters(discriminator) == convolutions + 49 * 128 * 1024 + 2 * 1024 + 1024 + 1
    assert discriminator.feature_width == 1024


def test_dcgan_starts_as_the_paper_says():
    torch.manual_seed(0)
    generator = dcgan.Generator((1, 32, 32), 100, width=32)
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d):
            assert abs(module.weight.std() - 0.02) < 0.002


def test_dcgan_refuses_what_is_too_small():
    with pytest.raises(ValueError, match="8 pixels a side"):
        dcgan.Generator((1, 7, 8), 4)
    with pytest.raises(ValueError, match="8 pixels a side"):
        dcgan.Discriminator((2,))


# --- patches ---------------------------------------------------------------------------------------


def test_patches_has_the_parameters_that_its_layers_say():
    shape, block = (1, 28, 28), 2 * (64 * 64 * 9 + 64)
    dense = (128 * 256 + 256) + (256 * 3136 + 3136)
    generator = patches.Generator(shape, 64, 10)
    assert parameters(generator) == 10 * 64 + dense + block + (64 * 16 + 16)
    assert parameters(patches.Discriminator(shape, 10)) == (16 * 64 + 64) + 2 * block + 3136 * 64 + 10 * 64
    assert parameters(patches.Discriminator(shape)) == (16 * 64 + 64) + 2 * block + 3136


def test_patches_ends_in_tanh_unless_told_otherwise():
    torch.manual_seed(0)
    noise = torch.randn(8, 6) * 100
    assert patches.Generator((3, 12, 12), 6, width=8)(noise).abs().max() <= 1
    assert patches.Generator((3, 12, 12), 6, width=8, squash=False)(noise).abs().max() > 1


def test_a_class_weighs_as_much_as_its_features_at_first():
    torch.manual_seed(0)
    discriminator = patches.Discriminator((1, 16, 16), 1000, features=64)
    assert discriminator.end.embedding.weight.std().item() == pytest.approx(1 / 8, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "arguments", "said"), [((3,), {}, "makes images"), ((1, 3, 9), {"patch": 4}, "patches of 4 pixels")]
)
def test_patches_refuses(shape: tuple[int, ...], arguments: dict[str, int], said: str):
    for make in (lambda: patches.Generator(shape, 4, **arguments), lambda: patches.Discriminator(shape, **arguments)):
        with pytest.raises(ValueError, match=said):
            make()


# --- R3GAN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "of_g", "of_d"), [(10, 20_781_952, 21_280_512), (0, 20_732_160, 20_683_776)])
def test_r3gan_has_the_papers_parameters_on_cifar10(classes: int, of_g: int, of_d: int):
    with torch.device("meta"):
        generator, discriminator = r3gan.Generator((3, 32, 32), 64, classes), r3gan.Discriminator((3, 32, 32), classes)
    assert parameters(generator) == of_g
    assert parameters(discriminator) == of_d


@pytest.mark.parametrize(
    ("side", "widths"),
    [(8, [768] * 2), (32, [768] * 4), (48, [768] * 4), (64, [768] * 4 + [384]), (256, [768] * 4 + [384, 192, 96]),
     (1024, [768] * 4 + [384, 192, 96, 48, 24])],
)  # fmt: skip
def test_r3gans_widths_follow_the_papers_rule(side: int, widths: list[int]):
    with torch.device("meta"):
        by_rule = r3gan.Generator((3, side, side), 64)
        groups = [width // 8 for width in widths]
        explicit = r3gan.Generator((3, side, side), 64, widths=widths, cardinality=groups)
        mirror = r3gan.Discriminator((3, side, side))
    shapes = [(name, p.shape) for name, p in by_rule.named_parameters()]
    assert shapes == [(name, p.shape) for name, p in explicit.named_parameters()]
    blocks = [m for m in mirror.modules() if isinstance(m, r3gan.Block)]
    assert [b.reduce.out_channels for b in blocks[::2]] == widths[::-1]
    assert [b.middle.groups for b in blocks[::2]] == groups[::-1]


def test_r3gan_starts_as_the_paper_says():
    torch.manual_seed(0)
    generator = r3gan.Generator((3, 32, 32), 64, widths=[64, 64, 32], blocks=2, cardinality=4)
    blocks = [m for m in generator.modules() if isinstance(m, r3gan.Block)]
    gain = math.sqrt(2 / 1.04) * len(blocks) ** -0.25
    for block in blocks:
        assert not block.reduce.weight.any()
        for layer in (block.expand, block.middle):
            assert abs(layer.weight.std().item() * math.sqrt(layer.weight[0].numel()) / gain - 1) < 0.05
            assert layer.bias is not None
            assert not layer.bias.any()
    x = torch.randn(2, 64, 4, 4)
    assert torch.equal(blocks[0](x), x)  # each block is the identity at first


def test_r3gan_works_on_the_smallest_images_of_its_small_form():
    for side in (8, 16, 28, 32):
        generator = r3gan.Generator((1, side, side), 64, 10, widths=[128, 64, 32], blocks=1, cardinality=4)
        assert generator(torch.randn(2, 64), torch.tensor([1, 2])).shape == (2, 1, side, side)


@pytest.mark.parametrize(
    ("shape", "arguments", "said"),
    [
        ((2,), {}, "makes images"),
        ((1, 8, 8), {"widths": [8] * 4}, "16 pixels a side or more"),
        ((1, 32, 32), {"widths": [8, 8], "blocks": [1]}, "one for each of the 2 widths"),
        ((1, 32, 32), {"basis": "round"}, "`product` or `linear`, not 'round'"),
    ],
)
def test_r3gan_refuses(shape: tuple[int, ...], arguments: dict[str, object], said: str):
    for make in (lambda: r3gan.Generator(shape, 4, **arguments), lambda: r3gan.Discriminator(shape, **arguments)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=said):
            make()


@pytest.mark.parametrize("family", [mlp, dcgan], ids=["mlp", "dcgan"])
def test_with_spectral_norm_each_layer_has_slope_one_at_most(family: ModuleType):
    torch.manual_seed(0)
    shape = (1, 8, 8)
    plain: dict[str, Any] = {"hidden": (9, 9)} if family is mlp else {"width": 4, "norm": False}
    for made in (
        family.Discriminator(shape, spectral=True, **plain),
        family.Encoder(shape, 3, spectral=True, **plain),
    ):
        made.eval()
        spectral = [m for m in made.modules() if isinstance(m, SpectralConv2d | SpectralLinear)]
        weights = [m.norm(m.weight).flatten(1) for m in spectral]
        assert len(weights) == (3 if family is mlp else 2)
        for weight in weights:
            # Power iteration comes to the largest singular value from below.
            assert 0.999 < float(torch.linalg.svdvals(weight.detach().double())[0]) < 1.15
        assert made(torch.randn(2, *shape)).shape[0] == 2
