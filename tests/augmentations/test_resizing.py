"""Bicubic as MATLAB's imresize has it: against its rule written out in float64, pixel by pixel, and closed forms."""

import math

import numpy as np
import pytest
import torch

from gansmith.augmentations.resizing import KERNELS, eight_bit, matrix, resize


def cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def imresize_row(row, outputs):
    """One side of imresize: weights h(u' - v), u' in pixels of the input, which is mirrored beyond the edges."""
    inputs, scale = len(row), outputs / len(row)
    width, shrink = (4 / scale, scale) if scale < 1 else (4, 1)
    out = []
    for u in range(1, outputs + 1):
        middle = u / scale + 0.5 * (1 - 1 / scale)
        left, total, weights = math.floor(middle - width / 2), 0.0, 0.0
        for v in range(left, left + math.ceil(width) + 2):
            w = shrink * cubic(shrink * (middle - v))
            at = (v - 1) % (2 * inputs)
            total += w * row[at if at < inputs else 2 * inputs - 1 - at]
            weights += w
        out.append(total / weights)
    return np.array(out)


@pytest.mark.parametrize(("inputs", "outputs"), [(24, 6), (21, 7), (16, 8), (17, 5), (6, 24), (7, 21), (10, 13)])
def test_a_row_is_that_of_imresize(inputs, outputs):
    row = np.random.default_rng(inputs).uniform(-1, 1, inputs)
    made = matrix(inputs, outputs) @ torch.from_numpy(row)
    np.testing.assert_allclose(made.numpy(), imresize_row(row, outputs), atol=1e-12)
    assert torch.allclose(matrix(inputs, outputs).sum(1), torch.ones(outputs, dtype=torch.float64))


def test_eight_bit_pictures_are_rounded_after_each_side_the_height_first():
    x = np.random.default_rng(0).integers(0, 256, (12, 20)).astype(np.float64)
    tall = np.clip(np.floor(np.stack([imresize_row(c, 3) for c in x.T], 1) + 0.5), 0, 255)
    whole = np.clip(np.floor(np.stack([imresize_row(r, 7) for r in tall]) + 0.5), 0, 255)
    made = resize(torch.from_numpy(x / 127.5 - 1)[None, None], 3, 7, rounded=True)
    np.testing.assert_allclose(((made + 1) * 127.5)[0, 0].numpy(), whole, atol=1e-9)
    torch.testing.assert_close(eight_bit(torch.tensor([-2.0, 2, 0])), torch.tensor([-1.0, 1, 128 / 127.5 - 1]))


def test_beyond_the_edges():
    row = torch.arange(8, dtype=torch.float64)
    # The mirror repeats the last pixel before it goes back, so of two pixels' reach both ways agree on a constant rim.
    flat = torch.tensor([3.0, 3, 3, 3, 5, 7, 7, 7, 7], dtype=torch.float64)
    assert torch.allclose(matrix(9, 18) @ flat, matrix(9, 18, edges="repeat") @ flat)
    assert not torch.allclose(matrix(8, 2) @ row, matrix(8, 2, edges="repeat") @ row)


@pytest.mark.parametrize("method", sorted(KERNELS))
def test_a_plane_stays_itself_and_a_mean_is_kept(method):
    x = torch.full((1, 2, 12, 9), 0.25, dtype=torch.float64)
    assert torch.allclose(resize(x, 7, 13, method), torch.full((1, 2, 7, 13), 0.25, dtype=torch.float64))
    if method == "area":  # a whole ratio: means of blocks
        x = torch.randn(1, 1, 12, 12, dtype=torch.float64)
        assert torch.allclose(resize(x, 4, 4, "area"), torch.nn.functional.avg_pool2d(x, 3))
