from __future__ import annotations

import numpy as np
import pytest

from gansmith.data.points import disjoint, grid, line, moons, ring, spiral, two_gaussians


@pytest.mark.parametrize(("make", "modes"), [(ring, 8), (grid, 25), (two_gaussians, 2)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_mixtures(make, modes, split):
    data = make(split)
    assert data.modes is not None
    assert data.array.dtype == np.float32
    assert data.modes.centres.shape == (modes, 2)
    off = data.array - data.modes.centres[data.labels]
    assert abs(off.std() / data.modes.sigma - 1) < 0.02
    assert abs(off.mean()) < data.modes.sigma / 50
    share = np.bincount(data.labels, minlength=modes) * modes / data.count
    assert np.abs(share - 1).max() < 0.15
    # Each point is nearest to the centre that its label names.
    near = ((data.array[:2000, None] - data.modes.centres) ** 2).sum(-1).argmin(1)
    assert np.array_equal(near, data.labels[:2000])


def test_the_papers_scales():
    modes = ring().modes
    assert modes is not None
    assert np.allclose(np.linalg.norm(modes.centres, axis=1), 2)
    modes = grid().modes
    assert modes is not None
    assert sorted(set(modes.centres[:, 0].tolist())) == [-4, -2, 0, 2, 4]


def test_the_spiral():
    data = spiral()
    assert data.array is not None
    assert data.modes is None
    assert np.linalg.norm(data.array, axis=1).max() < 2.2
    # Turning the plane by half a turn exchanges the arms.
    assert data.labels is not None
    centre = [data.array[data.labels == arm].mean(0) for arm in (0, 1)]
    assert np.allclose(centre[0], -centre[1], atol=0.02)


def test_the_line():
    data = line()
    along = data.array @ np.array([[2, 1], [-1, 2]]).T / np.sqrt(5)
    assert abs(along[:, 1].std() - 0.02) < 0.001
    # Even along it: the mean square is a third of the square of its half.
    assert abs((along[:, 0] ** 2).mean() - 5 / 3) < 0.03
    assert np.mean(data.labels != (along[:, 0] >= 0)) < 0.01


def test_the_squares_lie_apart():
    data = disjoint()
    for label, middle in enumerate(((-1.5, -1.0), (1.5, 1.0))):
        off = data.array[data.labels == label] - np.array(middle, np.float32)
        assert np.abs(off).max() <= 0.5 + 1e-6
        assert np.allclose(off.var(0), 1 / 12, atol=0.003)


def test_the_moons():
    data = moons()
    # Half a turn exchanges them, and each point lies on its circle.
    for label, centre in enumerate(((-0.5, -0.25), (0.5, 0.25))):
        off = data.array[data.labels == label] - np.array(centre, np.float32)
        assert abs(np.linalg.norm(off, axis=1).std() - 0.05) < 0.003
        assert np.mean((off[:, 1] > -0.15) == (label == 0)) > 0.5
    assert np.allclose(data.array.mean(0), 0, atol=0.02)


@pytest.mark.parametrize("make", [ring, grid, spiral, two_gaussians, line, disjoint, moons])
def test_drawn_once_and_for_all(make):
    assert np.array_equal(make().array, make().array)
    assert not np.isin(make("test").array[:, 0], make("train").array[:, 0]).mean() > 0.05
