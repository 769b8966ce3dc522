"""L1, PSNR and SSIM in [-1, 1] against the scores on 8-bit pictures, and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from gansmith.losses.likeness import absolute, psnr, ssim, told
from gansmith.metrics import similarity


def pair(side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (3, 2, side, side), generator=draw)
    y = (x + torch.randint(-30, 30, x.shape, generator=draw)).clamp(0, 255)
    return x, y


def test_ssim_is_that_of_8_bit_pictures():
    x, y = pair()
    mine = ssim(x.double() / 127.5 - 1, y.double() / 127.5 - 1)
    torch.testing.assert_close(mine, similarity.ssim(x.to(torch.uint8), y.to(torch.uint8)))
    torch.testing.assert_close(ssim(mine.new_ones(1, 1, 11, 11), mine.new_ones(1, 1, 11, 11)), mine.new_ones(1))


def test_differences_are_of_black_to_white():
    black, white = torch.full((2, 1, 4, 4), -1.0), torch.ones(2, 1, 4, 4)
    assert absolute(black, white).tolist() == [1, 1]
    assert psnr(black, white).tolist() == [0, 0]
    assert psnr(black, black).tolist() == [120, 120]
    x, y = pair()
    wanted = 10 * math.log10(255**2 / (x - y)[0].double().square().mean().item())
    assert psnr(x / 127.5 - 1, y / 127.5 - 1)[0].item() == pytest.approx(wanted, abs=1e-4)


def test_all_are_told_and_of_small_pictures_what_can_be():
    x, y = pair()
    found = told(x / 50.0 - 1, y / 127.5 - 1)
    assert list(found) == ["l1", "psnr", "ssim"]
    assert all(value.shape == (3,) and value.dtype == torch.float64 for value in found.values())
    torch.testing.assert_close(found["l1"], absolute((x / 50.0 - 1).clamp(-1, 1).double(), (y / 127.5 - 1).double()))
    assert list(told(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))) == ["l1", "psnr"]
