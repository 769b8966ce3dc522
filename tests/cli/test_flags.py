import pytest

from gansmith.cli.flags import data_fields, new_file
from gansmith.cli.train import arguments, parser
from gansmith.errors import Refused
from gansmith.recipe import parse_overrides, validate


def read(*argv):
    args, fields = parser().read_with_fields(argv)
    return arguments(args, fields)


def test_any_field_is_a_flag_with_or_without_an_equals_sign():
    wanted = read(
        "--optimizer.lr", "1e-3", "dcgan", "--generator.width=64", "--penalties.r1.weight", "0.5", "--data", "digits",
        "--batch", "128", "--seed=1", "--penalties.gradient-penalty.weight=10", "--optimizer.betas", "[0.5, 0.9]",
    )  # fmt: skip
    assert (wanted["recipe"], wanted["data"]) == ("dcgan", "digits")
    assert wanted["overrides"] == {
        "optimizer.lr": "1e-3",
        "generator.width": "64",
        "penalties.r1.weight": "0.5",
        "batch": "128",
        "seed": "1",
        "penalties.gradient_penalty.weight": "10",
        "optimizer.betas": "[0.5, 0.9]",
    }


def test_a_field_without_a_value_is_true_and_a_negative_one_is_a_value():
    assert read("--conditional", "--data", "digits")["overrides"] == {"conditional": "true"}
    assert read("--generator.bias", "-1", "--conditional")["overrides"] == {
        "generator.bias": "-1",
        "conditional": "true",
    }


def test_the_recipe_takes_the_fields():
    wanted = read("--optimizer.lr", "1e-3", "--generator", "net.py:Generator", "--background", "#ffcc00", "--skip-bad")
    recipe = validate(parse_overrides(wanted["overrides"]), "test")
    assert recipe.optimizer.lr == 1e-3
    assert recipe.generator.network == "net.py:Generator"
    assert (recipe.data.background, recipe.data.skip_bad) == ("#ffcc00", True)
    assert validate(parse_overrides(read("--data.background", "#abc")["overrides"]), "t").data.background == "#abc"


def test_data_flags_are_short_for_data_fields():
    args = parser().read(
        ["--resolution", "28x32", "--channels", "1", "--fit", "pad", "--limit", "2k", "--split", "test"]
    )
    assert parse_overrides(data_fields(args)) == {
        "data": {"split": "test", "resolution": [28, 32], "channels": 1, "fit": "pad", "limit": 2000}
    }
    assert data_fields(parser().read([])) == {}


@pytest.mark.parametrize(("argv", "name"), [(["--images", "2M"], "images"), (["--images=60k"], "images")])
def test_lengths(argv, name):
    assert read(*argv)[name] in (2_000_000, 60_000)


def test_short_forms_are_not_guessed():
    with pytest.raises(Refused, match="--resol: no such flag; did you mean --resolution"):
        read("--resol", "64")


def test_a_new_file_is_no_old_one_and_has_the_right_ending(tmp_path):
    old = tmp_path / "old.json"
    old.write_text("")
    assert new_file(str(tmp_path / "new.json"), ".json", "scores are", False) == tmp_path / "new.json"
    assert new_file(str(old), ".json", "scores are", True) == old
    with pytest.raises(Refused, match="exists already"):
        new_file(str(old), ".json", "scores are", False)
    with pytest.raises(Refused, match=r"scores are written as \.json"):
        new_file("x.txt", ".json", "scores are", False)
