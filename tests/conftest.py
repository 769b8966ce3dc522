"""What all tests have in common."""

import pytest
import torch
from hypothesis import settings

# The same examples each time, and a busy machine is no failure.
settings.register_profile("gansmith", deadline=None, derandomize=True)
settings.load_profile("gansmith")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tiny tensors gain nothing from threads, and lose much on a machine that is busy with something else."""
    torch.set_num_threads(1)
