"""Members: distances against a plain double loop, levels, and what is kept of one."""

import numpy as np
import pytest
import torch

from gansmith.applications.normality import METHODS, Member, distances, recipe_of, tensor, train

DATA = np.random.default_rng(0).normal(size=(50, 4))


def test_distances():
    points, k = DATA[:5] + 0.1, 3
    each = [sorted(np.linalg.norm(point - other) for other in DATA)[:k] for point in points]
    np.testing.assert_allclose(distances(DATA, points, k), np.mean(each, axis=1))
    assert distances(DATA[:2], points, k).shape == (5,)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(4,), (1, 8, 8)])
def test_each_method_has_a_recipe(method, shape):
    recipe = recipe_of(method, shape, 640, 7)
    assert (recipe.images, recipe.seed, recipe.precision) == (640, 7, "fp32")


def test_a_member_is_what_is_kept_of_it():
    member = train("critic", DATA, examples=256, seed=0, neighbours=2, device="cpu")
    member.calibrate(DATA[:20] + 0.3)
    scores = member.score(DATA[:20] + 0.3)
    assert scores.mean() == pytest.approx(0, abs=1e-9)
    assert scores.std() == pytest.approx(1)
    again = Member.of(member.facts(), member.tensors())
    np.testing.assert_array_equal(again.score(DATA), member.score(DATA))
    features = member.features(DATA)
    np.testing.assert_allclose(member.parts(DATA + 0.3)[:, 0], distances(features, member.features(DATA + 0.3), 2))
    assert features.dtype == np.float64


def test_the_encoders_distance_stands_beside_the_games_own_score():
    member = train("encoder", DATA, examples=256, seed=0, neighbours=2, device="cpu")
    held = DATA[:20] + 0.3
    member.calibrate(held)
    codes, others = (member.game.encode(tensor(x)).numpy() for x in (DATA, held))
    parts = np.stack([member.game.score(tensor(held)).numpy(), distances(codes, others, 2)], 1)
    np.testing.assert_allclose(member.parts(held), parts)
    logs = np.log(parts + 1e-3 * np.median(parts, 0))
    np.testing.assert_allclose(member.score(held), ((logs - logs.mean(0)) / logs.std(0)).mean(1), atol=1e-9)


def test_pictures_go_in_as_the_feed_has_them():
    given = np.array([[[[0, 255]]]], np.uint8)
    torch.testing.assert_close(tensor(given), torch.tensor([[[[-1.0, 1.0]]]]))
