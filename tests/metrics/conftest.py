"""What the tests of metrics have in common: peers to compare with, and stand-ins for weights that cannot be shipped."""

import peers as helpers
import pytest
import torch

from gansmith.metrics import inception


@pytest.fixture(scope="session")
def peers():
    """Makes torch-fidelity, torchmetrics and transformers importable."""
    helpers.declare_torchvision()


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory):
    """A file of random weights in Inception's shapes, and its sha256."""
    file = tmp_path_factory.mktemp("inception") / "random.pth"
    return file, helpers.write_random_inception(file)


@pytest.fixture(scope="session")
def random_lpips(tmp_path_factory):
    """A folder of random weights in LPIPS's shapes."""
    folder = tmp_path_factory.mktemp("lpips")
    torch.save({**helpers.random_vgg16(), "classifier.6.bias": torch.zeros(1000)}, folder / "vgg16-397923af.pth")
    torch.save(helpers.random_lpips(), folder / "vgg.pth")
    return folder


@pytest.fixture
def admitted(random_inception, monkeypatch):
    """The same file, admitted as if it were the published one."""
    file, checksum = random_inception
    monkeypatch.setattr(inception, "_admit", checksum)
    return file
