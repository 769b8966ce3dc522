"""Accumulators: parts, merging, and gathering over two ranks."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gansmith.errors import Refused
from gansmith.metrics.frechet import Moments
from gansmith.metrics.rows import Rows

PARTS = ((0, 3), (3, 40), (40, 41), (41, 100))
"""Rows of the parts; the first rank takes the first three of them."""


def features():
    return np.random.RandomState(0).randn(100, 7).astype(np.float32)


def test_parts_come_back_in_order_and_in_their_precision():
    x, rows = features(), Rows()
    for start, end in PARTS:
        rows.update(x[start:end])
    assert rows.n == 100
    assert rows.compute().dtype == torch.float32
    np.testing.assert_array_equal(rows.compute(), x)
    other = Rows().update(torch.from_numpy(x[:2]))
    np.testing.assert_array_equal(other.merge(rows).compute(), np.concatenate([x[:2], x]))
    np.testing.assert_array_equal(rows.gather().compute(), x)  # of one rank, itself


def test_rows_refuse():
    with pytest.raises(Refused, match=r"\[N, d\]"):
        Rows().update(np.zeros(3))
    with pytest.raises(Refused, match="3 dimensions"):
        Rows().update(np.zeros((1, 2))).update(np.zeros((1, 3)))
    with pytest.raises(Refused, match="no features"):
        Rows().compute()


def test_two_ranks_gather_to_the_bit_what_one_sees_alone(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("gathering.py"), tmp_path / f"{rank}.npz"],
            env={**meeting, "RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in ranks] == [0, 0]
    x = features()
    moments = [Moments(), Moments()]
    for i, (start, end) in enumerate(PARTS):
        moments[i > 2].update(x[start:end])
    whole = moments[0].merge(moments[1]).compute()
    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        np.testing.assert_array_equal(found["rows"], x)
        np.testing.assert_array_equal(found["mean"], whole.mean)
        np.testing.assert_array_equal(found["cov"], whole.cov)
        assert found["n"] == 100
        assert found["empty"] == 3  # a rank that saw nothing adds nothing
    np.testing.assert_allclose(whole.cov, np.cov(x.astype(np.float64).T), rtol=1e-12, atol=1e-14)
