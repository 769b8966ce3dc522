"""SRResNet and its light forms: sizes, parameters, what a pixel depends on, and bicubic as a convolution."""

import pytest
import torch

from gansmith.augmentations.resizing import resize
from gansmith.networks import srresnet
from gansmith.networks.layers import couples

FORMS = ({}, {"direct": True}, {"norm": True, "kernel": 9}, {"skip": False})


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_size_and_any_channels(scale, form):
    torch.manual_seed(0)
    for channels, (height, width) in ((1, (8, 8)), (3, (9, 13)), (4, (11, 8))):
        network = srresnet.Generator((channels, scale * 8, scale * 8), scale, width=4, blocks=1, **form)
        x = torch.randn(2, channels, height, width)
        made = network(x)
        assert made.shape == (2, channels, scale * height, scale * width)
        made.square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())
        assert couples(network) == form.get("norm", False)
        assert network.double()(x.double()).dtype == torch.float64


def test_the_papers_parameters():
    # SRResNet (Ledig et al., 2017, Figure 4): 9x9 ends, 16 blocks and a middle of 3x3 with batch norms, two shuffles,
    # and a slope in each place: 1.55 million, as is known of it; biases stand where there is no batch norm.
    block = 2 * (64 * 64 * 9) + 2 * 128 + 1
    ends = 3 * 64 * 81 + 64 + 1 + 64 * 3 * 81 + 3
    middle, ups = 64 * 64 * 9 + 128, 2 * (64 * 256 * 9 + 256 + 1)
    network = srresnet.Generator((3, 96, 96), norm=True, kernel=9)
    assert parameters(network) == 16 * block + ends + middle + ups == 1_547_350
    # EDSR's baseline (Lim et al., 2017): the same without batch norm, and with ends of 3x3.
    assert parameters(srresnet.Generator((3, 96, 96))) == 1_517_571


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarged_as_matlab_does_it(scale):
    x = torch.randn(2, 3, 9, 11)
    made = srresnet.Enlarge(scale)(x)
    wanted = resize(x, 9 * scale, 11 * scale)
    inner = slice(2 * scale, -2 * scale)
    torch.testing.assert_close(made[:, :, inner, inner], wanted[:, :, inner, inner])
    torch.testing.assert_close(made, resize(x, 9 * scale, 11 * scale, edges="repeat"))


@pytest.mark.parametrize("form", [*FORMS, {"scale": 2}, {"scale": 3, "direct": True}], ids=str)
def test_a_pixel_depends_on_no_more_than_it_says(form):
    torch.manual_seed(0)
    scale = form.get("scale", 4)
    network = srresnet.Generator((1, 12 * scale, 12 * scale), width=4, blocks=2, **form).eval().double()
    side = 2 * network.reach + 9
    x = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    middle = side // 2
    for corner in (0, scale - 1):  # of the large pixels that lie on the middle one
        made = network(x)[0, 0, scale * middle + corner, scale * middle + corner]
        (slope,) = torch.autograd.grad(made, x)
        seen = (slope[0, 0] != 0).nonzero() - middle
        assert seen.abs().max() <= network.reach
        assert seen.abs().max() >= network.reach - 2


def test_what_is_wrong_is_said():
    for arguments, what in (({"scale": 5}, "scale must be 2, 3, 4"), ({"scale": 3}, "does not divide"),
                            ({"kernel": 4}, "kernel must be odd")):  # fmt: skip
        with pytest.raises(ValueError, match=what):
            srresnet.Generator((3, 32, 32), **arguments)
