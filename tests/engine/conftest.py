import pytest
import torch

from gansmith.engine import hardware


@pytest.fixture(autouse=True)
def _one_thread():
    with hardware.borrowed():
        torch.set_num_threads(1)
        yield
