"""Structural similarity against a plain computation by scipy, and its identities."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gansmith.errors import Refused
from gansmith.metrics.similarity import WEIGHTS, ms_ssim, ms_ssim_diversity, psnr, scales_for, ssim


def pictures(n=3, channels=2, height=40, width=52, seed=0):
    r = np.random.RandomState(seed)
    smooth = gaussian_filter(r.rand(n, channels, height, width), (0, 0, 2, 2))
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return (smooth * 255).astype(np.uint8)


def noisy(x, amount, seed=1):
    return np.clip(x + np.random.RandomState(seed).randn(*x.shape) * amount, 0, 255).astype(np.uint8)


def by_scipy(x, y):
    """SSIM and its second factor of one channel, from whole-window pixels only."""

    def blurred(image):
        return gaussian_filter(image, 1.5, truncate=3.5)[5:-5, 5:-5]  # 11 pixels: 3.5 deviations, rounded

    x, y = x.astype(float), y.astype(float)
    c1, c2 = 6.5025, 58.5225
    m, n = blurred(x), blurred(y)
    second = (2 * (blurred(x * y) - m * n) + c2) / (blurred(x * x) - m * m + blurred(y * y) - n * n + c2)
    return ((2 * m * n + c1) / (m * m + n * n + c1) * second).mean(), second.mean()


def test_agrees_with_scipy():
    x = pictures()
    y = noisy(x, 12)
    expected = [np.mean([by_scipy(a, b)[0] for a, b in zip(p, q, strict=True)]) for p, q in zip(x, y, strict=True)]
    assert ssim(x, y).tolist() == pytest.approx(expected, rel=1e-9)
    assert ssim(torch.from_numpy(x), torch.from_numpy(y)).tolist() == pytest.approx(expected, rel=1e-9)


def test_several_scales_agree_with_scipy():
    x = pictures(2, 1, 48, 44)
    y = noisy(x, 20)
    weights = np.array(WEIGHTS[:3]) / sum(WEIGHTS[:3])
    expected = []
    for p, q in zip(x[:, 0].astype(float), y[:, 0].astype(float), strict=True):
        total, a, b = 1.0, p, q
        for j in range(3):
            whole, second = by_scipy(a, b)
            total *= (whole if j == 2 else second) ** weights[j]
            if j < 2:
                a, b = (z.reshape(len(z) // 2, 2, -1, 2).mean((1, 3)) for z in (a, b))
        expected.append(total)
    assert ms_ssim(x, y).tolist() == pytest.approx(expected, rel=1e-9)


def test_equal_images_are_alike_and_noise_makes_them_less_so():
    x = pictures()
    assert ssim(x, x).tolist() == pytest.approx([1, 1, 1])
    assert ms_ssim(x, x).tolist() == pytest.approx([1, 1, 1])
    falling = [ms_ssim(x, noisy(x, amount)).mean().item() for amount in (5, 20, 60)]
    assert falling == sorted(falling, reverse=True)
    assert ms_ssim(x, 255 - x).max() < 0.1  # negative factors count as nothing


@pytest.mark.parametrize(("side", "scales"), [(8, 1), (11, 1), (20, 1), (21, 2), (41, 3), (81, 4), (160, 4), (161, 5)])
def test_as_many_scales_as_fit(side, scales):
    assert scales_for(side) == scales


def test_diversity_within_classes():
    x = pictures(6, 1, 24, 24)
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = ms_ssim_diversity(x, labels, pairs=40)
    assert (found.scales, found.pairs) == (2, 80)
    assert found == ms_ssim_diversity(x, labels, pairs=40)
    one = ms_ssim_diversity(np.repeat(x[:2], 3, 0), labels)  # a class of one image, thrice
    assert one.similarity == pytest.approx(1)
    assert found.similarity < 0.9
    # Pairs are within classes, and never an image with itself.
    apart = ms_ssim_diversity(np.concatenate([x[:1], 255 - x[:1], x[:1], 255 - x[:1]]), np.array([0, 0, 1, 1]))
    assert apart.similarity < 0.1


def test_refuses():
    with pytest.raises(Refused, match="1 scale needs 11 pixels a side or more, not 8"):
        ssim(np.zeros((1, 1, 8, 8), np.uint8), np.zeros((1, 1, 8, 8), np.uint8))
    with pytest.raises(Refused, match="5 scales need 161 pixels"):
        ms_ssim(np.zeros((1, 1, 99, 200), np.uint8), np.zeros((1, 1, 99, 200), np.uint8), scales=5)
    for scales in (0, 6):
        with pytest.raises(Refused, match=f"scales: 1 to 5, not {scales}"):
            ms_ssim(np.zeros((1, 1, 400, 400), np.uint8), np.zeros((1, 1, 400, 400), np.uint8), scales=scales)
    with pytest.raises(Refused, match="one shape"):
        ssim(np.zeros((1, 1, 12, 12), np.uint8), np.zeros((1, 3, 12, 12), np.uint8))
    with pytest.raises(Refused, match="class 7 need 2 images"):
        ms_ssim_diversity(pictures(3, 1, 16, 16), np.array([1, 1, 7]))


def test_a_read_only_array_is_taken():
    x = pictures(1, 1, 16, 16)
    x.flags.writeable = False
    assert ssim(x, x).tolist() == pytest.approx([1])


@pytest.mark.parametrize("luma", [False, True])
@pytest.mark.parametrize("crop", [0, 4])
def test_psnr_by_hand(luma, crop):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2, 3, 3, 20, 24), dtype=np.uint8)
    a, b = (each.astype(np.float64) for each in (x, y))
    if luma:
        weights = np.array([65.481, 128.553, 24.966]) / 255
        a, b = (16 + np.einsum("c,nchw->nhw", weights, each)[:, None] for each in (a, b))
    inner = slice(crop, -crop or None)
    error = ((a - b)[:, :, inner, inner] ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(psnr(x, y, luma=luma, crop=crop), 10 * np.log10(255**2 / error), rtol=1e-12)
    assert psnr(x, x).isinf().all()


def test_ssim_of_the_brightness_without_the_edges():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, 3, 24, 28), dtype=np.uint8)
    y = np.clip(x + rng.normal(0, 20, x.shape), 0, 255).astype(np.uint8)
    weights = np.array([65.481, 128.553, 24.966]) / 255
    bright = [16 + np.einsum("c,nchw->nhw", weights, each.astype(np.float64))[:, None] for each in (x, y)]
    torch.testing.assert_close(ssim(x, y, luma=True), ssim(*map(torch.from_numpy, bright)))
    torch.testing.assert_close(ssim(x, y, crop=3), ssim(x[:, :, 3:-3, 3:-3], y[:, :, 3:-3, 3:-3]))
    z = y.copy()
    z[:, :, :3] = 0  # what is cut off does not count
    torch.testing.assert_close(ssim(x, z, crop=3), ssim(x, y, crop=3))
    with pytest.raises(Refused, match="without 7 at each edge, this needs 25 pixels a side or more, not 24"):
        ssim(x, y, crop=7)
