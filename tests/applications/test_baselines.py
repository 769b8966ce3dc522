"""Baselines against their formulas, the verdict of a comparison, and anomalies that are made."""

import numpy as np
import pytest

from gansmith.applications.baselines import (
    beside,
    compare,
    exchanged,
    isolation_forest,
    nearest_neighbours,
    principal_components,
)

FIT = np.random.default_rng(0).normal(size=(40, 3)) * [1, 10, 0.1]
TEST = np.random.default_rng(1).normal(size=(7, 3)) * [1, 10, 0.1]


SCALED = [(x - FIT.mean(0)) / FIT.std(0) for x in (FIT, TEST)]


def test_the_fifth_nearest():
    apart = np.linalg.norm(TEST[:, None] - FIT[None], axis=2)
    np.testing.assert_allclose(nearest_neighbours(FIT, TEST, 0), np.sort(apart, 1)[:, 4])


def test_the_distance_from_the_plane():
    fit, test = SCALED
    values, vectors = np.linalg.eigh(fit.T @ fit)
    share = np.cumsum(values[::-1]) / values.sum()
    lost = vectors[:, : 3 - (1 + int(np.searchsorted(share, 0.9)))]
    np.testing.assert_allclose(principal_components(fit, test, 0), np.square(test @ lost).sum(1), atol=1e-12)


def test_columns_of_tables_are_standardised_and_pixels_are_not():
    found = beside(FIT, TEST)
    assert list(found) == ["isolation forest", "k nearest neighbours", "PCA"]
    np.testing.assert_allclose(found["k nearest neighbours"], nearest_neighbours(*SCALED, 0))
    pixels = [x.reshape(-1, 1, 1, 3) for x in (FIT, TEST)]
    found = beside(*pixels, names=["k nearest neighbours"])
    np.testing.assert_allclose(found["k nearest neighbours"], nearest_neighbours(FIT, TEST, 0))


def test_a_forest_is_seeded():
    np.testing.assert_array_equal(isolation_forest(FIT, TEST, 1), isolation_forest(FIT, TEST, 1))


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [(2.0, 0.0, "The GAN is better"), (0.0, 2.0, "A baseline is better here: PCA"), (1.0, 1.0, "cannot be told apart")],
)
def test_the_verdict(own, other, said):
    random = np.random.default_rng(0)
    odd = np.repeat([False, True], 100)
    found = compare(
        "critic", random.normal(size=200) + own * odd, {"PCA": random.normal(size=200) + other * odd}, odd, "data"
    )
    assert said in found.verdict
    assert found.rows[0].detector == "GAN (critic)"
    assert str(found).splitlines()[0] == "compared on data:"


def test_made_anomalies_keep_each_column():
    made = exchanged(FIT, 0)
    np.testing.assert_array_equal(np.sort(made, 0), np.sort(FIT, 0))
    assert (made != FIT).any(1).mean() > 0.8
    images = np.arange(6, dtype=np.uint8).repeat(64).reshape(6, 1, 8, 8)
    mixed = exchanged(images, 0)
    assert all(len(np.unique(image)) <= 2 for image in mixed)
    assert (mixed != images).mean() <= 0.25
