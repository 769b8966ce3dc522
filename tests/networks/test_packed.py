"""PacGAN's discriminator: which examples a logit is of, classes, and penalties of whole packs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gansmith.build import Facts, build
from gansmith.data.dataset import Batch, Dataset
from gansmith.draws import Draws
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled, Eager
from gansmith.errors import Refused
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import adversarial, penalties
from gansmith.networks import mlp, packed
from gansmith.networks.layers import couples, read
from gansmith.recipe import validate

INNER = {
    "mlp": {"hidden": [6]}, "dcgan": {"width": 4}, "resnet": {"width": 4}, "patches": {"width": 4},
    "autoencoder": {"width": 4},
}  # fmt: skip


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("inner", sorted(INNER))
def test_a_pack_of_neighbours_has_one_logit(inner: str, classes: int):
    torch.manual_seed(0)
    network = packed.Discriminator((2, 9, 8), classes, pack=3, inner=inner, **INNER[inner])
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0]) if classes else None
    x = torch.randn(7, 2, 9, 8, requires_grad=True)
    network.eval()
    logits = network(x, labels)
    assert logits.shape == (2,)
    (slope,) = torch.autograd.grad(logits[1], x, retain_graph=True)
    assert [bool(row.any()) for row in slope] == [False] * 3 + [True] * 3 + [False]
    assert couples(network)
    assert network.energy == (inner == "autoencoder")
    features = read(network, x, labels)
    assert features.shape == (2, network.feature_width)
    if inner != "autoencoder":
        assert torch.equal(network.logits(features, labels), logits)


def test_the_inner_network_sees_the_packs_channels_and_their_classes():
    network = packed.Discriminator((1, 2, 2), 3, pack=2, hidden=[4])
    x, labels = torch.arange(16.0).view(4, 1, 2, 2), torch.tensor([0, 2, 1, 1])
    seen = network.packed(x, labels)
    assert seen.shape == (2, 8, 2, 2)
    assert seen[0, :, 0, 0].tolist() == [0, 1, 0, 0, 4, 0, 0, 1]
    assert seen[1, :, 1, 1].tolist() == [11, 0, 1, 0, 15, 0, 1, 0]
    points = packed.Discriminator((2,), 2, pack=2, hidden=[4]).packed(torch.arange(8.0).view(4, 2), labels % 2)
    assert points.tolist() == [[0, 1, 1, 0, 2, 3, 1, 0], [4, 5, 0, 1, 6, 7, 0, 1]]


def test_one_example_a_pack_is_the_inner_network():
    torch.manual_seed(0)
    network = packed.Discriminator((2,), pack=1, hidden=[4])
    x = torch.randn(5, 2)
    assert torch.equal(network(x), network.inner(x))


@pytest.mark.parametrize("how", ["eager", "traced"])
@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty", "lipschitz_penalty"])
def test_a_penalty_is_of_the_gradient_of_the_whole_pack(name: str, how: str):
    torch.manual_seed(0)
    generator = mlp.Generator((2,), 3, hidden=(5,))
    game = Synthesis(
        generator, packed.Discriminator((2,), pack=2, hidden=[6]), loss=adversarial.wasserstein(),
        penalties={name: Lazy(getattr(penalties, name)())}, noise=3, shared_fakes=False,
    ).double()  # fmt: skip
    real = torch.randn(6, 2, dtype=torch.float64)
    turn = Turn(Batch(real), Draws(0, 0, 6, prefix="discriminator"), {name: 0.7})
    targets = list(game.discriminator.parameters())
    a, b, c, d = targets

    def judged(pairs: torch.Tensor) -> torch.Tensor:
        return (F.leaky_relu(pairs @ a.T + b, 0.2) @ c.T + d).squeeze(1)

    fake = generator(turn.draws.normal("noise", 3).double()).detach()
    share = turn.draws.uniform("between").double()[:, None]
    at = {"r1": real, "r2": fake}.get(name, real + share * (fake - real)).view(3, 4).clone().requires_grad_()
    (slope,) = torch.autograd.grad(judged(at).sum(), at, create_graph=True)
    length = (slope**2).sum(1).sqrt()
    value = {
        "gradient_penalty": (length - 1) ** 2, "lipschitz_penalty": (length - 1).clamp(min=0) ** 2,
    }.get(name, length**2 / 2)  # fmt: skip
    loss = (judged(fake.view(3, 4)) - judged(real.view(3, 4)) + 0.7 * value).mean()
    stepper = Eager(game) if how == "eager" else Compiled(game, lambda graph: graph)
    result = stepper("discriminator", turn, targets)
    assert result.terms[name].shape == (3,)
    wanted = torch.autograd.grad(loss, targets, allow_unused=True)
    for mine, theirs in zip(result.grads, wanted, strict=True):
        assert (mine is None) == (theirs is None) or not theirs.any()
        if theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


def test_a_recipe_names_the_inner_network_and_a_player_plays_it():
    recipe = validate(
        {"generator": {"network": "mlp", "hidden": [8]}, "noise": 4, "batch": 9, "images": 900, "precision": "fp32",
         "discriminator": {"network": "packed", "pack": 2, "inner": "mlp", "hidden": [8]}}, "test",
    )  # fmt: skip
    points = np.random.Generator(np.random.PCG64(0)).normal(size=(64, 2)).astype(np.float32)
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    game = build(recipe, Facts((2,)))
    player = Player(game, Dataset("p", "points", (2,), 64, array=points), recipe, torch.device("cpu"), numerics)
    player.round()
    assert player.healthy()
    assert game.coupled
    player.close()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"inner": "mpl"}, "no network with a discriminator is called 'mpl'; did you mean 'mlp'?"),
        ({"inner": "packed"}, "no network with a discriminator is called 'packed'"),
        ({"inner": "layers"}, "no network with a discriminator is called 'layers'"),
        ({"pack": 0}, "pack is a number of examples from 1"),
        ({"widht": 3}, "unexpected keyword argument 'widht'"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], said: str):
    recipe = validate({"generator": "mlp", "discriminator": {"network": "packed", **fields}}, "test")
    with pytest.raises(Refused) as caught:
        build(recipe, Facts((1, 8, 8)))
    assert said in str(caught.value)


def test_fewer_examples_than_a_pack_are_told():
    with pytest.raises(ValueError, match="packs of 4 examples cannot be made of 3"):
        packed.Discriminator((2,), pack=4)(torch.zeros(3, 2))
