"""What the tests of metrics have in common: peers to compare with, and stand-ins for weights that cannot be shipped."""

import peers as helpers
import pytest

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


@pytest.fixture
def admitted(random_inception, monkeypatch):
    """The same file, admitted as if it were the published one."""
    file, checksum = random_inception
    monkeypatch.setattr(inception, "_admit", checksum)
    return file
