"""The brightness of RGB, grey and alpha, against the rule in numbers of 0 to 255."""

import pytest
import torch

from gansmith.losses.brightness import luma


def test_of_rgb_by_the_rule():
    x = torch.rand(2, 4, 3, 5, dtype=torch.float64) * 255
    wanted = 16 + (65.481 * x[:, 0] + 128.553 * x[:, 1] + 24.966 * x[:, 2]) / 255
    found = luma(x / 127.5 - 1)
    assert found.shape == (2, 1, 3, 5)
    torch.testing.assert_close((found[:, 0] + 1) * 127.5, wanted)
    # MATLAB's: black is 16, white 235.
    for value, level in ((-1.0, 16.0), (1.0, 235.0)):
        assert float((luma(torch.full((1, 3, 1, 1), value).double()) + 1) * 127.5) == pytest.approx(level)


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_is_its_own(channels):
    x = torch.rand(2, channels, 3, 5)
    assert torch.equal(luma(x), x[:, :1])
