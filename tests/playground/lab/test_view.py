import numpy as np
import pytest
import torch

from gansmith.networks.layers import run
from gansmith.playground.lab.play import Play
from gansmith.playground.lab.settings import Settings, opened
from gansmith.playground.lab.view import ARROWS, FIELD, PARTS, SHOWN, SURFACE, WARP, View


@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic", "least_squares", "wasserstein"])
def test_the_picture_is_of_the_networks_as_they_are(loss):
    settings = Settings(loss=loss, penalties={}, d_width=16, g_width=16)
    play = Play(settings, opened(settings, None))
    for _ in range(30):
        play.play()
    before = {name: tensor.clone() for name, tensor in play.player.tensors().items()}
    view = View(play)
    arrays = view.arrays(set(PARTS))
    shapes = {
        "fakes": (SHOWN, 2),
        "surface": (SURFACE**2,),
        "warp": ((WARP + 1) ** 2, 2),
        "arrows": (ARROWS, 2),
        "field": (FIELD**2, 2),
    }
    assert {name: arrays[name].shape for name in shapes} == shapes
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert (arrays["surface"] >= 0).all()
    assert (arrays["surface"] <= 1).all()
    # Looking moves nothing.
    assert all(torch.equal(tensor, before[name]) for name, tensor in play.player.tensors().items())
    # Arrows against finite differences of the generator's loss, in float64.
    game = play.player.game
    if game.loss.relativistic:
        return
    critic = game.discriminator.double()
    point = torch.from_numpy(arrays["fakes"][:1]).double()

    @torch.no_grad()
    def cost(where):
        on_fake = run(critic, where, None, logits=True)
        return float(game.loss.generator(torch.zeros_like(on_fake), on_fake).sum())

    steps = torch.eye(2, dtype=torch.float64) * 1e-6
    slope = [(cost(point - step) - cost(point + step)) / 2e-6 for step in steps]
    assert np.allclose(slope, arrays["arrows"][0], rtol=2e-3, atol=1e-5)


def test_only_what_is_wanted_is_computed():
    settings = Settings(d_width=4, g_width=4, noise=1)
    view = View(Play(settings, opened(settings, None)))
    assert set(view.arrays({"fakes"})) == {"fakes"}
    assert view.arrays(set()) == {}
    assert view.arrays({"warp"})["warp"].shape == (WARP + 1, 2)  # one number of noise makes a curve
    assert view.half > 2
