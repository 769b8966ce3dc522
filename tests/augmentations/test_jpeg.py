"""JPEG by tensors, against Pillow's: the same picture to the rounding, but for what libjpeg does in whole numbers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from gansmith.augmentations.jpeg import jpeg


def smooth(channels, side=48):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (6, 6, channels), dtype=np.uint8)
    image = Image.fromarray(low[:, :, 0] if channels == 1 else low).resize((side, side - 7), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(side - 7, side, channels)


@pytest.mark.parametrize("quality", [10, 40, 75, 95])
@pytest.mark.parametrize(("channels", "close"), [(1, 0.5), (3, 1.0)])
def test_as_pillow_has_it(channels, close, quality):
    x = smooth(channels)
    held = io.BytesIO()
    Image.fromarray(x[:, :, 0] if channels == 1 else x).save(held, "JPEG", quality=quality, subsampling="4:2:0")
    theirs = np.asarray(Image.open(held)).reshape(x.shape).astype(float)
    mine = jpeg(torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1, torch.tensor([float(quality)]))
    mine = ((mine[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    lost = np.abs(theirs - x).mean()
    assert np.abs(theirs - mine).mean() < close * max(lost, 0.5)
    assert np.abs(mine - x).mean() == pytest.approx(lost, rel=0.15, abs=0.2)


def test_each_picture_has_its_own_quality():
    x = torch.from_numpy(smooth(3).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    both = jpeg(x.expand(2, -1, -1, -1), torch.tensor([20.0, 90.0]))
    for i, quality in enumerate((20.0, 90.0)):
        assert torch.equal(both[i : i + 1], jpeg(x, torch.tensor([quality])))
    assert (both[0] - x).abs().mean() > (both[1] - x).abs().mean()
