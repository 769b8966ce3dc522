"""The references are over the same networks: stock layers compute what gansmith's do."""

import pytest
import torch
from benches import load_bench

from gansmith.build import Facts, build
from gansmith.recipe import load


@pytest.fixture(scope="module")
def naive():
    return load_bench("naive")


@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan-small"])
def test_stock_layers_compute_the_same(naive, name):
    recipe = load(name, {"conditional": False})
    game = build(recipe, Facts((1, 28, 28), 0)).double()
    generator, discriminator = naive.sides(recipe, (1, 28, 28))
    noise = torch.randn(4, recipe.noise, generator=torch.Generator().manual_seed(0)).double()
    if name == "gan":  # its dropout would draw
        game.eval(), generator.eval(), discriminator.eval()
    ours, theirs = game.generator(noise), generator.double()(noise)
    torch.testing.assert_close(theirs, ours, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(discriminator.double()(theirs).flatten(), game.discriminator(ours).flatten())
    kinds = {type(m) for m in (*generator.modules(), *discriminator.modules())} - {*naive.OF_STOCK}
    assert not {"gansmith.networks.convolution", "gansmith.networks.layers"} & {kind.__module__ for kind in kinds}


@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan-small"])
def test_loops_train_both_sides(naive, name):
    loop = naive.NAIVE[name](load(name, {"conditional": False}), (1, 28, 28))
    before = [p.detach().clone() for p in (*loop.generator.parameters(), *loop.discriminator.parameters())]
    torch.manual_seed(0)
    for _ in range(2):
        losses = loop.step(torch.randint(256, (4, 1, 28, 28), dtype=torch.uint8))
    assert all(torch.isfinite(torch.tensor(loss)) for loss in losses)
    after = [*loop.generator.parameters(), *loop.discriminator.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
