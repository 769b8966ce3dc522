"""`python -m gansmith`: what it says arrives whole, and its exit code too, alone and as one of several ranks."""

import os
import subprocess
import sys

import pytest

import gansmith


@pytest.mark.parametrize("world", ["1", "2"])
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["zoo", "no-such-recipe"], 2)])
def test_output_and_exit_code_arrive(world, arguments, code):
    done = subprocess.run(
        [sys.executable, "-m", "gansmith", *arguments], capture_output=True, text=True, timeout=100,
        env={**os.environ, "WORLD_SIZE": world, "RANK": "0"},
    )  # fmt: skip
    assert done.returncode == code
    said = done.stdout if code == 0 else done.stderr
    assert (gansmith.__version__ if code == 0 else "no recipe is called 'no-such-recipe'") in said
