"""What augmentations of images have in common."""

from __future__ import annotations

import pytest
import torch

from gansmith.augmentations.parts import checked, colours, over


def test_channels_that_are_colours():
    assert [colours("it", (c, 4, 4)) for c in (1, 2, 3, 4)] == [1, 1, 3, 3]
    for shape in ((2,), (5, 4, 4), (0, 4, 4)):
        with pytest.raises(ValueError, match="it augments images of 1 to 4 channels, not examples of shape"):
            colours("it", shape)


def test_strengths_are_probabilities():
    assert checked({"a": 0.0, "b": 1.0}) == {"a": 0.0, "b": 1.0}
    with pytest.raises(ValueError, match=r"b: a strength is a probability in \[0, 1\], not -0.1"):
        checked({"a": 0.0, "b": -0.1})


def test_one_value_an_example():
    assert over(torch.ones(3)).shape == (3, 1, 1, 1)
