"""ESRGAN's generator: sizes, the published number of parameters, and the published network itself."""

import pytest
import torch

from gansmith.networks import rrdb


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_size_and_any_channels(scale):
    torch.manual_seed(0)
    for channels in (1, 2, 3, 4):
        network = rrdb.Generator((channels, 8 * scale, 8 * scale), scale, width=4, blocks=1, growth=2)
        x = torch.randn(2, channels, 8, 11)
        made = network(x)
        assert made.shape == (2, channels, 8 * scale, 11 * scale)
        made.square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_the_papers_parameters():
    network = rrdb.Generator((3, 128, 128))
    assert sum(p.numel() for p in network.parameters()) == 16_697_987  # as published
    assert network.reach == 2 + 23 * 15 + 3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_pixel_depends_on_no_more_than_it_says(scale):
    torch.manual_seed(0)
    network = rrdb.Generator((1, 24, 24), scale, width=4, blocks=1, growth=2).eval().double()
    side = 2 * network.reach + 5
    x = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    for corner in (0, scale - 1):
        at = scale * (side // 2) + corner
        (slope,) = torch.autograd.grad(network(x)[0, 0, at, at], x)
        seen = (slope[0, 0] != 0).nonzero() - side // 2
        assert network.reach - 3 <= seen.abs().max() <= network.reach


NAMES = (
    {"first": "conv_first", "middle": "conv_body", "ups.0": "conv_up1", "ups.1": "conv_up2", "wide": "conv_hr",
     "last": "conv_last", "body": "body", "rdb": "rdb"},
    {"first": "conv_first", "middle": "trunk_conv", "ups.0": "upconv1", "ups.1": "upconv2", "wide": "HRconv",
     "last": "conv_last", "body": "RRDB_trunk", "rdb": "RDB"},
)  # fmt: skip


def published(network, names):
    """The weights by the names of the authors' files."""
    out = {}
    for key, value in network.state_dict().items():
        stem, _, kind = key.rpartition(".")
        if stem.startswith("blocks."):
            _, block, _, dense, _, conv = stem.split(".")
            stem = f"{names['body']}.{block}.{names['rdb']}{int(dense) + 1}.conv{int(conv) + 1}"
        out[f"{names.get(stem, stem)}.{kind}"] = value
    return out


def made(scale=4, growth=4):
    torch.manual_seed(0)
    mine = rrdb.Generator((3, 8 * scale, 8 * scale), scale, width=8, blocks=2, growth=growth).eval()
    with torch.no_grad():
        for p in mine.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return mine


@pytest.mark.parametrize("names", NAMES, ids=["real", "first"])
@pytest.mark.parametrize("scale", [2, 4])
def test_weights_by_the_authors_names_are_taken(scale, names):
    mine, x = made(scale), torch.rand(1, 3, 9, 12)
    held = published(mine, names)
    again = rrdb.of_published({"params_ema": held} if names is NAMES[0] else held)
    assert again is not None
    assert (again.scale, again.channels, again.reach) == (scale, 3, mine.reach)
    assert torch.equal(again(x), mine(x))
    assert rrdb.of_published({k: v for k, v in held.items() if "conv2" not in k}) is None
    assert rrdb.of_published({"params": 3}) is None
    assert rrdb.of_published({"anything": torch.zeros(3)}) is None


def test_it_is_the_published_network():
    try:
        import spandrel
    except (ImportError, RuntimeError) as error:  # it imports torchvision, which not every build of torch bears
        pytest.skip(str(error))
    mine, x = made(growth=32), torch.rand(1, 3, 9, 12)  # the only growth that it takes
    theirs = spandrel.ModelLoader("cpu").load_from_state_dict(published(mine, NAMES[0]))
    assert theirs.scale == 4
    torch.testing.assert_close(mine(x), theirs.model(x), atol=1e-5, rtol=1e-5)
