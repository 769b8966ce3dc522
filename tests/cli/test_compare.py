import pytest

from gansmith import run as runs
from gansmith.scores import Evaluation, Score, keep

from .fakes import make_run


@pytest.fixture
def two(tmp_path):
    for name, value in (("one", 2.0), ("two", 5.0)):
        run = make_run(tmp_path / "runs" / name)
        score(run, "fd-toy", value)
        score(run, "recall-toy", value / 10, better="higher")
    return ["runs/one", "runs/two"]


def score(run, name, value, better="lower", spread=0.25, **card):
    told = {
        "metric": name,
        "measure": name.split("-")[0],
        "better": better,
        "extractor": "domain",
        "samples": 100,
        "seed": 0,
        "floor": 1.5,
        **card,
    }
    keep(run, Evaluation(str(run.path), 600, [Score(name, value, better, told, spread, "an error")]))


def test_a_table_and_a_page(cli, engine, two, tmp_path):
    score(runs.Run(tmp_path / "runs/two"), "density-toy", 1.0, "higher", None)
    code, out, err = cli("compare", *two, "--device", "cpu")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:4]] == [
        ["score", "one", "two", "real", "data", "best", "better"],
        ["fd-toy", "2", "±", "0.25", "5", "±", "0.25", "1.5", "one", "lower"],
        ["recall-toy", "0.2", "±", "0.25", "0.5", "±", "0.25", "1.5", "within", "the", "spread", "higher"],
        ["density-toy", "-", "1", "1.5", "higher"],
    ]
    assert "compare.html: the same with curves" in out
    assert [str(call["path"]) for call in engine.calls] == two
    assert "one after 600 images" in (tmp_path / "compare.html").read_text().replace("</b>", "").replace("<b>", "")


def test_a_page_is_not_written_over(cli, engine, two, tmp_path):
    (tmp_path / "compare.html").write_text("mine")
    code, out, err = cli("compare", *two)
    assert (code, out) == (2, "")
    assert err == "gansmith: error: compare.html: exists already\nGive another --out, or --force to write over it.\n"
    assert (tmp_path / "compare.html").read_text() == "mine"
    assert cli("compare", *two, "--out", "other.html")[0] == 0
    assert cli("compare", *two, "--force")[0] == 0
    assert (tmp_path / "compare.html").read_text() != "mine"
    assert cli("compare", *two, "--out", "x.png")[0] == 2


def test_unlike_cards_are_refused_and_nothing_is_written(cli, engine, two, tmp_path):
    score(runs.Run(tmp_path / "runs/two"), "fd-toy", 4.0, samples=50)
    code, out, err = cli("compare", *two)
    assert (code, out) == (2, "")
    assert "fd-toy of one and two cannot be compared, since their cards differ: samples: 100 and 50\n" in err
    assert "  gansmith eval runs/one --metrics fd-domain -n 50 --seed 0 --reference test\n" in err
    assert not (tmp_path / "compare.html").exists()
    code, out, _ = cli("compare", *two, "--only", "recall-toy")
    assert code == 0
    assert "fd-toy" not in out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "RUN"), (["runs/one"], "two runs or more"), (["runs/one", "nothing"], "not a run"),
        (["runs/one", "runs/two", "--only", "x"], "no run has such a score"), (["--fore"], "did you mean --force?"),
    ],
)  # fmt: skip
def test_what_is_refused(cli, engine, two, argv, told):
    code, out, err = cli("compare", *argv)
    assert (code, out) == (2, "")
    assert told in err
