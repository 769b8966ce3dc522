"""What all tests have in common.

One thread, in this process and in those that it starts: tiny tensors gain nothing from threads, and lose much
on a machine that is busy with something else. By the environment, since torch's own setting does not reach new
threads; so before torch is first imported.
"""

import os

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time, and a busy machine is no failure.
settings.register_profile("gansmith", deadline=None, derandomize=True)
settings.load_profile("gansmith")


def pytest_addoption(parser):
    parser.addoption("--run-weights", action="store_true", help="run the tests that need published weights and data")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--run-weights"):
        for item in items:
            if item.get_closest_marker("weights"):
                item.add_marker(pytest.mark.skip(reason="needs published weights, and --run-weights"))
