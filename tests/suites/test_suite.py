import pytest

from gansmith import recipe as recipes
from gansmith.errors import Refused
from gansmith.suites.suite import Suite, load_suite, suite_names, suite_text


def made(**fields):
    given = {"name": "x", "data": {"d": "digits"}, "length": {"images": "2k"}, "metrics": ["fd"]}
    return Suite.model_validate({**given, **fields})


@pytest.mark.parametrize("name", suite_names())
def test_each_that_ships_names_recipes_that_validate(name):
    suite = load_suite(name)
    assert suite.name == name
    assert suite.summary
    trials = suite.trials()
    assert len({trial.key for trial in trials}) == len({trial.folder for trial in trials}) == len(trials)
    for trial in trials:
        if trial.seed == 0:
            fields, where = recipes.read_fields(trial.recipe)
            recipe = recipes.validate(recipes.merge(fields, trial.fields), where)
            assert recipe.data.source is not None


def test_rows_are_combinations_and_then_the_named():
    suite = made(
        base="gan", vary={"loss": {"hinge": {"loss": "hinge"}, "ns": {"loss": "nonsaturating"}}, "net": {
            "small": {"generator": {"network": "mlp", "hidden": [8]}}, "own": {}}},
        rows={"auto": "auto"}, fields={"batch": 32}, seeds=2,
    )  # fmt: skip
    assert list(suite.all_rows()) == ["hinge small", "hinge own", "ns small", "ns own", "auto"]
    trials = suite.trials()
    assert len(trials) == 10
    first = trials[0]
    assert (first.row, first.recipe, first.seed, first.key) == ("hinge small", "gan", 0, "d/hinge small/0")
    assert first.folder == "d/hinge-small/0"
    assert first.fields == {
        "data": {"source": "digits"}, "batch": 32, "loss": "hinge",
        "generator": {"network": "mlp", "hidden": [8]}, "seed": 0,
    }  # fmt: skip
    assert [trial.seed for trial in trials] == [0] * 5 + [1] * 5


def test_some_rows_of_some_data():
    suite = made(rows={"a": "gan", "b": "dcgan"}, data={"d": "digits", "few": {"source": "digits", "limit": 100}})
    some = suite.narrowed(rows=["b"], data=["few"], seeds=1, length={"cpu_minutes": 0.5})
    (trial,) = some.trials()
    assert (trial.row, trial.recipe) == ("b", "dcgan")
    assert trial.fields["data"] == {"source": "digits", "limit": 100}
    assert some.length.model_dump(exclude_none=True) == {"cpu_minutes": 0.5}
    assert suite.narrowed().trials() == suite.trials()
    with pytest.raises(Refused, match=r"no row is called 'c'\nThere are a, b"):
        suite.narrowed(rows=["c"])
    with pytest.raises(Refused, match=r"no data is called 'fex'\nDid you mean 'few'"):
        suite.narrowed(data=["fex"])


def test_a_failure_is_by_a_score_or_by_all_of_its_kind():
    suite = made(failed={"fd": {"above": 300}, "accuracy": {"below": 0.5}})
    assert suite.fails("fd-mnist", 301)
    assert not suite.fails("fd-mnist", 299)
    assert suite.fails("accuracy", 0.4)
    assert not suite.fails("recall-mnist", 0.0)


@pytest.mark.parametrize(("text", "told"), [
    ("name: x\ndata: {d: digits}\nmetrics: [fd]\nlength: {images: 2k, minutes: 1}", "give one length"),
    ("name: x\ndata: {d: digits}\nmetrics: [fd]\nlength: {}", "give one length"),
    ("name: x\ndata: {d: digits}\nmetrics: [fd]\nlength: {images: 2k}\nseed: 3", "seed"),
    ("name: x: y", "not valid YAML"),
    ("- a", "valid dictionary"),
])  # fmt: skip
def test_a_file_that_is_no_suite_is_refused(tmp_path, text, told):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(Refused, match=told):
        load_suite(str(path))


def test_a_suite_is_found_by_name_or_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(suite_text("modes"))
    assert load_suite(str(path)) == load_suite("modes")
    with pytest.raises(Refused, match="Did you mean 'modes'"):
        load_suite("mode")
    with pytest.raises(Refused, match="cannot read the suite"):
        load_suite(str(tmp_path / "none.yaml"))
