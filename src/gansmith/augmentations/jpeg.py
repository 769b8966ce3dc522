"""What JPEG does to a picture: 8x8 cosine transforms, rounded by tables that a quality scales.

ITU-T T.81, with the example tables of its Annex K, scaled as the Independent JPEG Group's library scales them; colours
by JFIF, and by half of their sides. Entropy coding loses nothing, and is left out.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


@lru_cache(maxsize=1)
def _cosines() -> torch.Tensor:
    """The orthonormal DCT-II of eight values: [8, 8]."""
    n = torch.arange(8, dtype=torch.float64)
    rows = ((2 * n[None] + 1) * n[:, None] * math.pi / 16).cos() / 2
    rows[0] /= math.sqrt(2)
    return rows


def jpeg(x: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """The pictures as they come back from a JPEG file.

    Args:
        x: grey or RGB in [-1, 1], [B, C, H, W], C = 1 or 3; sides of any length.
        quality: of each, [B], from 1 to 100.
    """
    height, width = x.shape[2:]
    down = (-height % 16, -width % 16)
    x = F.pad((x * 127.5 + 127.5).round(), (0, down[1], 0, down[0]), mode="replicate")
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).floor().view(-1, 1, 1, 1, 1, 1)
    if x.shape[1] == 1:
        out = _through(x - 128, _LUMA, scale) + 128
    else:
        turn = torch.tensor(_YCC, dtype=torch.float64)
        planes = torch.einsum("ij,bjhw->bihw", turn.to(x), x)
        luma = _through(planes[:, :1] - 128, _LUMA, scale) + 128
        chroma = _through(F.avg_pool2d(planes[:, 1:], 2), _CHROMA, scale)
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear")  # as decoders smooth it
        out = torch.einsum("ij,bjhw->bihw", turn.inverse().to(x), torch.cat([luma, chroma], 1))
    return (out.round().clamp(0, 255) / 127.5 - 1)[:, :, :height, :width]


def _through(planes: torch.Tensor, table: tuple[tuple[int, ...], ...], scale: torch.Tensor) -> torch.Tensor:
    """Planes [B, C, H, W] about zero, transformed, rounded and transformed back, block by block."""
    cosines = _cosines().to(planes)
    steps = ((torch.tensor(table).to(planes) * scale + 50) / 100).floor().clamp(1, 255)
    blocks = planes.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)
    freqs = cosines @ blocks @ cosines.T
    blocks = cosines.T @ ((freqs / steps).round() * steps) @ cosines
    return blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
