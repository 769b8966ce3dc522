"""DINOv2 features against transformers called directly, on a small model with random weights."""

import json
import sys

import huggingface_hub
import numpy as np
import pytest
import torch
from peers import forget
from PIL import Image
from safetensors.torch import load_file, save_file

from gansmith.errors import Refused
from gansmith.metrics import dinov2
from gansmith.metrics.dinov2 import Dinov2Extractor, found
from gansmith.metrics.extractor import Extractor

pytestmark = pytest.mark.usefixtures("peers")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """An empty cache of the Hub's, and a Hub that must not be asked."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: pytest.fail("the network was asked"))
    return tmp_path / "hub"


def saved(folder, **others):
    from transformers import Dinov2Config, Dinov2Model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 224}
        network = Dinov2Model(Dinov2Config(**{**shape, "patch_size": 14, "initializer_range": 0.2, **others})).eval()
    network.save_pretrained(folder)
    return network


@pytest.fixture(scope="module")
def model(peers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    return folder, saved(folder)


@pytest.fixture(scope="module")
def ours(model):
    return Dinov2Extractor(model[0])


def pictures(n, channels=3, height=32, width=40):
    r = np.random.RandomState(0)
    coarse = r.randint(2, size=(n, channels, height // 8, width // 8)) * 255  # hard edges, where a cubic overshoots
    return np.clip(coarse.repeat(8, 2).repeat(8, 3) + r.randn(n, channels, height, width) * 9, 0, 255).astype(np.uint8)


def by_pillow(images):
    """The images as the authors' transform makes them, but in floating point: [N, 3, 224, 224]."""
    planes = [
        [np.asarray(Image.fromarray(plane.astype(np.float32)).resize((224, 224), Image.Resampling.BICUBIC))]
        for image in images
        for plane in image
    ]
    x = np.clip(np.array(planes).reshape(len(images), 3, 224, 224), 0, 255) / 255
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return torch.from_numpy((x - mean[:, None, None]) / deviation[:, None, None]).float()


# --- the numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(32, 40), (304, 256)])
def test_features_are_the_class_tokens_of_transformers(ours, model, height, width):
    x = pictures(3, height=height, width=width)
    features = ours.features(x)
    assert (features.shape, features.dtype) == ((3, 32), np.float32)
    expected = model[1](by_pillow(x)).pooler_output.detach().numpy()
    assert np.abs(features[0] - features[1]).max() > 0.1  # unlike images, unlike features
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_grey_and_no_images(ours):
    grey = pictures(2, channels=1)
    np.testing.assert_allclose(ours.features(grey), ours.features(grey.repeat(3, 1)), atol=1e-5)
    assert ours.features(grey[:0]).shape == (0, 32)


def test_float_images_are_not_rounded(ours):
    x = pictures(2)
    as_floats = torch.from_numpy(x).double()
    np.testing.assert_allclose(ours.embed(as_floats), ours.features(x), atol=1e-5)
    assert (ours.embed(as_floats / 2 + 0.4) - ours.embed(as_floats / 2)).abs().max() > 1e-4


def test_features_do_not_depend_on_company_or_route(ours):
    x = pictures(11)  # more than a batch
    x.flags.writeable = False
    features = ours.features(x)
    np.testing.assert_allclose(ours.features(x[::-1])[::-1], features, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(ours.features(x), features)


def cubic(t):
    """Keys's cubic convolution kernel, with the -0.75 that torch takes."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def test_positions_of_a_larger_grid_are_taken_as_the_authors_do(tmp_path):
    saved(tmp_path, image_size=518)
    held = load_file(tmp_path / "model.safetensors")["embeddings.position_embeddings"].double().numpy()
    extractor = Dinov2Extractor(tmp_path)
    placed = extractor._network.embeddings.position_embeddings.double().numpy()
    assert placed.shape == (1, 1 + 16 * 16, 32)
    np.testing.assert_array_equal(placed[:, 0], held[:, 0])
    weights = np.zeros((16, 37))
    for i in range(16):
        at = (i + 0.5) * 37 / (16 + 0.1) - 0.5
        for j in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            weights[i, min(max(j, 0), 36)] += cubic(at - j)
    expected = np.einsum("ia,jb,abd->ijd", weights, weights, held[0, 1:].reshape(37, 37, 32))
    np.testing.assert_allclose(placed[0, 1:].reshape(16, 16, 32), expected, atol=1e-4)
    assert extractor.features(pictures(1)).shape == (1, 32)


def test_refuses_what_are_no_such_images(ours):
    with pytest.raises(Refused, match="1 or 3 channels"):
        ours.features(np.zeros((2, 4, 8, 8), np.uint8))
    with pytest.raises(Refused, match="need uint8 images"):
        ours.features(np.zeros((2, 3, 8, 8)))
    with pytest.raises(Refused, match="1 or 3 channels"):
        ours.embed(torch.zeros(2, 2, 8, 8))


# --- what it says of itself, and leaves alone -------------------------------------------------------


def test_its_names_card_and_checksum(ours, model, tmp_path):
    assert isinstance(ours, Extractor)
    assert (ours.name, ours.dims, ours.version) == ("dinov2-32", 32, dinov2.VERSION)
    assert json.loads(json.dumps(ours.card)) == ours.card
    assert ours.card["model"] == "small"
    assert str(model[0].parent) not in json.dumps(ours.card)
    saved(tmp_path / "again")
    assert Dinov2Extractor(tmp_path / "again").checksum == ours.checksum
    saved(tmp_path / "heads", num_attention_heads=8)  # the same weights in another network
    other = Dinov2Extractor(tmp_path / "heads")
    assert other.card["weights_sha256"] == ours.card["weights_sha256"]
    assert other.checksum != ours.checksum


@pytest.mark.parametrize(("size", "layers", "name"), [(1024, 24, "dinov2"), (768, 12, "dinov2-base")])
def test_published_sizes_have_the_names_that_scores_are_called_by(tmp_path, monkeypatch, size, layers, name):
    config = {"model_type": "dinov2", "hidden_size": size, "num_hidden_layers": layers}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(dinov2, "_load", lambda folder: torch.nn.Identity())
    extractor = Dinov2Extractor(tmp_path)
    assert (extractor.name, extractor.dims) == (name, size)


def test_making_one_leaves_no_trace(model, capfd):
    from transformers.utils import logging

    state, level, bars = torch.get_rng_state(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    Dinov2Extractor(model[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, bars)
    assert capfd.readouterr() == ("", "")


# --- where the model comes from ---------------------------------------------------------------------


def cached(hub, model, name):
    """Put a model where the Hub's library keeps what it has downloaded."""
    place = hub / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    (place / "snapshots").mkdir()
    (place / "snapshots" / "abc").symlink_to(model)


def test_a_model_in_the_hubs_cache_is_used_without_the_network(model, ours, own_cache):
    assert found() is None
    cached(own_cache, model[0], "facebook/dinov2-large")
    assert found() is not None
    extractor = Dinov2Extractor()
    assert extractor.checksum == ours.checksum
    assert extractor.card["model"] == "facebook/dinov2-large"
    assert found("facebook/dinov2-base") is None
    assert found("no/such/id") is None


def test_a_missing_model_is_told(tmp_path, monkeypatch):
    with pytest.raises(Refused, match="facebook/dinov2-large, and neither"):
        Dinov2Extractor()
    with pytest.raises(Refused, match=r"holds no config.json and model.safetensors"):
        Dinov2Extractor(tmp_path, download=True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: (_ for _ in ()).throw(OSError("away")))
    with pytest.raises(Refused, match=r"Hub did not give it \(away\)"):
        Dinov2Extractor("facebook/dinov2-base", download=True)


def test_a_download_asks_for_two_files_alone(model, ours, monkeypatch):
    asked = []

    def give(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(model[0])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", give)
    assert Dinov2Extractor("someone/dinov2", download=True).checksum == ours.checksum
    assert asked == [("someone/dinov2", ["config.json", "model.safetensors"])]


def test_a_pickle_is_not_taken(tmp_path):
    network = saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    assert found(tmp_path) is None
    with pytest.raises(Refused, match="holds no"):
        Dinov2Extractor(tmp_path)


def test_weights_that_do_not_fit_are_not_filled_in(tmp_path):
    saved(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    del weights["layernorm.weight"]
    weights["layernorm.bias"] = torch.zeros(7)
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(Refused, match="lacks 2 weights"):
        Dinov2Extractor(tmp_path)
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(Refused, match="cannot be loaded"):
        Dinov2Extractor(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path):
    (tmp_path / "model.safetensors").touch()
    for text, why in [
        ('{"model_type": "vit"}', "type vit"),
        ('{"model_type": "dinov2"}', "hidden_size"),
        ("{", "read"),
    ]:
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(Refused, match=why):
            Dinov2Extractor(tmp_path)


# --- the library ------------------------------------------------------------------------------------


def test_without_the_extra(model, monkeypatch):
    forget(monkeypatch, "transformers")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Refused, match=r"library transformers\npip install 'gansmith\[dinov2\]'"):
        Dinov2Extractor(model[0])


@pytest.mark.parametrize("code", ["raise RuntimeError('operator torchvision::nms is not there')", "import nonesuch"])
def test_with_a_library_that_cannot_be_imported(model, tmp_path, monkeypatch, code):
    forget(monkeypatch, "transformers")
    (tmp_path / "transformers").mkdir()
    (tmp_path / "transformers" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match=r"cannot be imported \(.*(nms is not there|nonesuch)"):
        Dinov2Extractor(model[0])
