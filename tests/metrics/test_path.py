"""Perceptual path length, where it has a closed form."""

import numpy as np
import pytest
import torch

from gansmith.errors import Refused
from gansmith.metrics.measure import Materials, Side, measures
from gansmith.metrics.path import EPSILON, perceptual_path_length
from gansmith.metrics.pixels import PixelExtractor


def straight(speed):
    """Images that all change by one known direction."""

    def path(n, epsilon, seed):
        r = np.random.RandomState(seed)
        one = torch.from_numpy(100 + 50 * r.rand(n, 1, 4, 4))
        return one, one + epsilon * torch.as_tensor(speed)

    return path


def test_of_images_on_straight_lines_it_is_the_squared_speed():
    found = perceptual_path_length(straight(3.0), lambda x: x.flatten(1), n=250)
    np.testing.assert_allclose(found, 16 * 9.0, rtol=1e-5)


def test_the_measure_takes_means_of_the_middle_and_the_extractors_scale():
    extractor = PixelExtractor((1, 4, 4))
    side = Side(np.zeros((2, 16), np.float32))
    materials = Materials(side, side, 0, extractor, straight(200.0))
    found = measures()["ppl"].compute(materials)[""]
    # Float32 images of about 100 are rounded to 1e-5, and a step changes them by 2e-2.
    assert found.value == pytest.approx(16 * (200 / 127.5) ** 2, rel=1e-2)
    assert found.spread < 0.01 * found.value
    assert EPSILON == 1e-4


def test_refuses():
    with pytest.raises(Refused, match="not finite"):
        perceptual_path_length(straight(np.nan), lambda x: x.flatten(1), n=5)
    side = Side(np.zeros((2, 16), np.float32))
    with pytest.raises(Refused, match="float images"):
        measures()["ppl"].compute(Materials(side, side, 0, None, straight(1.0)))
