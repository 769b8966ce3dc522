from __future__ import annotations

import pytest

from gansmith.applications.table import TableGAN
from gansmith.cli import resume
from gansmith.cli.main import main
from gansmith.cli.table import conditions
from gansmith.data.tables import csv_text, read_csv
from gansmith.errors import Refused

from .tabling import QUICK, people

FLAGS = [f"--{name}={value}" for name, value in QUICK.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, other rows of its kind, and a run."""
    place = tmp_path_factory.mktemp("table")
    (place / "people.csv").write_text(csv_text(people(), ";"), encoding="utf-8")
    (place / "others.csv").write_text(csv_text(people(60, 5)), encoding="utf-8")
    arguments = ["table", "fit", str(place / "people.csv"), "--out", str(place / "run"), "--epochs", "2"]
    rules = ["--target", "rich", "--constraint", "low <= high", "--constraint", "town with country"]
    assert main([*arguments, *rules, *FLAGS]) == 0
    return place


def test_a_fit_says_what_it_read_and_how_good_it_is(tmp_path, capsys):
    (tmp_path / "people.csv").write_text(csv_text(people(), ";"), encoding="utf-8")
    code = main(["table", "fit", str(tmp_path / "people.csv"), "--out", str(tmp_path / "run"), "--epochs", "2", *FLAGS])
    said = capsys.readouterr().out
    assert code == 0
    assert "fields are separated by semicolons" in said
    assert "tablegan on people: 120 vectors" in said
    assert f"gansmith table sample {tmp_path / 'run'} -n 1000 --out rows.csv" in said


def test_the_help_says_that_a_target_changes_the_rows(capsys):
    assert main(["table", "fit", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "by a classifier learnt from real rows and not by the generator (--game.agreement 0 turns that off)" in said


def test_samples_are_a_csv(folder, tmp_path, capsys):
    out = tmp_path / "rows.csv"
    wanted = ["table", "sample", str(folder / "run"), "-n", "30", "--where", "rich=yes", "--where", "low=1..8"]
    assert main([*wanted, "--out", str(out)]) == 0
    made = read_csv(out).columns
    assert list(made) == list(people())
    assert set(made["rich"]) == {"yes"}
    assert made["low"].min() >= 1
    with pytest.raises(Refused, match="exists already"):
        _run([*wanted, "--out", str(out)])
    assert main([*wanted, "--out", str(out), "--force"]) == 0
    capsys.readouterr()
    assert main(wanted) == 0
    assert capsys.readouterr().out == out.read_text(encoding="utf-8")


def test_a_report_is_printed_and_a_page(folder, tmp_path, capsys):
    out = tmp_path / "quality.html"
    asked = ["table", "report", str(folder / "run"), "--real", str(folder / "others.csv"), "--positive", "yes"]
    assert main([*asked, "-n", "60", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "F1 of rich = yes" in said
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_resume_goes_on_with_a_table(folder, tmp_path, capsys):
    model = TableGAN.load(folder / "run")
    run = model.save(tmp_path / "again")
    assert resume.run([str(run)]) == 0
    assert "people" in capsys.readouterr().out


def test_conditions_have_their_columns_types():
    rows = people()
    assert conditions(["low=3", "pay=1.5", "town=Rome|Paris", "rich=yes"], rows) == {
        "low": 3, "pay": 1.5, "town": ["Rome", "Paris"], "rich": "yes",
    }  # fmt: skip
    assert conditions(["low=2..5", "town="], rows) == {"low": (2, 5), "town": None}
    for text, says in (("low", "is no condition"), ("lwo=1", "did you mean 'low'"), ("low=a", "no value of low")):
        with pytest.raises(Refused, match=says):
            conditions([text], rows)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["fti"], "no command 'fti'; did you mean 'fit'"),
        (["fit", "nowhere.csv"], r"nowhere\.csv: cannot be read"),
        (["fit", "TABLE", "--target", "rihc", "--out", "OUT"], "did you mean 'rich'"),
        (["fit", "TABLE", "--separator", "ab", "--out", "OUT"], "one character"),
        (["fit", "TABLE", "--encodng", "x", "--out", "OUT"], "no such flag; did you mean --encoding"),
        (["fit", "TABLE", "--out", "RUN"], "not empty"),
        (["sample", "OUT"], "not a run"),
        (["sample", "RUN", "--out", "rows.txt"], "rows are written as .csv"),
        (["report", "RUN", "--real", "nowhere.csv"], "cannot be read"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(folder, tmp_path, argv, says):
    names = {"TABLE": folder / "people.csv", "OUT": tmp_path / "out", "RUN": folder / "run"}
    with pytest.raises(Refused, match=says):
        _run(["table", *(str(names.get(word, word)) for word in argv)])
    assert list(tmp_path.iterdir()) == []


def test_help_is_printed(capsys):
    for argv in ([], ["--help"], ["fit", "--help"], ["sample", "--help"], ["report", "--help"]):
        assert main(["table", *argv]) == 0
        assert "gansmith table" in capsys.readouterr().out


def test_a_table_is_no_picture(folder):
    with pytest.raises(Refused, match=r"is a table\n`gansmith table fit"):
        _run(["data", str(folder / "people.csv")])


def _run(argv):
    import importlib

    return importlib.import_module(f"gansmith.cli.{argv[0]}").run(argv[1:])
