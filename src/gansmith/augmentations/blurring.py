"""Blurs by random kernels, one for each picture: Gaussian and its kin, and the sinc of a filter that rings.

Wang et al., 2021 (Real-ESRGAN), Sections 3.1 and 3.2 and their appendix (arXiv:2107.10833).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from gansmith.draws import Draws

SIDE = 21
"""Of the largest kernel; they are of 7, 9, … pixels, all equally often."""

KINDS = {"iso": 0.45, "aniso": 0.25, "generalised iso": 0.12, "generalised aniso": 0.03, "plateau iso": 0.12,
         "plateau aniso": 0.03}  # fmt: skip
"""How often each is drawn."""


def between(draws: Draws, purpose: str, low: float, high: float) -> torch.Tensor:
    """Numbers uniform in [low, high), [B]."""
    return low + (high - low) * draws.uniform(purpose)


def _grid(like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.arange(SIDE, dtype=like.dtype, device=like.device) - SIDE // 2
    return at[None, None, :], at[None, :, None]


def _cut(kernels: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Kernels of a random odd side within [B, SIDE, SIDE], that sum to one."""
    across, down = _grid(kernels)
    half = (3 + draws.integers("side", SIDE // 2 - 2)).view(-1, 1, 1)
    kernels = kernels * ((across.abs() <= half) & (down.abs() <= half))
    return kernels / kernels.sum((1, 2), keepdim=True)


def bells(draws: Draws, least: float, most: float) -> torch.Tensor:
    """Gaussian kernels and their kin, [B, SIDE, SIDE].

        exp(−½ q^β) or 1 / (1 + q^β), with q = dᵀ Σ⁻¹ d

    Args:
        draws: the random numbers.
        least, most: bounds of the deviations along the two axes.
    """
    one, other = between(draws, "one", least, most), between(draws, "other", least, most)
    angle = between(draws, "angle", -math.pi, math.pi).view(-1, 1, 1)
    kind = draws.uniform("kind")
    steep, which = draws.uniform("steep"), draws.uniform("which")
    ends = torch.tensor(list(KINDS.values())).cumsum(0).tolist()
    place = torch.zeros_like(kind, dtype=torch.int64)
    for end in ends[:-1]:
        place = place + (kind >= end)
    aniso = place % 2 == 1
    other = torch.where(aniso, other, one)
    generalised, plateau = (place // 2 == 1).view(-1, 1, 1), (place // 2 == 2).view(-1, 1, 1)
    # Exponents below 1 and above are drawn equally often.
    beta = torch.where(which < 0.5, 0.5 + 0.5 * steep, 1 + 3 * steep).view(-1, 1, 1)
    flat = torch.where(which < 0.5, torch.ones_like(steep), 1 + steep).view(-1, 1, 1)
    across, down = _grid(kind)
    along = across * angle.cos() + down * angle.sin()
    aside = -across * angle.sin() + down * angle.cos()
    q = (along / one.view(-1, 1, 1)).square() + (aside / other.view(-1, 1, 1)).square()
    # The middle's power has no slope at 0, but nothing here is differentiated.
    shaped = torch.where(generalised, q**beta, q)
    kernels = torch.where(plateau, 1 / (1 + q**flat), (-0.5 * shaped).exp())
    return _cut(kernels, draws)


def sincs(draws: Draws) -> torch.Tensor:
    """Ideal low passes of a random cutoff ω in the plane, ω J₁(ω r) / (2 π r): they ring; [B, SIDE, SIDE]."""
    omega = between(draws, "cutoff", math.pi / 5, math.pi).view(-1, 1, 1)
    across, down = _grid(omega)
    r = (across.square() + down.square()).sqrt()
    far = r.clamp_min(0.5)
    kernels = torch.where(
        r > 0, omega * torch.special.bessel_j1(omega * far) / (2 * math.pi * far), omega.square() / (4 * math.pi)
    )
    return _cut(kernels, draws)


def blurred(x: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Each picture [B, C, H, W] by its own kernel [B, K, K]; the last pixel goes on beyond the edges."""
    half = kernels.shape[1] // 2
    padded = F.pad(x, (half,) * 4, mode="replicate")
    # By Fourier transforms: CPUs take ten times as long over a convolution by another kernel for each picture.
    size = padded.shape[2:]
    turned = torch.fft.rfft2(kernels.to(x.dtype).flip(1, 2), s=size)[:, None]
    return torch.fft.irfft2(torch.fft.rfft2(padded) * turned, s=size)[:, :, 2 * half :, 2 * half :]
