import json
import os
import signal

import pytest

from gansmith.engine.listener import Listener
from gansmith.errors import Refused
from gansmith.run import Run
from gansmith.suites import running
from gansmith.suites.running import read_results, run_suite
from gansmith.suites.suite import Suite


def suite(**fields):
    return Suite.model_validate({
        "name": "small", "summary": "Small.", "data": {"ring": "ring"}, "length": {"images": 2000}, "seeds": 2,
        "metrics": ["modes"], "samples": 200,
        "rows": {"good": {"recipe": "gan", "fields": {
            "generator": {"network": "mlp", "hidden": [8]}, "discriminator": {"network": "mlp", "hidden": [8]},
            "conditional": False}}},
        **fields,
    })  # fmt: skip


def test_all_trainings_are_scored_and_a_second_call_does_none_twice(tmp_path, monkeypatch):
    said = []
    found = run_suite(suite(), tmp_path / "out", say=said.append)
    assert set(found.found) == {"ring/good/0", "ring/good/1"}
    assert all(set(one.scores) == {"modes", "quality"} for one in found.found.values())
    assert all(one.images >= 2000 and one.cpu_seconds > 0 and one.failed is None for one in found.found.values())
    assert [Run(tmp_path / "out/ring/good" / str(seed)).recipe().seed for seed in (0, 1)] == [0, 1]
    assert len(said) == 4
    assert "good" in (tmp_path / "out/table.md").read_text()
    assert "<svg" in (tmp_path / "out/page.html").read_text()
    record = json.loads((tmp_path / "out/results.json").read_text())
    monkeypatch.setattr(running, "train", None)
    said.clear()
    assert run_suite(suite(), tmp_path / "out", say=said.append).record() == record
    assert said == []
    assert read_results(suite(seeds=1), tmp_path / "out").found == found.found


def test_a_training_that_was_stopped_is_gone_on_with(tmp_path):
    whole = run_suite(suite(seeds=1), tmp_path / "whole")

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "evaluate", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_suite(suite(seeds=1), tmp_path / "cut")
    again = run_suite(suite(seeds=1), tmp_path / "cut")
    assert again.found["ring/good/0"].scores == whole.found["ring/good/0"].scores


def test_half_a_training_is_not_scored(tmp_path, monkeypatch):
    whole = run_suite(suite(seeds=1), tmp_path / "whole")
    real, said = running.train, []

    def stopped(*args, **kwargs):
        class Impatient(Listener):
            def progress(self, progress):
                os.kill(os.getpid(), signal.SIGINT)

        return real(*args, **kwargs, listeners=(Impatient(),))

    monkeypatch.setattr(running, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_suite(suite(), tmp_path / "cut", say=said.append)
    assert len(said) == 1
    assert read_results(suite(), tmp_path / "cut").found == {}
    run = Run(tmp_path / "cut/ring/good/0")
    assert run.info()["status"] == "interrupted"
    monkeypatch.setattr(running, "train", real)
    again = run_suite(suite(seeds=1), tmp_path / "cut")
    assert run.info()["status"] == "done"
    assert again.found["ring/good/0"].scores == whole.found["ring/good/0"].scores


def test_a_training_that_breaks_down_is_a_failure_and_the_rest_goes_on(tmp_path):
    wild = {"recipe": "gan", "fields": {**suite().rows["good"].fields, "optimizer": {"name": "sgd", "lr": 1e30}}}
    found = run_suite(suite(rows={"wild": wild, **suite().rows}, seeds=1), tmp_path / "out")
    assert "infinite or NaN" in found.found["ring/wild/0"].failed
    assert found.found["ring/good/0"].failed is None
    assert found.table("ring")[1][0][3] == "1 of 1"


def test_a_score_beyond_the_bound_is_a_failure(tmp_path):
    found = run_suite(suite(failed={"quality": {"below": 1.1}}, seeds=1), tmp_path / "out")
    assert found.found["ring/good/0"].failed.startswith("quality ")


def test_another_suites_folder_is_refused(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(Refused, match="no results of a suite"):
        run_suite(suite(), out)
    (out / "results.json").write_text(json.dumps({"suite": "small", "length": {"images": 5}, "found": {}}))
    with pytest.raises(Refused, match="holds results of suite small"):
        run_suite(suite(), out)
    (out / "results.json").write_text("{")
    with pytest.raises(Refused, match="cannot be read"):
        run_suite(suite(), out)
