"""What the tests of every command have in common."""

import pytest

import gansmith
from gansmith.cli.main import main
from gansmith.data.dataset import Problem

from .fakes import Engine


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """In an empty folder, and not under torchrun."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli(capsys):
    """Run the command line; gives exit code, standard output and standard error."""

    def call(*argv):
        code = main([str(a) for a in argv])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def engine(monkeypatch):
    fake = Engine()
    for name in ("train", "plan", "resume", "load"):
        monkeypatch.setattr(gansmith, name, getattr(fake, name), raising=False)
    return fake


@pytest.fixture
def problem():
    return Problem("cats/x.png", "is empty")
