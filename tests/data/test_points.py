from __future__ import annotations

import numpy as np
import pytest

from gansmith.data.points import grid, ring, spiral


@pytest.mark.parametrize(("make", "modes"), [(ring, 8), (grid, 25)])
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


@pytest.mark.parametrize("make", [ring, grid, spiral])
def test_drawn_once_and_for_all(make):
    assert np.array_equal(make().array, make().array)
    assert not np.isin(make("test").array[:, 0], make("train").array[:, 0]).mean() > 0.05
