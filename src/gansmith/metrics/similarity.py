"""Structural similarity of pairs of images, at one scale and at several, and as a measure of diversity; and PSNR."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from gansmith.errors import Refused
from gansmith.losses.brightness import luma as brightness
from gansmith.metrics.extractor import as_tensor
from gansmith.metrics.measure import Materials, Measure, Value

WINDOW, SIGMA = 11, 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first (Wang et al., 2003, Section 3.2)."""

Images = NDArray[np.uint8] | torch.Tensor
"""Images of 0 to 255, [N, C, H, W]."""


class Diversity(NamedTuple):
    """Mean similarity of pairs within a class (lower is more diverse), the number of scales, and of pairs."""

    similarity: float
    scales: int
    pairs: int


def psnr(x: Images, y: Images, *, luma: bool = False, crop: int = 0) -> torch.Tensor:
    """Compute the peak signal-to-noise ratio of each pair of images, 10 log₁₀(255² / MSE) in decibels.

    Papers on super-resolution score the brightness alone, without as many pixels at each edge as the scale.

    Args:
        x: images, 0 to 255, [N, C, H, W].
        y: images, likewise.
        luma: of the brightness Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, rather than of all channels.
        crop: pixels at each edge that do not count.

    Returns:
        float64 [N]; infinite for equal images.

    Raises:
        Refused: unlike shapes, or nothing left of them.
    """
    a, b = _seen(x, y, luma, crop, 1)
    return 10 * (255**2 / (a - b).square().flatten(1).mean(1)).log10()


def ssim(x: Images, y: Images, *, luma: bool = False, crop: int = 0) -> torch.Tensor:
    """Compute the structural similarity of each pair of images.

        SSIM = (2 μ₁μ₂ + C₁)(2 σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂))

    averaged over pixels and channels, with a Gaussian window of 11 pixels and deviation 1.5 that lies wholly in
    the image, C₁ = (0.01 · 255)² and C₂ = (0.03 · 255)². Wang et al., 2004, Section III.B, IEEE TIP 13(4).

    Args:
        x: images, 0 to 255, [N, C, H, W].
        y: images, likewise.
        luma: of the brightness, as in `psnr`.
        crop: pixels at each edge that do not count.

    Returns:
        float64 [N]; 1 for equal images.

    Raises:
        Refused: unlike shapes, or images of less than 11 pixels a side.
    """
    return _parts(*_seen(x, y, luma, crop, _least(1)))[0]


def ms_ssim(x: Images, y: Images, *, scales: int | None = None) -> torch.Tensor:
    """Compute the multi-scale structural similarity of each pair of images.

        MS-SSIM = SSIM_M^{w_M} ∏_{j<M} CS_j^{w_j}

    where CS is SSIM's second factor and each scale is half of the last by a mean over 2x2 pixels. Wang et al.,
    2003 (Asilomar), Equation 7. Negative factors count as 0. Five scales need 161 pixels a side or more; of
    fewer, the first so many weights are scaled to sum to 1, and it is another number.

    Args:
        x: images, 0 to 255, [N, C, H, W].
        y: images, likewise.
        scales: number of scales; None is as many as fit, five at most.

    Returns:
        float64 [N]; 1 for equal images.

    Raises:
        Refused: unlike shapes, or images too small for so many scales.
    """
    scales = scales_for(min(tuple(x.shape)[-2:])) if scales is None else scales
    if not 1 <= scales <= len(WEIGHTS):
        raise Refused(f"scales: 1 to {len(WEIGHTS)}, not {scales}")
    a, b = _pair(x, y, scales)
    weights = torch.tensor(WEIGHTS[:scales], dtype=torch.float64)
    weights = weights / weights.sum()
    total = torch.ones(len(a), dtype=torch.float64, device=a.device)
    for j, weight in enumerate(weights.tolist()):
        if j:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        whole, second = _parts(a, b)
        total = total * (whole if j == scales - 1 else second).clamp_min(0) ** weight
    return total


def scales_for(side: int) -> int:
    """How many scales images of so many pixels a side allow, five at most."""
    return next((n for n in range(len(WEIGHTS), 1, -1) if side >= _least(n)), 1)


def ms_ssim_diversity(
    images: Images, labels: NDArray[np.integer] | None = None, *, pairs: int = 100, seed: int = 0
) -> Diversity:
    """Compute the mean MS-SSIM of random pairs within each class: the lower, the more diverse.

    Odena et al., 2017, Section 4.2 (arXiv:1610.09585). Compare it with the same number of real images; and only
    at one number of scales.

    Args:
        images: 0 to 255, [N, C, H, W].
        labels: int [N]; None is one class.
        pairs: pairs drawn from each class, of two unlike images.
        seed: of the pairs.

    Raises:
        Refused: a class of less than two images, or images of less than 11 pixels a side.
    """
    classes = np.zeros(len(images), np.int64) if labels is None else np.asarray(labels)
    draw = np.random.Generator(np.random.PCG64(seed))
    first, second = [], []
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        if len(own) < 2:
            raise Refused(f"pairs within class {label} need 2 images or more, not {len(own)}")
        i = draw.integers(len(own), size=pairs)
        j = (i + draw.integers(1, len(own), size=pairs)) % len(own)
        first.append(own[i])
        second.append(own[j])
    one, other = np.concatenate(first), np.concatenate(second)
    found = [ms_ssim(images[one[k : k + 100]], images[other[k : k + 100]]) for k in range(0, len(one), 100)]
    return Diversity(float(torch.cat(found).mean()), scales_for(min(tuple(images.shape)[-2:])), len(one))


def _least(scales: int) -> int:
    return (WINDOW - 1) * 2 ** (scales - 1) + 1


def _seen(x: Images, y: Images, luma: bool, crop: int, least: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What is compared: of all channels or the brightness, and without the edges."""
    a, b = _alike(x, y)
    side = min(a.shape[2:])
    if crop < 0 or side - 2 * crop < least:
        what = "1 scale needs" if not crop else f"without {crop} at each edge, this needs"
        raise Refused(f"{what} {least + 2 * crop} pixels a side or more, not {side}")
    if luma:
        a, b = (127.5 * (brightness(each / 127.5 - 1) + 1) for each in (a, b))
    inner = slice(crop, -crop or None)
    return a[:, :, inner, inner], b[:, :, inner, inner]


def _alike(x: Images, y: Images) -> tuple[torch.Tensor, torch.Tensor]:
    if tuple(x.shape) != tuple(y.shape) or len(x.shape) != 4:
        raise Refused(f"expected two sets of images of one shape [N, C, H, W], not {list(x.shape)} and {list(y.shape)}")
    a, b = (each if isinstance(each, torch.Tensor) else as_tensor(each) for each in (x, y))
    return a.to(torch.float64), b.to(torch.float64)


def _pair(x: Images, y: Images, scales: int) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = _alike(x, y)
    side, least = min(tuple(x.shape)[-2:]), _least(scales)
    if side < least:
        raise Refused(f"{scales} scale{'s need' if scales > 1 else ' needs'} {least} pixels a side or more, not {side}")
    return a, b


def _parts(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SSIM and its second factor (contrast and structure), each [N]."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    at = torch.arange(WINDOW, dtype=torch.float64, device=a.device) - WINDOW // 2
    row = (-(at**2) / (2 * SIGMA**2)).exp()
    row = row / row.sum()

    def blurred(x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, 1, *x.shape[2:])
        return F.conv2d(F.conv2d(flat, row.view(1, 1, -1, 1)), row.view(1, 1, 1, -1))

    m1, m2 = blurred(a), blurred(b)
    s11, s22, s12 = blurred(a * a) - m1 * m1, blurred(b * b) - m2 * m2, blurred(a * b) - m1 * m2
    second = (2 * s12 + c2) / (s11 + s22 + c2)
    whole = second * (2 * m1 * m2 + c1) / (m1 * m1 + m2 * m2 + c1)
    return whole.reshape(len(a), -1).mean(1), second.reshape(len(a), -1).mean(1)


def _diversity(materials: Materials) -> dict[str, Value]:
    images, labels = materials.fake.images, materials.fake.labels
    assert images is not None
    found = ms_ssim_diversity(images, None if labels is None else labels[: len(images)], seed=materials.seed)
    # Of fewer scales it is another number, and is called so.
    return {"" if found.scales == len(WEIGHTS) else f"ms-ssim-{found.scales}-scales": Value(found.similarity)}


MEASURES = (
    Measure(
        "ms-ssim", _diversity, "likeness of pairs within a class (lower is more diverse)", "real",
        frozenset({"images"}), least=20, settings={"pairs a class": 100}, bare=True, alone=True,
    ),
)  # fmt: skip
