"""Tests of the engine play on one thread, and leave torch's settings for the process as they found them."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    # Not by `hardware.borrowed`: it puts back once the outermost has left, and is itself under test.
    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(matmul)
