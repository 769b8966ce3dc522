"""Operations of a training, against their closed form and over kinds of rounds and phases."""

import pytest
import torch
from benches import load_bench
from torch import nn

from gansmith.recipe import load

bench = load_bench("zoo_cost")
HIDDEN = {"generator.hidden": [32], "discriminator.hidden": [16], "noise": 8, "batch": 16}


def operations(name, data, **fields):
    recipe = load(name, {**fields, "images": 1000})
    return bench.cost(recipe, bench.random_data(data, recipe))["operations"]


def test_perceptrons_have_a_closed_form():
    layers = {"generator": 8 * 32 + 32 * 64, "discriminator": 64 * 16 + 16 * 1}
    inner = {"generator": 32 * 64, "discriminator": 16 * 1}  # whose inputs have a gradient
    # Fakes; both kinds judged; weights' gradients and, but for the first layer, inputs'.
    theirs = layers["generator"] + 2 * (2 * layers["discriminator"] + inner["discriminator"])
    # The same fakes, judged anew; down through the judge; the generator's weights, and inputs but for the noise.
    ours = 2 * layers["discriminator"] + layers["generator"] + inner["generator"]
    assert operations("gan", "digits", **HIDDEN) == pytest.approx(2 * (theirs + ours), rel=1e-3)


@pytest.mark.parametrize("every", [2, 4])
def test_a_lazy_penalty_counts_as_often_as_it_comes(every):
    plain, always, lazy = (
        operations("gan", "digits", **HIDDEN, **more)
        for more in ({}, {"penalties.r1.weight": 1}, {"penalties.r1.weight": 1, "penalties.r1.every": every})
    )
    assert lazy == pytest.approx(plain + (always - plain) / every, rel=1e-3)


def test_what_is_done_to_weights_alone_is_shared_by_the_batch():
    few, many = ({**HIDDEN, "batch": batch} for batch in (16, 128))
    more = {"penalties.orthogonal.weight": 1}
    added = [
        operations("gan", "digits", **fields, **more) - operations("gan", "digits", **fields) for fields in (few, many)
    ]
    assert added[1] == pytest.approx(added[0] / 8, rel=0.05)
    assert operations("gan", "digits", **many) == pytest.approx(operations("gan", "digits", **few), rel=1e-3)


def test_a_growing_network_costs_more_and_more():
    recipe = load("pggan", {"generator.width": 8, "discriminator.width": 8, "batch": 4, "images": 100_000})
    data = bench.random_data("mnist", recipe)
    whole = bench.cost(recipe, data)["operations"]
    player = bench.player_of(recipe, data, 4)
    small, large = (bench.phase(player, images)[0] for images in (1, 99_000))
    player.close()
    assert small < whole < large


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_convolutions_gradients_cost_twice_its_way_forward(layer, groups):
    conv, x = layer(8, 4, 3, groups=groups), torch.ones(2, 8, 7, 7, requires_grad=True)
    with bench.Counter() as forward:
        out = conv(x)
    places = x if layer is nn.ConvTranspose2d else out
    assert forward.total == 2 * places.numel() * conv.weight[0].numel()
    with bench.Counter() as back:
        torch.autograd.grad(out.sum(), [x, conv.weight])
    assert back.total == 2 * forward.total


def test_commands_say_what_to_train():
    found = bench.wanted()
    recipe, data = found["sngan"]
    assert (recipe.images, data.shape, data.labels) == (16_000_000, (3, 32, 32), None)
    recipe, data = found["biggan"]
    assert (recipe.images, data.shape, len(data.classes)) == (600_000_000, (3, 128, 128), 1000)
    assert found["wgan"][1].shape == (3, 64, 64)
    assert not {"auto", "pix2pix", "esrgan", "ctgan"} & set(found)
