import numpy as np
import pytest
import torch
from engine.playing import RECIPES

from gansmith import recipe as recipes
from gansmith.build import Facts, build
from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.insight.directions import (
    Directions,
    directions,
    mapping_of,
    principal,
    regressed,
    shifted,
    singular,
)


def rotation(width, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


def same(found, wanted, tolerance):
    """Whether each vector is the other or its opposite."""
    cosine = np.abs((np.asarray(found, np.float64) * wanted).sum(1))
    assert cosine == pytest.approx(np.ones(len(cosine)), abs=tolerance)


@pytest.mark.parametrize("width", [5, 40])
def test_principal_components_are_those_of_a_known_covariance(width):
    # Rows whose sample covariance is exactly R diag(d) Rᵀ: whitened, then coloured.
    n, deviations = 30 if width == 40 else 500, np.geomspace(4, 0.5, 5)
    z = np.random.default_rng(1).normal(size=(n, 5))
    z -= z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T)).T)
    turned = rotation(width, 2)[:5]
    found = principal(z * deviations @ turned + 7.0, 3)
    same(found.vectors, turned[:3], 1e-6)
    assert found.deviations == pytest.approx(deviations[:3])
    assert found.shares == pytest.approx(deviations[:3] ** 2 / (deviations**2).sum())
    assert (np.take_along_axis(found.vectors, np.abs(found.vectors).argmax(1)[:, None], 1) > 0).all()


@pytest.mark.parametrize("outputs", [12, 400])
def test_of_a_linear_layer_the_regression_finds_its_right_singular_vectors(outputs):
    # y = A z + b with A = U S Vᵀ: x_k = s_k v_kᵀ z, so z regressed on x_k is v_k / s_k, for white latents exactly.
    z = np.random.default_rng(3).normal(size=(200, 6))
    z -= z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T)).T)
    right, values = rotation(6, 4), np.array([9.0, 5, 3, 2, 1, 0.5])
    left = rotation(outputs, 5)[:, :6]
    matrix = left * values @ right
    found = regressed(z @ matrix.T + 3.0, z, 4)
    same(found.vectors, right[:4], 1e-6)
    assert found.shares == pytest.approx(values[:4] ** 2 / (values**2).sum())
    assert found.deviations == pytest.approx(np.ones(4))
    weights = singular(matrix, 4)
    same(weights.vectors, right[:4], 1e-6)
    assert weights.shares == pytest.approx(values[:4] ** 2 / (values**2).sum())


def test_what_latents_do_not_move_is_no_direction():
    z = np.random.default_rng(0).normal(size=(300, 8))
    matrix = np.zeros((5, 8))
    matrix[0, 2], matrix[1, 6] = 3.0, 1.0
    for found in (regressed(z @ matrix.T, z, 8), singular(matrix, 8)):
        assert found.vectors.shape == (2, 8)
        same(found.vectors, np.eye(8)[[2, 6]], 0.02)
    assert singular(np.zeros((3, 4)), 2).vectors.shape == (0, 4)


def test_a_shift_is_so_many_deviations_along_each():
    found = Directions(np.eye(3, dtype=np.float32), np.array([2.0, 1.0, 0.5]), np.ones(3))
    assert found.shift([1, -2]).tolist() == [2.0, -2.0, 0.0]
    with pytest.raises(ValueError, match="3 directions, and 4 amounts"):
        found.shift([0, 0, 0, 1])


def test_what_cannot_be_decomposed_is_refused():
    for bad in (np.ones((1, 3)), np.array([[1.0, np.nan], [0, 0]])):
        with pytest.raises(Refused, match="two finite vectors"):
            principal(bad, 2)
    with pytest.raises(Refused, match="finite weights"):
        singular(np.array([[np.inf]]), 1)
    with pytest.raises(Refused, match="as many outputs"):
        regressed(np.ones((3, 2)), np.ones((4, 2)), 1)


# --- of models -------------------------------------------------------------------------------------


def made(name, classes=0, shape=(1, 8, 8), noise=6, **fields):
    base = {"name": name, "noise": noise, "batch": 8, "images": 64, "precision": "fp32", **RECIPES.get(name, {})}
    recipe = recipes.validate(recipes.merge(base, fields), "test")
    torch.manual_seed(0)
    game = build(recipe, Facts(shape, classes)).eval().requires_grad_(False)
    names = tuple(str(i) for i in range(classes)) if classes else None
    sampler = Sampler(
        game.generate, shape=shape, modality="image", noise=noise, classes=names, truncated=game.truncated
    )
    return game, sampler


STYLED = {
    "game": "synthesis",
    "generator": {"network": "stylegan2", "base": 64, "most": 8, "mapping_layers": 2, "width_w": 5},
    "discriminator": {"network": "stylegan2", "base": 64, "most": 8},
}  # fmt: skip


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan"])
def test_by_weights_and_by_outputs_agree_where_the_first_layer_is_linear(name, classes):
    game, sampler = made(name, classes)
    layer = {"gan": lambda g: g.layers[0], "dcgan": lambda g: g.first, "r3gan": lambda g: g.first}[name](game.generator)
    matrix = torch.randn(len(layer.weight), 6, dtype=torch.float64) * torch.tensor([8.0, 4, 2, 1, 0.5, 0.25])
    layer.weight[:, :6] = matrix.to(layer.weight)
    found = directions(game, sampler, "weights", 3)
    wanted = np.linalg.svd(layer.weight[:, :6].double().numpy())
    same(found.vectors, wanted.Vh[:3], 1e-5)
    assert found.shares == pytest.approx(wanted.S[:3] ** 2 / (wanted.S**2).sum(), rel=1e-4)
    assert found.space == "noise"
    same(directions(game, sampler, "outputs", 3).vectors, found.vectors, 0.02)


def test_each_direction_of_latents_changes_what_is_made():
    game, sampler = made("dcgan")
    found = directions(game, sampler, "outputs", 2)
    z = sampler.latents(3, 0)
    with shifted(game, found, [0.0, 0.0]) as step:
        assert step is None
    with shifted(game, found, [3.0]) as step:
        assert step == pytest.approx(3 * found.vectors[0])
        assert not np.array_equal(sampler.decode(z + step), sampler.decode(z))


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("by", ["outputs", "weights"])
def test_where_there_are_styles_they_are_the_space(by, classes):
    game, sampler = made("styled", classes, **STYLED)
    found = directions(game, sampler, by, 4)
    assert found.space == "styles"
    assert found.vectors.shape == (4, 5)
    labels = sampler.labels_for(1024)
    told = None if labels is None else torch.from_numpy(labels)
    styles = game.generator.mapping(torch.from_numpy(sampler.latents(1024, 0)), told).double().numpy()
    if labels is not None:
        for kind in range(classes):
            styles[labels == kind] -= styles[labels == kind].mean(0)
    assert found.deviations == pytest.approx((styles @ found.vectors.T).std(0, ddof=1), rel=1e-4)
    if by == "outputs":
        same(found.vectors, np.linalg.svd(styles - styles.mean(0))[2][:4], 1e-4)
    else:
        blocks = [m.style for m in game.generator.modules() if hasattr(m, "style")]
        stacked = torch.cat([b(torch.eye(5)) - b(torch.zeros(1, 5)) for b in blocks], 1).T.double().numpy()
        same(found.vectors, np.linalg.svd(stacked)[2][:4], 1e-4)


def test_styles_are_moved_inside_the_block_alone():
    game, sampler = made("styled", **STYLED)
    found = directions(game, sampler, "outputs", 2)
    z = sampler.latents(3, 0)
    before = sampler.decode(z)
    with shifted(game, found, [2.0, 1.0]) as step:
        assert step is None
        moved = sampler.decode(z)
    w = game.generator.mapping(torch.from_numpy(z)) + torch.from_numpy(found.shift([2.0, 1.0]))
    wanted = game.generator.synthesis(w[:, None].expand(-1, game.generator.layers, -1))
    assert np.array_equal(moved, wanted.mul(127.5).add(128).clamp(0, 255).to(torch.uint8).numpy())
    assert np.array_equal(sampler.decode(z), before)
    assert not np.array_equal(moved, before)
    assert mapping_of(game) is not None


def test_another_way_is_refused():
    game, sampler = made("gan")
    with pytest.raises(Refused, match="by outputs or weights, not 'magic'"):
        directions(game, sampler, "magic")
