"""What the contracts in pyproject.toml cannot see: what is loaded when, and what the repository may not hold."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "sklearn", "scipy", "tensorboard", "rich", "PIL")


@pytest.mark.parametrize(
    "module", ["gansmith", "gansmith.errors", "gansmith.recipe", "gansmith.run", "gansmith.auto", "gansmith.cli.main"]
)
def test_the_vocabulary_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_name_of_the_package_can_be_had():
    import gansmith

    for name in gansmith.__all__:
        assert getattr(gansmith, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gansmith.nonsense  # noqa: B018


def test_the_interface_of_a_game_stays_small():
    lines = (ROOT / "src/gansmith/games/game.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100


def test_no_module_is_longer_than_500_lines():
    long = {
        p.name: n for p in (ROOT / "src").rglob("*.py") if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long
