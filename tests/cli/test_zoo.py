import pytest

from gansmith import recipe as recipes
from gansmith import zoo as shelf
from gansmith.cli import zoo

FIELDS = {
    "new": {
        "name": "new", "summary": "Newer\n  than old. Slower.", "family": "first",
        "explanation": "The\n  idea.\n\nThe loss: x.",
        "reproduce": {"row": "Table 1: 5", "command": "gansmith train new"},
        "paper": {"title": "New", "year": 2020, "arxiv": "2001.1"},
    },
    "old": {
        "name": "old", "summary": "Old.", "family": "first", "paper": {"title": "Old", "year": 2014},
        "deviations": "None.",
    },
    "own": {"name": "own", "summary": "No paper."},
}  # fmt: skip
SCORES = {"new": {"score": "fd-digits", "value": 7.5, "low": 7.0, "high": 9.0, "seeds": 3, "how": "one minute"}}


@pytest.fixture
def recipes_of_three(monkeypatch):
    monkeypatch.setattr(shelf, "names", lambda: list(FIELDS))
    monkeypatch.setattr(shelf, "scores", lambda: SCORES)
    monkeypatch.setattr(shelf, "scored_how", lambda: "in a minute")
    monkeypatch.setattr(recipes, "read_fields", lambda name: (FIELDS[name], name))
    monkeypatch.setattr(zoo, "yaml_of", lambda name: f"name: {name}\n")


def test_the_table_is_by_family_and_year(cli, recipes_of_three):
    code, out, _ = cli("zoo")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["family", "recipe", "year", "scored", "here", "what", "it", "is"],
        ["first", "old", "2014", "Old"],
        ["new", "2020", "fd-digits", "7.5", "Newer", "than", "old"],
        ["other", "own", "No", "paper"],
        [],
        ["Scored", "here:", "in", "a", "minute"],
    ]


def test_one_recipe(cli, recipes_of_three):
    code, out, _ = cli("zoo", "new")
    assert code == 0
    assert "Newer than old. Slower." in out
    assert "https://arxiv.org/abs/2001.1" in out
    assert "The idea.\n\nThe loss: x." in out
    assert "fd-digits 7.5 (7 to 9, 3 seeds; one minute)" in out
    assert "Table 1: 5" in out
    assert "not reproduced here yet" in out
    assert out.endswith("\n\nname: new\n")
    assert "differs  None." in cli("zoo", "old")[1]
    assert cli("zoo", "new", "--yaml")[1] == "name: new\n"


def test_a_score_of_one_seed_has_no_range(cli, recipes_of_three, monkeypatch):
    alone = {**SCORES["new"], "low": 7.5, "high": 7.5, "seeds": 1}
    monkeypatch.setattr(shelf, "scores", lambda: {"new": alone})
    assert "fd-digits 7.5 (one seed; one minute)" in cli("zoo", "new")[1]


def test_what_reproducing_it_costs(cli, recipes_of_three, monkeypatch):
    cost = {"images": 1_000_000, "shape": [3, 32, 64], "operations": 7.2e10, "seconds": 0.9, "on": "a chip"}
    monkeypatch.setattr(shelf, "costs", lambda: {"new": cost, "old": {**cost, "shape": [2]}})
    told = " ".join(cli("zoo", "new")[1].split())
    assert "costs 1,000,000 examples of 32x64x3 pixels, 72 GFLOP each: 10 d 10 h of one core (a chip;" in told
    assert "or 2 h 00 min of a GPU that reaches 10 TFLOP/s" in told
    assert "of 2 numbers" in cli("zoo", "old")[1]
    monkeypatch.setattr(shelf, "costs", dict)
    assert "GFLOP" not in cli("zoo", "new")[1]


def test_a_file_of_ones_own(cli, tmp_path):
    (tmp_path / "mine.yaml").write_text("# mine\nname: mine\n")
    assert cli("zoo", "mine.yaml", "--yaml")[1] == "# mine\nname: mine\n"


def test_every_recipe_that_ships_can_be_shown(cli):
    for name in shelf.names():
        code, out, err = cli("zoo", name)
        assert (code, err) == (0, "")
        assert name in out
