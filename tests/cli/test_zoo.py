import pytest

from gansmith import recipe as recipes
from gansmith.cli import zoo

FIELDS = {
    "new": {"name": "new", "summary": "Newer\n  than old.", "paper": {"title": "New", "year": 2020, "arxiv": "2001.1"}},
    "old": {"name": "old", "summary": "Old.", "paper": {"title": "Old", "year": 2014}, "deviations": "None."},
    "own": {"name": "own", "summary": "No paper."},
}


@pytest.fixture
def recipes_of_three(monkeypatch):
    monkeypatch.setattr(recipes, "zoo_names", lambda: list(FIELDS))
    monkeypatch.setattr(recipes, "read_fields", lambda name: (FIELDS[name], name))
    monkeypatch.setattr(zoo, "yaml_of", lambda name: f"name: {name}\n")


def test_the_table_is_by_year(cli, recipes_of_three):
    code, out, _ = cli("zoo")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["year", "recipe", "what", "it", "is"],
        ["own", "No", "paper."],
        ["2014", "old", "Old."],
        ["2020", "new", "Newer", "than", "old."],
    ]


def test_one_recipe(cli, recipes_of_three):
    code, out, _ = cli("zoo", "new")
    assert code == 0
    assert "Newer than old." in out
    assert "https://arxiv.org/abs/2001.1" in out
    assert out.endswith("\n\nname: new\n")
    assert "differs  None." in cli("zoo", "old")[1]
    assert cli("zoo", "new", "--yaml")[1] == "name: new\n"


def test_a_file_of_ones_own(cli, tmp_path):
    (tmp_path / "mine.yaml").write_text("# mine\nname: mine\n")
    assert cli("zoo", "mine.yaml", "--yaml")[1] == "# mine\nname: mine\n"


def test_every_recipe_that_ships_can_be_shown(cli):
    for name in recipes.zoo_names():
        code, out, err = cli("zoo", name)
        assert (code, err) == (0, "")
        assert name in out
