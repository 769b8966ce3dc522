"""True float32, whatever surrounds it."""

import numpy as np
import torch

from gansmith.metrics.extractor import as_tensor, exact_float32


def test_exact_float32_undoes_a_fast_route_and_puts_it_back():
    before = torch.get_float32_matmul_precision()
    a = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    exact = a.double() @ a.double()
    try:
        torch.set_float32_matmul_precision("medium")
        fast = (a @ a).clone()
        with torch.autocast("cpu", torch.bfloat16), exact_float32():
            inside = a @ a
        assert inside.dtype == torch.float32
        assert float((inside - exact).abs().max()) < 1e-3
        assert torch.equal(a @ a, fast)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_as_tensor_shares_memory_where_it_may():
    array = np.zeros((4, 4), np.uint8)
    assert as_tensor(array).data_ptr() == array.ctypes.data
    array.flags.writeable = False
    assert as_tensor(array).data_ptr() != array.ctypes.data
    assert as_tensor(array.T).is_contiguous()
