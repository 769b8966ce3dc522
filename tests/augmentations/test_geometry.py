"""Moving pixels: exact where it is a permutation, and differentiable without limit where it is a warp."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from gansmith.augmentations.geometry import blit, jitter, sample, warp
from gansmith.draws import Draws


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def points(count: int, h: int, w: int) -> torch.Tensor:
    return torch.rand(count, h, w, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3 - 1.5


def test_sampling_agrees_with_torch_and_so_does_its_gradient():
    x, at = seeded(2, 3, 5, 7).requires_grad_(), points(2, 4, 6)
    mine = sample(x, at)
    theirs = F.grid_sample(x, at, mode="bilinear", padding_mode="reflection", align_corners=False)
    assert torch.equal(mine, theirs)
    weights = seeded(*mine.shape, seed=2)
    assert torch.allclose(*(torch.autograd.grad((y * weights).sum(), x)[0] for y in (mine, theirs)))


def test_sampling_differentiates_twice():
    x, at = seeded(2, 2, 4, 5).requires_grad_(), points(2, 3, 3)
    assert gradcheck(lambda x: sample(x, at), (x,))
    assert gradgradcheck(lambda x: sample(x, at), (x,))
    # A penalty on a gradient taken through it, and that penalty's gradient.
    assert gradgradcheck(lambda x: sample(x.tanh(), at).square(), (x,))


def test_the_adjoint_is_the_adjoint():
    x, at = seeded(2, 2, 4, 5).requires_grad_(), points(2, 3, 3)
    y = sample(x, at)
    other = seeded(*y.shape, seed=3)
    (back,) = torch.autograd.grad(y, x, other)
    assert torch.allclose((y * other).sum(), (x * back).sum())


def identity(count: int) -> torch.Tensor:
    return torch.eye(2, 3, dtype=torch.float64).expand(count, 2, 3).clone()


def test_warps_move_the_image_the_right_way():
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x[0, 0, 3, 2] = 1
    assert torch.allclose(warp(x, identity(1)), x, atol=1e-12)
    back = identity(1)
    back[0, :, 2] = torch.tensor([-2.0, 1.0])  # reads two to the left and one below: moves right by 2, up by 1
    assert torch.allclose(warp(x, back), x.roll((-1, 2), (2, 3)), atol=1e-12)
    turned = torch.tensor([[[0.0, -1, 0], [1, 0, 0]]], dtype=torch.float64)
    assert torch.allclose(warp(x, turned), torch.rot90(x, 1, (2, 3)), atol=1e-12)


def test_a_warp_keeps_a_constant_image():
    back = seeded(4, 2, 3)
    assert torch.allclose(warp(torch.full((4, 2, 6, 5), 0.7, dtype=torch.float64), back), torch.tensor(0.7).double())


@pytest.mark.parametrize("size", [(4, 4), (5, 5), (4, 6), (5, 4), (3, 7)])
def test_blits_are_exact(size: tuple[int, int]):
    x = seeded(1, 3, *size).float()
    no, none, still = torch.tensor([False]), torch.tensor([0]), torch.zeros(1, 2, dtype=torch.int64)
    assert torch.equal(blit(x, no, none, still), x)
    assert torch.equal(blit(x, ~no, none, still), x.flip(3))
    assert torch.equal(blit(x, no, none + 2, still), x.flip(2, 3))
    if size[0] == size[1]:
        for turns in (1, 2, 3):
            assert torch.equal(blit(x, no, none + turns, still), torch.rot90(x, turns, (2, 3)))
            both = torch.rot90(x.flip(3), turns, (2, 3))
            assert torch.equal(blit(x, ~no, none + turns, still), both)
    # A shift by one: the edge is reflected, the edge's pixels twice.
    right = blit(x, no, none, torch.tensor([[1, 0]]))
    assert torch.equal(right, torch.cat([x[..., :1], x[..., :-1]], 3))
    up = blit(x, no, none, torch.tensor([[0, -1]]))
    assert torch.equal(up, torch.cat([x[:, :, 1:], x[:, :, -1:]], 2))


def test_blits_differ_by_example_and_differentiate_twice():
    flip, turns = torch.tensor([True, False, True]), torch.tensor([0, 3, 2])
    shift = torch.tensor([[1, 0], [0, -2], [5, 9]])
    x = seeded(3, 2, 4, 4)
    each = [blit(x[i : i + 1], flip[i : i + 1], turns[i : i + 1], shift[i : i + 1]) for i in range(3)]
    assert torch.equal(blit(x, flip, turns, shift), torch.cat(each))
    assert gradcheck(lambda x: blit(x, flip, turns, shift), (x.requires_grad_(),))
    assert gradgradcheck(lambda x: blit(x, flip, turns, shift).square(), (x,))


def test_jitter_moves_images_by_whole_pixels_within_its_bound_and_mirrors_every_other():
    x = torch.arange(64.0).view(1, 1, 8, 8).expand(2000, 1, 8, 8)
    moved = jitter(x, Draws(0, 0, 2000), 0.25)
    middle = moved[:, 0, 3:5, 3:5].flatten(1)  # too far in for a reflection to reach
    mirrored = middle[:, 1] < middle[:, 0]
    assert abs(mirrored.double().mean() - 0.5) < 4 * 0.5 / 2000**0.5
    column = middle[:, 0] % 8 - torch.where(mirrored, 4, 3)
    row = (middle[:, 0] / 8).floor() - 3
    for way in (column, row):
        assert sorted(set(way.tolist())) == [-2, -1, 0, 1, 2]
        assert abs(way.mean()) < 4 * 2**0.5 / 2000**0.5
    assert torch.equal(jitter(x[:5], Draws(0, 0, 5), 0.0, flip=False), x[:5])
    assert not (jitter(x, Draws(0, 0, 2000), 0.25, flip=False)[:, 0, 4, 3:5].diff() < 0).any()


def test_jitter_of_what_is_no_image_is_noise():
    x = seeded(4000, 3)
    away = jitter(x, Draws(0, 0, 4000), 0.5) - x
    assert abs(away.std().item() - 0.5) < 0.02
    assert abs(away.mean().item()) < 0.02
