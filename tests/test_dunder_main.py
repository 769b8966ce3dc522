"""`python -m gansmith`: what it says arrives whole, and its exit code too."""

import subprocess
import sys

import pytest

import gansmith


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["zoo", "no-such-recipe"], 2)])
def test_output_and_exit_code_arrive(arguments, code):
    command = [sys.executable, "-m", "gansmith", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == code
    said = done.stdout if code == 0 else done.stderr
    assert (gansmith.__version__ if code == 0 else "no recipe is called 'no-such-recipe'") in said
