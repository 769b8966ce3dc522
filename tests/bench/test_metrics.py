"""The metrics' benchmark measures what it says, at a size where it takes seconds."""

import json
import subprocess
import sys

import pytest
import torch
from benches import BENCH, load_bench


@pytest.fixture(scope="module")
def bench():
    return load_bench("metrics")


@pytest.mark.parametrize("law", ["white", "natural", "nearly singular"])
def test_its_covariances_are_as_ill_conditioned_as_it_says(bench, law):
    values = torch.linalg.eigvalsh(bench.covariance(law, 64, seed=0))
    condition = float(values[-1] / values[0])
    assert (condition < 10) if law == "white" else (condition > 1e7)


def test_its_closed_form_is_the_distance(bench):
    x, y, distance = bench.commuting(32)
    root = torch.linalg.svdvals(torch.linalg.cholesky(x.cov).T @ torch.linalg.cholesky(y.cov)).sum()
    assert float(x.cov.trace() + y.cov.trace() - 2 * root) == pytest.approx(distance, rel=1e-10)


@pytest.mark.parametrize("part", ["frechet", "features", "others"])
def test_each_part_measures(bench, part):
    for order in bench.orders(part, bench.QUICK, pairs=1, threads=torch.get_num_threads()):
        row = bench.work(order)
        assert row["of eigvalsh"] > 0
        assert row.get("error", 0) < 1e-8
        json.dumps(row)


def test_neighbours_come_with_their_memory(bench):
    ours, theirs = bench.orders("prdc", bench.QUICK, pairs=1, threads=torch.get_num_threads())
    found = bench.work(ours)
    assert found["imports"] <= found["with inputs"] <= found["peak"]
    other = bench.work(theirs)
    assert other is None or other["values"] == pytest.approx(found["values"], rel=1e-4)


def test_command_leaves_nothing_when_quick():
    before = sorted((BENCH / "results").iterdir())
    command = [sys.executable, str(BENCH / "metrics.py"), "--quick", "--only", "frechet", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "eigvalsh" in done.stdout
    assert sorted((BENCH / "results").iterdir()) == before
