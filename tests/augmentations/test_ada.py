"""ADA: the identity at p = 0, keyed and sliced draws, each part by itself, and as often as it should."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from gansmith.augmentations.ada import Ada
from gansmith.draws import Draws

PARTS = (
    "xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac", "brightness", "contrast", "lumaflip", "hue",
    "saturation", "cutout",
)  # fmt: skip
SHAPES = [(1, 8, 8), (2, 7, 9), (3, 8, 8), (4, 6, 10)]


def only(shape: tuple[int, ...], **strengths: float) -> Ada:
    return Ada(shape, **{**dict.fromkeys(PARTS, 0.0), **strengths})


def images(count: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(count, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_at_zero_it_is_the_identity_and_at_one_it_is_not(shape: tuple[int, ...]):
    ada, x, draws = Ada(shape), images(32, shape), Draws(0, 0, 32)
    assert torch.equal(ada(x, draws, 0.0), x)
    assert torch.equal(ada(x, draws, torch.tensor(0.0)), x)
    changed = (ada(x, draws, 1.0) != x).flatten(1).any(1)
    assert changed.all()


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_decide(shape: tuple[int, ...]):
    ada, x = Ada(shape), images(16, shape)
    once = ada(x, Draws(0, 0, 16), 0.6)
    assert torch.equal(once, ada(x, Draws(0, 0, 16), torch.tensor(0.6)))
    assert not torch.equal(once, ada(x, Draws(1, 0, 16), 0.6))
    assert not torch.equal(once, ada(x, Draws(0, 16, 16), 0.6))
    assert not torch.equal(once, ada(x, Draws(0, 0, 16, prefix="fake"), 0.6))
    halves = [ada(x[i : i + 8], Draws(0, 0, 16, start=i, stop=i + 8), 0.6) for i in (0, 8)]
    assert torch.equal(once, torch.cat(halves))


def test_memory_format_and_precision_do_not_matter():
    ada, x, draws = Ada((3, 8, 8)), images(16, (3, 8, 8)), Draws(0, 0, 16)
    plain = ada(x, draws, 0.7)
    assert torch.allclose(plain, ada(x.contiguous(memory_format=torch.channels_last), draws, 0.7), atol=1e-6)
    half = ada(x.bfloat16(), draws, 0.7)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, ada(x.bfloat16().float(), draws, 0.7).bfloat16())
    wide = ada(x.double(), draws, 0.7)
    assert wide.dtype == torch.float64
    assert torch.allclose(wide.float(), plain, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 5)])
def test_it_differentiates_twice(shape: tuple[int, ...]):
    ada, draws = Ada(shape, brightness=1, contrast=1, lumaflip=1, hue=1, saturation=1), Draws(3, 0, 3)
    x = images(3, shape, torch.float64).requires_grad_()
    assert gradcheck(lambda x: ada(x, draws, 0.8), (x,))
    assert gradgradcheck(lambda x: ada(x, draws, 0.8).pow(3), (x,))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_as_frequent_as_its_strength_says(part: str):
    # 0.4 · 0.5; a flip, and a sign, is then a coin's throw, a turn three times in four, and a shift may be by 0.
    n, shape, chance = 4000, (3, 16, 16), 0.4 * 0.5
    x = images(1, shape).expand(n, *shape)
    changed = (only(shape, **{part: 0.5})(x, Draws(0, 0, n), 0.4) != x).flatten(1).any(1).double().mean().item()
    expected = chance * {"xflip": 1 / 2, "lumaflip": 1 / 2, "rotate90": 3 / 4, "xint": 15 / 16}.get(part, 1)
    assert abs(changed - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_flips_and_turns_are_exact():
    x = images(64, (3, 8, 8))
    flipped = only((3, 8, 8), xflip=1)(x, Draws(0, 0, 64), 1.0)
    kinds = torch.stack([(flipped == y).flatten(1).all(1) for y in (x, x.flip(3))])
    assert (kinds.sum(0) == 1).all()
    assert 16 < kinds[1].sum() < 48
    turned = only((3, 8, 8), rotate90=1)(x, Draws(0, 0, 64), 1.0)
    kinds = torch.stack([(turned == torch.rot90(x, k, (2, 3))).flatten(1).all(1) for k in range(4)])
    assert (kinds.sum(0) == 1).all()
    assert (kinds.sum(1) > 4).all()


def test_an_image_that_is_not_square_turns_by_half_only():
    x = images(32, (1, 5, 8))
    turned = only((1, 5, 8), rotate90=1)(x, Draws(0, 0, 32), 1.0)
    kinds = torch.stack([(turned == y).flatten(1).all(1) for y in (x, x.flip(2, 3))])
    assert (kinds.sum(0) == 1).all()


def test_whole_shifts_reach_an_eighth_of_each_side():
    column = torch.arange(16.0).expand(1, 1, 32, 16)
    row = torch.arange(32.0).view(1, 1, 32, 1).expand(1, 1, 32, 16)
    x = torch.cat([column, row], 1).expand(500, 2, 32, 16)
    moved = only((2, 32, 16), xint=1)(x, Draws(0, 0, 500), 1.0)
    middle = x[:, :, 16, 8] - moved[:, :, 16, 8]
    assert set(middle[:, 0].tolist()) == set(range(-2, 3))
    assert set(middle[:, 1].tolist()) == set(range(-4, 5))


def test_warps_have_the_papers_spread():
    # The centre of mass of a blob, and its size, tell what was done to it.
    n, side = 1500, 33
    at = torch.arange(side, dtype=torch.float64) - side // 2
    blob = torch.exp(-(at[:, None] ** 2 + at**2) / 18).expand(n, 1, side, side)
    mass = blob[0].sum()

    scaled = only((1, side, side), scale=1)(blob, Draws(0, 0, n), 1.0)
    octaves = (scaled.sum((1, 2, 3)) / mass).log2() / 2
    assert abs(octaves.mean()) < 0.02
    assert abs(octaves.std() - 0.2) < 0.02

    moved = only((1, side, side), xfrac=1)(blob, Draws(0, 0, n), 1.0)
    near = (moved * at).sum((1, 2, 3)) / moved.sum((1, 2, 3)) / side
    inner = near[near.abs() < 0.125]  # farther out, the edge's reflection pulls the mass
    assert abs(inner.std() / 0.0675 - 1) < 0.08  # of N(0, 0.125²) cut at one deviation
    assert abs(len(inner) / n - 0.683) < 0.06

    stretched = only((1, side, side), aniso=1)(blob, Draws(0, 0, n), 1.0)
    wide = (stretched * at**2).sum((1, 2, 3)) / (stretched * at[:, None] ** 2).sum((1, 2, 3))
    assert abs(wide.log2().mean()) < 0.06
    assert abs((wide.log2() / 4).std() - 0.2) < 0.02


def test_a_rotation_keeps_distances_from_the_middle():
    side = 33
    at = torch.arange(side, dtype=torch.float64) - side // 2
    x = torch.exp(-(at[:, None] ** 2 + at**2) / 40).expand(50, 1, side, side)
    turned = only((1, side, side), rotate=1)(x, Draws(0, 0, 50), 1.0)
    inside = (at[:, None] ** 2 + at**2) < 15**2  # the corners are read from beyond the edges
    assert ((turned - x).abs() * inside).max() < 0.02
    spot = torch.zeros(400, 1, side, side, dtype=torch.float64)
    spot[:, 0, 16, 24] = 1
    turned = only((1, side, side), rotate=1)(spot, Draws(0, 0, 400), 1.0)
    total = turned.sum((1, 2, 3))
    where = torch.stack([(turned * at).sum((1, 2, 3)), (turned * at[:, None]).sum((1, 2, 3))]) / total
    assert (where.norm(dim=0) - 8).abs().max() < 0.5
    angle = torch.atan2(where[1], where[0])
    assert abs(angle.cos().mean()) < 0.2
    assert abs(angle.sin().mean()) < 0.2


def test_colours_one_by_one():
    n, shape = 2000, (3, 2, 2)
    x, draws = images(1, shape, torch.float64).expand(n, *shape), Draws(0, 0, n)
    grey = x.mean(1, keepdim=True)

    moved = only(shape, brightness=1)(x, draws, 1.0) - x
    assert torch.allclose(moved, moved[:, :1, :1, :1].expand_as(moved))
    assert abs(moved[:, 0, 0, 0].std() - 0.2) < 0.02

    factor = only(shape, contrast=1)(x, draws, 1.0) / x
    assert torch.allclose(factor, factor[:, :1, :1, :1].expand_as(factor))
    assert abs(factor[:, 0, 0, 0].log2().std() - 0.5) < 0.05

    flipped = only(shape, lumaflip=1)(x, draws, 1.0)
    sign = (flipped.mean(1, keepdim=True) / grey)[:, :, :1, :1]
    assert set(sign.round(decimals=6).flatten().tolist()) == {1.0, -1.0}
    assert torch.allclose(flipped, x - grey + sign * grey)

    saturated = only(shape, saturation=1)(x, draws, 1.0)
    factor = ((saturated - grey) / (x - grey))[:, 0, 0, 0]
    assert torch.allclose(saturated, grey + factor.view(-1, 1, 1, 1) * (x - grey))
    assert abs(factor.log2().std() - 1) < 0.08


def test_hue_turns_the_colours_about_grey():
    n, shape = 500, (3, 1, 1)
    x = torch.tensor([0.6, -0.2, 0.1], dtype=torch.float64).view(1, 3, 1, 1).expand(n, *shape)
    turned = only(shape, hue=1)(x, Draws(0, 0, n), 1.0)
    assert torch.allclose(turned.mean(1), x.mean(1))
    assert torch.allclose(turned.square().sum(1), x.square().sum(1))
    # A turn by a third of a circle takes red to green: (r, g, b) → (b, r, g).
    hues = [colorsys.rgb_to_hsv(*((c + 1) / 2))[0] for c in turned.flatten(1).numpy()]
    assert (np.histogram(hues, bins=6, range=(0, 1))[0] > 40).all()
    nearest = (turned - x.roll(1, 1)).flatten(1).norm(dim=1).min()
    assert nearest < 0.05


def test_alpha_keeps_its_values_and_grey_is_one_channel():
    for shape in ((2, 4, 4), (4, 4, 4)):
        x = images(64, shape)
        out = only(shape, brightness=1, contrast=1, lumaflip=1, hue=1, saturation=1)(x, Draws(0, 0, 64), 1.0)
        assert torch.equal(out[:, -1], x[:, -1])
        assert not torch.equal(out[:, :-1], x[:, :-1])
    x = images(64, (1, 4, 4))
    assert torch.equal(only((1, 4, 4), hue=1, saturation=1)(x, Draws(0, 0, 64), 1.0), x)


def test_the_box_is_half_the_sides_and_anywhere():
    n, shape = 2000, (3, 8, 16)
    cut = only(shape, cutout=1)(torch.ones(n, *shape), Draws(0, 0, n), 1.0)
    assert set(cut.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(cut[:, 0], cut[:, 2])
    holes = cut[:, 0] == 0
    assert holes.any(2).sum(1).max() == 4
    assert holes.any(1).sum(1).max() == 8
    share = holes.double().mean((0,))
    assert share.min() > 0.05
    assert abs(share[4, 8] - 0.25) < 0.05


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="images of 1 to 4 channels"):
        Ada((2,))
    with pytest.raises(ValueError, match="images of 1 to 4 channels"):
        Ada((5, 8, 8))
    with pytest.raises(ValueError, match=r"hue: a strength is a probability in \[0, 1\], not 2"):
        Ada((3, 8, 8), hue=2)


def test_filter_and_noise_are_off_and_draw_nothing_unless_asked_for():
    shape = (3, 8, 8)
    x, draws = images(16, shape), Draws(0, 0, 16)
    plain = Ada(shape)(x, draws, 0.6)
    both = Ada(shape, filter=1, additive_noise=1, cutout=0)(x, draws, 0.6)
    # The other parts draw what they drew: where neither is on, the images are those without.
    untouched = (draws.uniform("filter gates", 4) >= 0.6).all(1) & (draws.uniform("noise gates") >= 0.6)
    assert torch.equal(both[untouched], Ada(shape, cutout=0)(x, draws, 0.6)[untouched])
    assert not torch.equal(both, plain)
    alone = only(shape, filter=1, additive_noise=1)
    assert torch.equal(alone(x, draws, 0.0), x)
    changed = (alone(x, draws, 0.6) != x).flatten(1).any(1)
    assert torch.equal(changed, ~untouched)


def test_a_band_is_amplified_at_an_unchanged_power():
    # One band after the other: amplified, and the whole divided by the root of the power it then has.
    n, shape = 400, (3, 4, 4)
    flat = torch.ones(n, *shape, dtype=torch.float64)
    draws = Draws(0, 0, n)
    gains = only(shape, filter=1)(flat, draws, 0.5)[:, 0, 0, 0].sqrt()  # a constant image is the lowest band alone
    on, normal = draws.uniform("filter gates", 4) < 0.5, draws.normal("filter", 4).double()
    g = torch.ones(n, 4, dtype=torch.float64)
    for i in range(4):
        t = torch.ones(n, 4, dtype=torch.float64)
        t[:, i] = torch.where(on[:, i], 2 ** normal[:, i], 1.0)
        t = t / ((torch.tensor([10, 1, 1, 1]).double() / 13) * t**2).sum(1, keepdim=True).sqrt()
        g = g * t
    assert torch.allclose(gains, g[:, 0])


def test_noise_has_the_papers_spread():
    n, shape = 2000, (1, 16, 16)
    noisy = only(shape, additive_noise=1)(torch.zeros(n, *shape), Draws(0, 0, n), 1.0)
    each = noisy.flatten(1).std(1)
    assert abs(each.square().mean().sqrt() - 0.1) < 0.006  # of |N(0, 0.1²)|
    assert abs(each.mean() - 0.1 * math.sqrt(2 / math.pi)) < 0.006
    assert abs(noisy.mean()) < 0.001


def test_filter_and_noise_differentiate_twice_and_leave_alpha_alone():
    x = images(3, (2, 4, 5), torch.float64).requires_grad_()
    alone, draws = only((2, 4, 5), filter=1, additive_noise=1), Draws(3, 0, 3)
    assert gradcheck(lambda x: alone(x, draws, 0.8), (x,))
    assert gradgradcheck(lambda x: alone(x, draws, 0.8).pow(3), (x,))
    assert torch.equal(alone(x, draws, 0.8)[:, 1], x[:, 1])
