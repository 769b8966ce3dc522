"""The autoencoder that judges: shapes, the paper's layers by their parameters, its errors, extremes, and classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gansmith.networks import autoencoder
from gansmith.networks.layers import couples, read

IMAGES = [(1, 8, 8), (2, 9, 13), (3, 28, 28), (4, 17, 32), (1, 12, 8)]
OTHERS = [(2,), (1, 40)]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("shape", [*IMAGES, *OTHERS], ids=str)
def test_any_size_and_any_channels(shape: tuple[int, ...], classes: int):
    torch.manual_seed(0)
    generator = autoencoder.Generator(shape, 6, classes, width=4, hidden=(8,))
    discriminator = autoencoder.Discriminator(shape, classes, code=5, width=4, hidden=(8, 7))
    labels = torch.tensor([0, 1, 2]) if classes else None
    fake = generator(torch.randn(3, 6), labels)
    assert fake.shape == discriminator.drawn_again(fake, labels).shape == (3, *shape)
    energies = discriminator(fake, labels)
    assert energies.shape == (3,)
    assert (energies > 0).all()
    (energies.sum() + fake.sum()).backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None for p in network.parameters())
    x = fake.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x, labels).sum(), x)
    assert (slope != 0).flatten(1).double().mean() > 0.9
    assert read(discriminator, fake, labels).shape == (3, discriminator.feature_width) == (3, 5)
    assert torch.allclose(discriminator(fake[:2], None if labels is None else labels[:2]), energies[:2], atol=1e-5)
    assert not couples(discriminator)


def test_the_papers_layers_at_128_pixels():
    """BEGAN's Figure 1 with n = 64 and codes of 64: by hand, grids of 8 to 128 pixels, n to 5n channels."""
    with torch.device("meta"):
        generator = autoencoder.Generator((3, 128, 128), 64)
        discriminator = autoencoder.Discriminator((3, 128, 128))

    def layer(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + outputs

    decoder = (64 * 64 * 64 + 64 * 64) + 5 * 2 * layer(64, 64) + layer(64, 3)
    down = sum(layer(64 * i, 64 * (i + 1)) for i in range(1, 5))
    encoder = layer(3, 64) + 2 * sum(layer(64 * i, 64 * i) for i in range(1, 6)) + down + (5 * 64 * 64 * 64 + 64)
    assert parameters(generator) == decoder
    assert parameters(discriminator) == encoder + decoder


@pytest.mark.parametrize("error", autoencoder.ERRORS)
def test_an_energy_is_the_error_of_what_is_drawn_again(error: str):
    torch.manual_seed(0)
    network = autoencoder.Discriminator((1, 8, 8), code=4, width=2, error=error).double()
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    away = network.drawn_again(x) - x
    wanted = {
        "l1": away.abs().sum((1, 2, 3)) / 64, "l2": (away**2).sum((1, 2, 3)) / 64, "norm": away.flatten(1).norm(dim=1),
    }[error]  # fmt: skip
    torch.testing.assert_close(network(x), wanted)


@pytest.mark.parametrize("error", autoencoder.ERRORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extremes_are_finite(error: str, dtype: torch.dtype):
    torch.manual_seed(0)
    network = autoencoder.Discriminator((2,), code=4, hidden=(8,), error=error).to(dtype)
    x = torch.tensor([[1e6, -1e6], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    energies = network(x)
    assert energies.dtype == torch.float32
    (slope,) = torch.autograd.grad(energies.sum(), x, create_graph=True)
    assert energies.isfinite().all()
    assert slope.isfinite().all()
    # What is drawn without an error has a finite slope as well.
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
    nothing = torch.zeros(1, 2, dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(network(nothing).sum(), nothing)
    assert slope.isfinite().all()


def test_a_class_is_told_to_the_decoder():
    torch.manual_seed(0)
    generator = autoencoder.Generator((1, 8, 8), 6, 3, width=4)
    discriminator = autoencoder.Discriminator((1, 8, 8), 3, code=5, width=4)
    noise, x = torch.randn(4, 6), torch.randn(4, 1, 8, 8)
    a, b = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 2, 0])
    assert not torch.equal(generator(noise, a)[0], generator(noise, b)[0])
    assert discriminator(x, a)[0] != discriminator(x, b)[0]
    assert torch.equal(discriminator(x, a)[1:], discriminator(x, b)[1:])
    assert torch.equal(read(discriminator, x, a), read(discriminator, x, b))


def test_a_generator_may_end_in_tanh():
    torch.manual_seed(0)
    noise = torch.randn(8, 6) * 1000
    assert autoencoder.Generator((1, 8, 8), 6, width=4, squash=True)(noise).abs().max() <= 1
    assert autoencoder.Generator((1, 8, 8), 6, width=4)(noise).abs().max() > 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="8 pixels a side"):
        autoencoder.Generator((1, 7, 8), 4)
    with pytest.raises(ValueError, match="8 pixels a side"):
        autoencoder.Discriminator((1, 7, 8))
    with pytest.raises(ValueError, match="error is one of l1, l2, norm, not 'l3'"):
        autoencoder.Discriminator((2,), error="l3")
