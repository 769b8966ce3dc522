"""Pixel features."""

import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.pixels import PixelExtractor


@pytest.mark.parametrize(
    ("shape", "dims"), [((1, 8, 8), 64), ((1, 28, 28), 169), ((3, 32, 32), 192), ((3, 30, 120), 3 * 4 * 16)]
)
def test_dimensions(shape, dims):
    extractor = PixelExtractor(shape)
    assert isinstance(extractor, Extractor)
    assert extractor.dims == dims
    assert extractor.features(np.zeros((2, *shape), np.uint8)).shape == (2, dims)
    assert extractor.features(np.zeros((0, *shape), np.uint8)).shape == (0, dims)


def test_values_are_means_of_blocks():
    images = np.random.RandomState(0).randint(256, size=(5, 3, 32, 32), dtype=np.uint8)
    images.flags.writeable = False  # as arrays that come out of a buffer are
    blocks = images.reshape(5, 3, 8, 4, 8, 4).mean((3, 5)) / 127.5 - 1
    np.testing.assert_allclose(PixelExtractor((3, 32, 32)).features(images), blocks.reshape(5, -1), atol=1e-6)


def test_small_images_are_taken_whole():
    image = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    np.testing.assert_allclose(PixelExtractor((1, 8, 8)).features(image), image.reshape(1, 64) / 127.5 - 1, atol=1e-6)


def test_refuses_other_shapes():
    with pytest.raises(Refused, match="reference's are"):
        PixelExtractor((1, 8, 8)).features(np.zeros((1, 1, 9, 8), np.uint8))
    with pytest.raises(Refused, match="need images"):
        PixelExtractor((2,))
    assert PixelExtractor((1, 8, 8)).checksum != PixelExtractor((1, 9, 8)).checksum
