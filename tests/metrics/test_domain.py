"""The domain classifier: accurate, reproducible, cached, and without a trace on global state."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gansmith.errors import Refused
from gansmith.metrics import domain
from gansmith.metrics.domain import DomainClassifier, fit_domain
from gansmith.metrics.extractor import Extractor


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(domain, "LEAST_STEPS", 20)
    monkeypatch.setattr(domain, "EPOCHS", 1)


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    order = np.random.RandomState(0).permutation(len(bunch.target))
    images = (bunch.images * (255 / 16)).astype(np.uint8)[order][:, None]
    return images, bunch.target.astype(np.int64)[order]


def toy(count=200, shape=(3, 20, 16), classes=3):
    r = np.random.RandomState(0)
    labels = r.randint(classes, size=count).astype(np.int64)
    images = r.randint(100, size=(count, *shape), dtype=np.uint8)
    images[np.arange(count), 0] += (labels * 50).astype(np.uint8)[:, None, None]
    return images, labels


def test_digits_are_told_apart(digits):
    images, labels = digits
    fitted = fit_domain(images[:1400], labels[:1400], test=(images[1400:], labels[1400:]), cache=False)
    assert fitted.accuracy >= 0.98
    assert fitted.features(images[:50]).min() == 0
    assert isinstance(fitted, Extractor)


@pytest.mark.usefixtures("quick")
def test_reproducible_and_without_side_effects():
    images, labels = toy()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    route = torch.get_float32_matmul_precision()
    one = fit_domain(images, labels, seed=1, cache=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_float32_matmul_precision() == route
    torch.manual_seed(6)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    with torch.inference_mode():
        again = fit_domain(images, labels, seed=1, cache=False)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert one.checksum == again.checksum
    assert one.checksum != fit_domain(images, labels, seed=2, cache=False).checksum
    np.testing.assert_array_equal(one.features(images), again.features(images))


@pytest.mark.usefixtures("quick")
def test_features_do_not_depend_on_what_they_are_asked_with():
    images, labels = toy(count=600)
    fitted = fit_domain(images, labels, cache=False)
    features, logits = fitted.features(images), fitted.logits(images)
    assert features.shape == (600, 128)
    assert features.dtype == np.float32
    weight, bias = fitted._network.last.weight.numpy(), fitted._network.last.bias.numpy()
    np.testing.assert_allclose(logits, features @ weight.T + bias, atol=1e-5)
    np.testing.assert_allclose(fitted.features(images[::-1])[::-1], features, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(fitted.features(images), features)
    assert fitted.features(images[:0]).shape == (0, 128)


@pytest.mark.usefixtures("quick")
def test_cache_is_used_and_mended(own_cache, monkeypatch):
    images, labels = toy()
    said: list[str] = []
    one = fit_domain(images, labels, fingerprint="x", say=said.append)
    assert len(said) == 2
    (file,) = (own_cache / "domain").iterdir()
    again = fit_domain(images, labels, fingerprint="x", say=said.append)
    assert len(said) == 2
    assert (again.checksum, again.accuracy) == (one.checksum, one.accuracy)
    for other in ({"fingerprint": "y"}, {"fingerprint": "x", "seed": 1}, {}):
        fit_domain(images, labels, **other)
    assert len(list((own_cache / "domain").iterdir())) == 4
    file.write_bytes(file.read_bytes()[:100])
    assert fit_domain(images, labels, fingerprint="x").checksum == one.checksum
    assert len(file.read_bytes()) > 100
    monkeypatch.setenv("GANSMITH_CACHE", str(file / "not-a-folder"))
    assert fit_domain(images, labels, fingerprint="x").checksum == one.checksum


@pytest.mark.parametrize(
    "shape", [(1, 4, 4), (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (4, 200, 300), (1, 5, 40)]
)
def test_any_shape(shape):
    images = torch.zeros(2, *shape, dtype=torch.uint8)
    network = DomainClassifier(shape, 7)
    assert network(images).shape == (2, 7)
    assert sum(p.numel() for p in network.parameters()) < 2_000_000


def test_is_the_network_that_it_says():
    network = DomainClassifier((1, 28, 28), 10)
    plain = torch.nn.Sequential(
        network.first, torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        network.second, torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        network.hidden, torch.nn.ReLU(), network.last,
    )  # fmt: skip
    images = torch.randint(256, (3, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(images), plain(images.float() / 127.5 - 1))
    assert network.hidden.in_features == 64 * 5 * 5


def test_refuses():
    images, labels = toy()
    with pytest.raises(Refused, match="two classes"):
        fit_domain(images, np.zeros(len(images), np.int64))
    with pytest.raises(Refused, match="N labels"):
        fit_domain(images, labels[:-1])
    with pytest.raises(Refused, match="from 0"):
        fit_domain(images, labels - 1)
    with pytest.raises(Refused, match="too small"):
        fit_domain(images[:, :, :3], labels)


@pytest.mark.usefixtures("quick")
def test_refuses_images_of_another_kind():
    images, labels = toy()
    fitted = fit_domain(images, labels, cache=False)
    with pytest.raises(Refused, match="fitted to"):
        fitted.features(images[:, :1])
    with pytest.raises(Refused, match="float32"):
        fitted.features(images.astype(np.float32))
