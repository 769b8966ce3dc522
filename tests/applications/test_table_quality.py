from __future__ import annotations

import json

import numpy as np
import pytest

from gansmith.applications.table_quality import Quality, Writer
from gansmith.run import Run

from .tabling import people


class Same:
    """Decodes to the same table, whatever the rows are."""

    def __init__(self, table):
        self.table = table

    def decode(self, rows):
        return self.table


class Sampler:
    def latents(self, n, seed):
        return np.zeros((n, 2), np.float32)

    def decode(self, z, batch):
        return z


def test_rows_like_the_real_ones_score_one():
    quality = Quality(Same(people()), people(), "people")
    found = quality(Sampler())
    assert found == {"trends": pytest.approx(1), "shapes": 1}
    assert quality.cost(found) == pytest.approx(-1)
    assert quality.cards()["shapes"]["reference_samples"] == 120


def test_others_score_less():
    other = {**people(), "low": people()["low"] + 3}
    found = Quality(Same(other), people(), "people")(Sampler())
    assert found["shapes"] < 0.95
    assert list(found) == ["trends", "shapes"]


def test_the_run_gets_the_codes_and_the_rows(tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    Writer({"layout": 1}, rows, {"trends": {"better": "higher"}}).begin(run, None, None, 0)
    assert json.loads((run.path / "table.json").read_text()) == {"layout": 1}
    assert np.array_equal(np.load(run.path / "rows.npy", allow_pickle=False), rows)
    assert run.info()["cards"]["trends"]["better"] == "higher"
