"""Bands of frequencies: they add up to the image, keep to their octaves, and are what convolutions make of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from gansmith.augmentations.bands import NUMBER, filtered, taps


def test_the_filters_are_those_of_the_wavelet_and_add_up_to_one():
    root = np.sqrt(3)
    low = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2))  # sym2's scaling filter
    halved, rest = np.convolve(low, low[::-1]) / 2, -np.convolve(low, low[::-1]) / 2
    rest[3] += 1
    filters = taps()
    assert filters.shape == (NUMBER, 43)
    np.testing.assert_allclose(filters[3, 18:25], rest, atol=1e-15)
    # L(z) H(z²), by hand.
    wide = np.zeros(13)
    wide[::2] = rest
    np.testing.assert_allclose(filters[2, 12:31], np.convolve(halved, wide), atol=1e-15)
    delta = np.zeros(43)
    delta[21] = 1
    np.testing.assert_allclose(filters.sum(0), delta, atol=1e-15)


def test_each_band_is_where_it_should_be():
    spectra = np.abs(np.fft.rfft(taps(), 1024))
    at = np.linspace(0, np.pi, 513)
    ends = [0, np.pi / 8, np.pi / 4, np.pi / 2, np.pi]
    for spectrum, low, high in zip(spectra, ends[:-1], ends[1:], strict=True):
        inside = (at >= low) & (at <= high)
        assert low <= at[spectrum.argmax()] <= high
        assert spectrum[inside].mean() > 4 * spectrum[~inside].mean()
    assert spectra[3, 256] == pytest.approx(0.5)  # at π/2, between the two highest
    assert spectra[0, 0] == pytest.approx(1)
    assert spectra[1:, 0] == pytest.approx(0, abs=1e-12)


def seeded(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("size", [(24, 30), (5, 3)])
def test_filtering_is_a_convolution_with_reflected_edges(size: tuple[int, int]):
    x, gains = seeded(2, 3, *size), seeded(2, NUMBER).exp()
    seen = filtered(x, gains)
    around = np.pad(x.numpy(), ((0, 0), (0, 0), (21, 21), (21, 21)), mode="symmetric")
    for image, one, gain in zip(torch.as_tensor(around), seen, gains, strict=True):
        kernel = torch.as_tensor(gain.numpy() @ taps())
        down = F.conv2d(image[:, None], kernel.view(1, 1, -1, 1))
        assert torch.allclose(F.conv2d(down, kernel.view(1, 1, 1, -1))[:, 0], one, atol=1e-12)


def test_equal_gains_scale_the_image():
    x = seeded(2, 1, 9, 12)
    gains = torch.tensor([1.0, 2.0], dtype=torch.float64)[:, None].expand(2, NUMBER)
    assert torch.allclose(filtered(x, gains), x * torch.tensor([1.0, 4.0]).view(2, 1, 1, 1))


def test_it_differentiates_twice():
    gains = seeded(2, NUMBER).exp()
    x = seeded(2, 1, 4, 3).requires_grad_()
    assert gradcheck(lambda x: filtered(x, gains), (x,))
    assert gradgradcheck(lambda x: filtered(x, gains).pow(3), (x,))
