"""Kernels sum to one and are those of their formulas; a blur is a convolution, each picture by its own."""

import math

import torch
import torch.nn.functional as F

from gansmith.augmentations.blurring import SIDE, bells, blurred, sincs
from gansmith.draws import Draws


class Given(Draws):
    """Draws of which some are told."""

    def __init__(self, count, **told):
        super().__init__(0, 0, count)
        self.told = told

    def uniform(self, purpose, *shape):
        return torch.full((self.total,), self.told[purpose]) if purpose in self.told else super().uniform(purpose)

    def integers(self, purpose, high, *shape):
        return torch.full((self.total,), high - 1)  # the largest kernel


def grid():
    at = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    return at[None, :], at[:, None]


def test_kernels_sum_to_one_and_differ():
    for kernels in (bells(Draws(0, 0, 40), 0.2, 3.0), sincs(Draws(0, 0, 40))):
        assert kernels.shape == (40, SIDE, SIDE)
        torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(40))
        assert len({tuple(k.flatten().tolist()) for k in kernels}) == 40
        assert torch.allclose(kernels, kernels.flip(1, 2), atol=1e-6)


def test_a_gaussian_and_its_kin():
    across, down = grid()
    one, other, angle = 2.0, 1.0, math.pi / 2
    for kind, formula in ((0.5, lambda q: (-q / 2).exp()), (0.99, lambda q: 1 / (1 + q**1.5))):
        draws = Given(1, one=0.9, other=0.4, angle=0.75, kind=kind, steep=0.5, which=0.9)
        made = bells(draws, 0.2, 2.2)[0].double()
        along, aside = down * math.sin(angle), -across * math.sin(angle)
        wanted = formula((along / one).square() + (aside / other).square())
        torch.testing.assert_close(made, wanted / wanted.sum(), atol=1e-6, rtol=1e-4)


def test_a_sinc_passes_what_is_slow_and_stops_what_is_fast():
    draws = Given(1, cutoff=0.5)
    omega = math.pi / 5 + 0.5 * (math.pi - math.pi / 5)
    kernel = sincs(draws)[0].double()
    at = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    for frequency, low, high in ((0.7 * omega, 0.9, 1.1), (1.3 * omega, -0.1, 0.1)):
        answer = float((kernel * (frequency * at)[None].cos()).sum())
        assert low < answer < high


def test_a_blur_is_a_convolution():
    torch.manual_seed(0)
    x, kernels = torch.randn(2, 3, 20, 17, dtype=torch.float64), torch.rand(2, SIDE, SIDE, dtype=torch.float64)
    padded = F.pad(x, (SIDE // 2,) * 4, mode="replicate")
    wanted = torch.stack([F.conv2d(padded[i][:, None], kernels[i][None, None])[:, 0] for i in range(2)])
    torch.testing.assert_close(blurred(x, kernels), wanted, atol=1e-10, rtol=0)
