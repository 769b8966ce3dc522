"""VGG-19 written out, with weights made up here: features, distances, where the file is looked for, what is refused."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from gansmith.errors import Refused
from gansmith.losses import perceptual

PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
"""Of VGG-19's convolutions among its features, as torchvision counts them."""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(perceptual.VARIABLE, raising=False)


@pytest.fixture
def narrow(monkeypatch):
    """VGG-19 with few channels."""
    monkeypatch.setattr(perceptual, "STAGES", ((4, 4), (5, 5), (6,) * 4, (7,) * 4, (8,) * 4))
    torch.manual_seed(0)
    widths = [3, 4, 4, 5, 5, *[6] * 4, *[7] * 4, *[8] * 4]
    out = {}
    for at, a, b in zip(PLACES, widths, widths[1:], strict=False):
        out[f"features.{at}.weight"], out[f"features.{at}.bias"] = torch.randn(b, a, 3, 3) / 5, torch.randn(b)
    out["classifier.0.weight"] = torch.zeros(2)
    return out


def reference(held, x):
    x = (x.double() + 1) / 2
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for at in PLACES:
        if at in (5, 10, 19, 28):
            x = F.max_pool2d(x, 2)
        x = F.conv2d(x, held[f"features.{at}.weight"].double(), held[f"features.{at}.bias"].double(), padding=1)
        x = x if at == 34 else x.relu()
    return x


def test_features_are_the_last_before_their_relu(narrow, tmp_path):
    save_file(narrow, tmp_path / "w.safetensors")
    seen = perceptual.at_hand(tmp_path / "w.safetensors")
    x, y = torch.rand(2, 3, 32, 48) * 2 - 1, torch.rand(2, 3, 32, 48) * 2 - 1
    assert seen.features(x).shape == (2, 8, 2, 3)
    torch.testing.assert_close(seen.features(x).double(), reference(narrow, x), atol=1e-4, rtol=1e-4)
    x.requires_grad_()
    apart = seen(x, y)
    wanted = (reference(narrow, x) - reference(narrow, y)).abs().flatten(1).mean(1)
    torch.testing.assert_close(apart.double(), wanted, atol=1e-4, rtol=1e-4)
    apart.sum().backward()
    assert x.grad.abs().sum() > 0
    grey = x[:, :1].detach()
    assert torch.equal(seen.features(grey), seen.features(grey.expand(-1, 3, -1, -1)))
    assert torch.equal(seen.features(torch.cat([y, grey], 1)), seen.features(y))
    assert "not the published file (sha256" in seen.note


def test_where_it_is_looked_for(narrow, tmp_path, monkeypatch):
    assert perceptual.at_hand() is None
    place = tmp_path / "cache" / "vgg19"
    place.mkdir(parents=True)
    torch.save(narrow, place / "vgg19-dcbb9e9d.pth")
    assert perceptual.at_hand() is not None
    monkeypatch.setenv(perceptual.VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(Refused, match=r"elsewhere: no weights of VGG-19 there"):
        perceptual.at_hand()
    monkeypatch.setenv(perceptual.VARIABLE, str(place))
    assert perceptual.at_hand() is not None


def test_what_is_not_vgg_19_is_refused(narrow, tmp_path):
    (tmp_path / "w.pth").write_bytes(b"nothing")
    with pytest.raises(Refused, match="is no file of weights, or damaged"):
        perceptual.at_hand(tmp_path / "w.pth")
    del narrow["features.34.bias"]
    save_file(narrow, tmp_path / "w.safetensors")
    with pytest.raises(Refused, match=r"features\.34 is not that of VGG-19"):
        perceptual.at_hand(tmp_path / "w.safetensors")
