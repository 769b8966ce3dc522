"""DiffAugment against the paper's operations, written out for one image at a time in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from gansmith.augmentations.diffaugment import Diffaugment
from gansmith.draws import Draws

PARTS = ("brightness", "saturation", "contrast", "translation", "cutout")
SHAPES = [(1, 8, 8), (2, 7, 9), (3, 8, 8), (4, 6, 10)]


def only(shape: tuple[int, ...], **strengths: float) -> Diffaugment:
    return Diffaugment(shape, **{**dict.fromkeys(PARTS, 0.0), **strengths})


def images(count: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(count, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(dtype)


def by_hand(image: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The paper's colour, translation and cutout of one image [C, H, W], by seven numbers in [0, 1)."""
    x, (channels, height, width) = image.copy(), image.shape
    colour = x[:3] if channels >= 3 else x[:1]
    colour += u[0] - 0.5
    mean = colour.sum(0) / len(colour)
    for channel in colour:
        channel[:] = (channel - mean) * (u[1] * 2) + mean
    mean = colour.sum() / colour.size
    colour[:] = (colour - mean) * (u[2] + 0.5) + mean

    moved = np.zeros_like(x)
    rows, columns = int(height / 8 + 0.5), int(width / 8 + 0.5)
    down, right = (math.floor(v * (2 * most + 1)) - most for v, most in ((u[3], rows), (u[4], columns)))
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                moved[:, row, column] = x[:, row - down, column - right]

    box = int(height / 2 + 0.5), int(width / 2 + 0.5)
    middle = [math.floor(v * (side + 1 - b % 2)) for v, side, b in zip(u[5:], (height, width), box, strict=True)]
    for row in range(middle[0] - box[0] // 2, middle[0] - box[0] // 2 + box[0]):
        for column in range(middle[1] - box[1] // 2, middle[1] - box[1] // 2 + box[1]):
            if 0 <= row < height and 0 <= column < width:
                moved[:, row, column] = 0
    return moved


@pytest.mark.parametrize("shape", [*SHAPES, (3, 28, 30)])
def test_it_is_the_papers(shape: tuple[int, ...]):
    x, draws = images(16, shape, torch.float64), Draws(0, 0, 16)
    seen = Diffaugment(shape)(x, draws, 1.0)
    numbers = draws.uniform("uniform", 7).double().numpy()
    for image, one, u in zip(x.numpy(), seen.numpy(), numbers, strict=True):
        np.testing.assert_allclose(one, by_hand(image, u), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_at_zero_it_is_the_identity_and_at_one_it_is_not(shape: tuple[int, ...]):
    augment, x, draws = Diffaugment(shape), images(32, shape), Draws(0, 0, 32)
    assert torch.equal(augment(x, draws, 0.0), x)
    assert torch.equal(augment(x, draws, torch.tensor(0.0)), x)
    assert (augment(x, draws, 1.0) != x).flatten(1).any(1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_decide(shape: tuple[int, ...]):
    augment, x = Diffaugment(shape), images(16, shape)
    once = augment(x, Draws(0, 0, 16), 0.6)
    assert torch.equal(once, augment(x, Draws(0, 0, 16), torch.tensor(0.6)))
    assert not torch.equal(once, augment(x, Draws(1, 0, 16), 0.6))
    assert not torch.equal(once, augment(x, Draws(0, 0, 16, prefix="fake"), 0.6))
    halves = [augment(x[i : i + 8], Draws(0, 0, 16, start=i, stop=i + 8), 0.6) for i in (0, 8)]
    assert torch.equal(once, torch.cat(halves))


def test_memory_format_and_precision_do_not_matter():
    augment, x, draws = Diffaugment((3, 8, 8)), images(16, (3, 8, 8)), Draws(0, 0, 16)
    plain = augment(x, draws, 0.7)
    assert torch.allclose(plain, augment(x.contiguous(memory_format=torch.channels_last), draws, 0.7), atol=1e-6)
    half = augment(x.bfloat16(), draws, 0.7)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, augment(x.bfloat16().float(), draws, 0.7).bfloat16())
    assert torch.allclose(augment(x.double(), draws, 0.7).float(), plain, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 5)])
def test_it_differentiates_twice(shape: tuple[int, ...]):
    augment, draws = Diffaugment(shape), Draws(3, 0, 3)
    x = images(3, shape, torch.float64).requires_grad_()
    assert gradcheck(lambda x: augment(x, draws, 0.8), (x,))
    assert gradgradcheck(lambda x: augment(x, draws, 0.8).pow(3), (x,))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_as_frequent_as_its_strength_says(part: str):
    n, shape, chance = 4000, (3, 16, 16), 0.4 * 0.5
    x = images(1, shape).expand(n, *shape)
    changed = (only(shape, **{part: 0.5})(x, Draws(0, 0, n), 0.4) != x).flatten(1).any(1).double().mean().item()
    expected = chance * {"translation": 24 / 25}.get(part, 1)  # 24 of the 25 shifts move anything
    assert abs(changed - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_alpha_keeps_its_values_where_only_colours_change():
    for shape in ((2, 4, 4), (4, 4, 4)):
        x = images(64, shape)
        out = only(shape, brightness=1, saturation=1, contrast=1)(x, Draws(0, 0, 64), 1.0)
        assert torch.equal(out[:, -1], x[:, -1])
        assert not torch.equal(out[:, :-1], x[:, :-1])


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="diffaugment augments images of 1 to 4 channels"):
        Diffaugment((2,))
    with pytest.raises(ValueError, match=r"cutout: a strength is a probability in \[0, 1\], not 2"):
        Diffaugment((3, 8, 8), cutout=2)
