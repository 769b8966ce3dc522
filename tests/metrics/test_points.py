import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.metrics.points import PointExtractor


def test_points_are_their_own_features():
    x = np.random.RandomState(0).randn(5, 2)
    extractor = PointExtractor((2,))
    np.testing.assert_array_equal(extractor.features(x), x.astype(np.float32))
    assert extractor.checksum == PointExtractor((2,)).checksum != PointExtractor((3,)).checksum
    with pytest.raises(Refused, match=r"these points are \(3,\)"):
        extractor.features(np.zeros((5, 3)))
    with pytest.raises(Refused, match="vectors"):
        PointExtractor((1, 8, 8))
