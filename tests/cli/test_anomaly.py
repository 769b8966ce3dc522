"""`gansmith anomaly` from end to end, on tables and pictures."""

import csv

import numpy as np
import pytest
from PIL import Image


def write(path, rows, header="a,b,c", separator=","):
    lines = [separator.join(f"{value:.6g}" for value in row) for row in rows]
    path.write_text("\n".join([header.replace(",", separator), *lines]) + "\n")


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    normal = random.normal(size=(80, 3))
    write(tmp_path / "normal.csv", normal)
    odd = np.concatenate([random.normal(size=(10, 3)), random.normal(size=(5, 3)) + 9])
    write(tmp_path / "new.csv", np.column_stack([odd, np.repeat([0, 1], [10, 5])]), "a,b,c,fault", ";")
    return tmp_path


QUICK = ("--examples", "512", "--members", "1", "--alarm-rate", "0.2")


def test_a_table_is_learnt_and_scored(cli, table):
    code, out, err = cli("anomaly", "fit", "--data", "normal.csv", "--out", "run", *QUICK)
    assert (code, err) == (0, "")
    assert "false alarms: 17.65% expected" in out
    code, out, err = cli("anomaly", "score", "run", "--data", "new.csv", "--label", "fault")
    assert (code, err) == (0, "")
    assert "fields are separated by semicolons" in out
    assert "against 5 labelled anomalies: AUROC 1.000" in out
    rows = list(csv.DictReader((table / "scores.csv").read_text().splitlines()))
    assert [row["prediction"] for row in rows[10:]] == ["-1"] * 5
    assert rows[0]["example"] == "1"
    assert float(rows[0]["score"]) > float(rows[10]["score"])
    code, _, err = cli("anomaly", "score", "run", "--data", "new.csv", "--label", "fault")
    assert (code, "exists already" in err) == (2, True)


def test_pictures_get_a_heat_map_each_and_a_page(cli, tmp_path):
    random = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(random.integers(256, size=(8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    code, out, _ = cli("anomaly", "fit", "--data", tmp_path, "--out", "run", *QUICK, "--method", "ganomaly")
    assert (code, "12 pictures of 1x8x8" in out) == (0, True)
    (tmp_path / "12.png").write_text("no picture")
    code, out, _ = cli("anomaly", "score", "run", "--data", tmp_path, "--out", "s.csv", "--skip-bad")
    assert code == 1
    assert len(list((tmp_path / "s").glob("*.png"))) == 12
    page = (tmp_path / "s.html").read_text()
    assert page.count("<figure>") == 12
    assert "ganomaly" in page
    code, _, _ = cli("anomaly", "score", "run", "--data", "digits.csv", "--out", "t.csv")
    assert (code, (tmp_path / "t.csv").exists()) == (2, False)


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["scor", "run"], "neither fit nor score; did you mean score?"),
        (["fit", "--out", "run"], "--data is missing"),
        (["fit", "--data", "normal.csv"], "--out is missing"),
        (["fit", "--data", "normal.csv", "--out", "run", "--alarm-rate", "2"], "a share between 0 and 1"),
        (["fit", "--data", "normal.csv", "--out", "run", "--method", "anogan"], "method must be auto"),
        (["score", "--data", "normal.csv"], "the folder that `gansmith anomaly fit` wrote is missing"),
        (["score", "nowhere", "--data", "normal.csv"], "holds no detector"),
        (["fit", "--data", "normal.csv", "--out", "."], "exists already, and is not empty"),
        (["fit", "--data", "gaps.csv", "--out", "run"], "Input X contains NaN.\nThe first is in line 3, column 'b'"),
        (["fit", "--data", "one.csv", "--out", "run"], "minimum of 2 is required"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(cli, table, arguments, wrong):
    write(table / "one.csv", np.ones((1, 3)))
    (table / "gaps.csv").write_text("a,b,c\n1,2,3\n4,,6\n7,8,9\n")
    code, _, err = cli("anomaly", *arguments)
    assert code == 2
    assert wrong in err
    assert not (table / "run").exists()


def test_other_columns_than_those_it_was_fitted_on_are_refused(cli, table):
    cli("anomaly", "fit", "--data", "normal.csv", "--out", "run", *QUICK)
    for header, wrong in (
        ("a,b,d", "has no column 'c'"), ("a,c,b", "in another order"), ("a,b,c,d", "'d' is none that it was fitted on"),
    ):  # fmt: skip
        write(table / "other.csv", np.ones((3, header.count(",") + 1)), header)
        code, _, err = cli("anomaly", "score", "run", "--data", "other.csv")
        assert (code, wrong in err) == (2, True)
