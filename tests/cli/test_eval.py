import json

import numpy as np
import pytest

from gansmith.data import open_dataset
from gansmith.fields import Data
from gansmith.metrics import domain


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(domain, "LEAST_STEPS", 60)
    monkeypatch.setattr(domain, "EPOCHS", 1)


@pytest.fixture
def samples(tmp_path):
    np.savez(tmp_path / "s.npz", images=open_dataset(Data(source="digits")).array[:300])
    return tmp_path / "s.npz"


def test_a_table_of_scores(cli, samples):
    code, out, err = cli("eval", samples, "--data", "digits", "--metrics", "fd,prdc", "--out", "scores.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("Fitting a classifier")
    assert lines[2].startswith("metrics: fd-digits, prdc-digits; fd-digits, in a classifier")
    assert "reference: 297 examples of digits's test split" in lines
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("fd-", "prec", "score"))}
    assert rows["score"] == ["value", "spread", "real", "data", "better"]
    assert rows["fd-digits"][1] == "±"
    assert rows["fd-digits"][-1] == "lower"
    assert 0.5 < float(rows["precision-digits"][0]) <= 1
    held = json.loads((samples.parent / "scores.json").read_text())
    assert held["scores"][0]["card"]["reference_samples"] == 297
    code, _, err = cli("eval", samples, "--data", "digits", "--out", "scores.json")
    assert code == 2
    assert "exists already" in err


def test_metrics_are_listed(cli):
    code, out, _ = cli("eval", "--metrics", "list")
    assert code == 0
    assert {"fd", "kd", "prdc", "fid", "ppl"} <= {line.split()[0] for line in out.splitlines() if line}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--metrics", "fdd", "--data", "digits"], "no metric 'fdd'; did you mean fd?"),
        (["--data", "digit"], "did you mean 'digits'?"),
        (["--data", "digits", "--out", "x.txt"], "written as .json"),
        (["--data", "digits", "-n", "0"], "number of images"),
        (["--data", "digits", "--metric", "fd"], "did you mean --metrics?"),
        ([], "need data"),
    ],
)
def test_what_is_refused(cli, samples, more, says):
    code, out, err = cli("eval", samples, *more)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err
