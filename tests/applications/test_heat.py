"""Heat over a picture."""

import numpy as np

from gansmith.applications.heat import HOT, overlaid


def test_normal_pixels_stay_grey_and_hot_ones_are_red():
    image = np.full((1, 2, 2), 100, np.uint8)
    made = overlaid(image, np.array([[0, 0.05], [0.125, 1]], np.float32), 0.1)
    assert made[0, 0].tolist() == [100, 100, 100]
    assert made[0, 1].tolist() == [100, 100, 100]
    np.testing.assert_allclose(made[1, 0], 50 + HOT / 2, atol=0.51)
    assert made[1, 1].tolist() == HOT.tolist()
    assert overlaid(np.zeros((4, 2, 2), np.uint8), np.zeros((2, 2), np.float32), 0.1).shape == (2, 2, 3)
