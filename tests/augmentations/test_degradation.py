"""What large pictures go through: bicubic alone, or everything; drawn for the whole batch, and traced."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from gansmith.augmentations.degradation import Canvas, degradation
from gansmith.augmentations.resizing import matrix, resize
from gansmith.draws import Draws, Recorded, replay


def pictures(count=4, channels=3, side=32):
    torch.manual_seed(0)
    return resize(torch.rand(count, channels, 6, 6) * 1.6 - 0.8, side, side + 8).clamp(-1, 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_rounded_to_eight_bits(channels, scale):
    x = pictures(channels=channels, side=36)
    low = degradation("bicubic", scale)(x[:, :, :, :36], Draws(0, 0, 4))
    assert low.shape == (4, channels, 36 // scale, 36 // scale)
    levels = (low + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_real_spoils_each_picture_in_its_own_way(channels):
    x = pictures(channels=channels)[:1].expand(6, -1, -1, -1)
    spoil = degradation("real", 4)
    low = spoil(x, Draws(0, 0, 6))
    assert low.shape == (6, channels, 8, 10)
    assert low.abs().max() <= 1
    assert len({tuple(one.flatten().tolist()) for one in low}) == 6
    assert torch.equal(low, spoil(x, Draws(0, 0, 6)))
    assert not torch.equal(low, spoil(x, Draws(1, 0, 6)))
    # It is still the picture: nearer to it than to another one.
    clean = degradation("bicubic", 4)(x, Draws(0, 0, 6))
    assert (low - clean).abs().mean() < 0.5 * (low - clean.flip(3)).abs().mean() + 0.1


def test_a_rank_draws_its_slice():
    x, spoil = pictures(), degradation("real", 4)
    whole = spoil(x, Draws(0, 0, 4))
    torch.testing.assert_close(spoil(x[2:], Draws(0, 0, 4, start=2)), whole[2:], atol=2e-2, rtol=0)


def test_traced_it_is_the_same_and_replays_for_other_draws():
    x, spoil = pictures(2, side=16), degradation("real", 4)
    recorded = Recorded.of(Draws(0, 0, 2))
    first = spoil(x, recorded)
    numbers = replay(Draws(0, 0, 2), recorded.calls)
    traced = make_fx(lambda x, *given: spoil(x, Recorded.of(Draws(0, 0, 2), list(given))))(x, *numbers)
    assert torch.equal(traced(x, *numbers), first)
    later = replay(Draws(0, 8, 2), recorded.calls)
    assert torch.equal(traced(x, *later), spoil(x, Draws(0, 8, 2)))


def test_a_canvas_holds_pictures_of_several_sizes():
    x = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    canvas = Canvas(x, torch.full((2,), 12.0), torch.full((2,), 12.0))
    shares = torch.tensor([0.5, 1.25])
    methods = {"area": 2, "bilinear": 1, "bicubic": 0}

    class Told(Draws):
        def integers(self, purpose, high, *shape):
            return torch.full((self.total,), methods["bicubic"])

    made = canvas.resized((12, 12), shares, 1.5, Told(0, 0, 2))
    assert made.x.shape == (2, 1, 18, 18)
    assert made.height.tolist() == [6, 15]
    # Inside it is imresize's bicubic; at the edges that mirrors, and this leaves out what is beyond.
    for i, size in enumerate((6, 15)):
        plain = matrix(12, size) @ x[i, 0] @ matrix(12, size).T
        inner = slice(2, size - 2) if size == 6 else slice(3, size - 3)
        torch.testing.assert_close(made.x[i, 0, inner, inner], plain[inner, inner], atol=1e-4, rtol=1e-4)
        assert torch.equal(made.x[i, 0, :, size], made.x[i, 0, :, size - 1])


def test_what_is_wrong_is_said():
    for settings, what in (
        ("blurry", "must be bicubic or real"),
        ({"name": "real", "blurs": 3}, "unexpected keyword"),
        ({"name": "real", "noise": [3]}, "noise takes 2 numbers"),
        ({"name": "real", "quality": [0, 200]}, "quality is from 1 to 100"),
    ):
        with pytest.raises(ValueError, match=what):
            degradation(settings, 4)
    with pytest.raises(ValueError, match="grey or RGB, not 4 channels"):
        degradation("real", 4)(torch.zeros(1, 4, 8, 8), Draws(0, 0, 1))
