import os

from gansmith import recipe as recipes
from gansmith import run as runs

from .fakes import make_run


def test_a_table_of_runs(cli, tmp_path):
    make_run(tmp_path / "runs/one")
    make_run(tmp_path / "runs/two", end="interrupted", images=250, scored=False)
    (tmp_path / "runs/bad").mkdir()
    (tmp_path / "runs/bad/run.json").write_text("{")
    code, out, err = cli("runs")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["run", "recipe", "data", "images", "done", "status", "best", "score"],
        ["runs/bad", "-", "-", "-", "-", "damaged", "-"],
        ["runs/one", "tiny", "toy", "600", "60%", "done", "fd-toy", "3.25"],
        ["runs/two", "tiny", "toy", "250", "25%", "interrupted", "-"],
    ]
    assert len(cli("runs", "runs/one")[1].splitlines()) == 2


def test_a_killed_training_does_not_pass_for_a_running_one(cli, tmp_path):
    run = runs.create(tmp_path / "runs/x", recipes.validate({"name": "tiny"}, "test"), {"status": "running"})
    run.events_file.write_text('{"event": "begin", "images": 0}\n')
    assert " running " in cli("runs")[1]
    os.utime(run.events_file, (0, 0))
    assert " stopped " in cli("runs")[1]


def test_no_runs(cli):
    code, out, _ = cli("runs")
    assert code == 0
    assert out.startswith("No runs in ")
