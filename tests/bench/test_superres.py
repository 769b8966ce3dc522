"""By what the benchmark of super-resolution calls a picture sharp."""

import numpy as np
import pytest
from benches import load_bench

superres = load_bench("superres")


def test_the_spectrum_of_a_wave_is_a_line():
    at = np.arange(64)
    wave = np.cos(2 * np.pi * 0.25 * at)[None].repeat(64, 0)
    found = superres.spectrum(100 * wave)
    assert found.argmax() == 16  # half of the way to half a cycle a pixel
    assert found[16] > found[24] + 3
    # Ten times the contrast is a hundred times the power.
    np.testing.assert_allclose(superres.spectrum(1000 * wave)[14:19] - found[14:19], 2, atol=1e-6)


def test_edges_are_the_gradients_lengths():
    ramp = 3.0 * np.arange(5)[None] + 4.0 * np.arange(6)[:, None]
    assert superres.edges(ramp) == pytest.approx(np.full(20, 5.0))


def test_brightness_and_edges_cut_off():
    white = np.full((12, 14, 3), 255, np.uint8)
    assert superres.luma(white) == pytest.approx(np.full((4, 6), 235.0))


def test_bicubic_is_four_times_larger():
    flat = np.full((5, 6, 3), 77, np.uint8)
    assert np.array_equal(superres.bicubic(flat), np.full((20, 24, 3), 77, np.uint8))
