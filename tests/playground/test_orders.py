import pytest

from gansmith.cli import train
from gansmith.errors import Refused
from gansmith.playground.folder import Folder
from gansmith.playground.orders import train_words


def words(tmp_path, local=True, **request):
    return train_words({"recipe": "gan", "data": "digits", **request}, Folder(tmp_path), local=local)


def test_the_words_are_read_as_they_are_meant(tmp_path):
    fields = [{"name": "optimizer.lr", "value": "1e-3"}, {"name": "generator.hidden", "value": "[8, 8]"}]
    path, made = words(
        tmp_path, length={"kind": "images", "value": "20k"}, seed=3, name="mine", fields=fields, root="d"
    )
    assert path == tmp_path / "mine"
    args = train.arguments(*train.parser().read_with_fields(made[1:]))
    assert made[0] == "train"
    assert {k: args[k] for k in ("recipe", "data", "out", "images", "data_root")} == {
        "recipe": "gan", "data": "digits", "out": str(path), "images": 20_000, "data_root": "d",
    }  # fmt: skip
    assert args["overrides"] == {"seed": "3", "optimizer.lr": "1e-3", "generator.hidden": "[8, 8]"}


def test_what_is_left_out_is_left_to_the_command(tmp_path):
    assert words(tmp_path)[1] == ["train", "gan", "--data", "digits", "--out", str(tmp_path / "gan-digits")]
    (tmp_path / "gan-digits").mkdir()
    assert words(tmp_path, length={"kind": "cpu_minutes", "value": "1.50"})[1][4:] == [
        "--cpu-minutes", "1.5", "--out", str(tmp_path / "gan-digits-2"),
    ]  # fmt: skip
    path, made = words(tmp_path, data="-odd/path to/pictures.zip")
    assert made[2] == "--data=-odd/path to/pictures.zip"
    assert path.name == "gan-pictures"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"recipe": "ganz"}, "not in the zoo; did you mean gan"),
        ({"recipe": "/etc/passwd"}, "not in the zoo"),
        ({"data": " "}, "data: name some"),
        ({"length": {"kind": "hours", "value": 1}}, "expected one of images"),
        ({"length": {"kind": "minutes", "value": 0}}, "expected a number above zero"),
        ({"length": {"kind": "minutes", "value": "soon"}}, "length in minutes"),
        ({"length": {"kind": "images", "value": "many"}}, "length in images"),
        ({"length": [1]}, "expected names and values"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"name": "../up"}, "cannot be a run's name"),
        ({"fields": [{"name": "nonsense", "value": "1"}]}, "no field of a recipe"),
        ({"fields": [{"name": "--out", "value": "/tmp"}]}, "no field of a recipe"),
        ({"fields": [{"name": "out", "value": "/tmp"}]}, "no field of a recipe"),
        ({"fields": "batch"}, "a list of"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, request_, told):
    with pytest.raises(Refused, match=told):
        words(tmp_path, **request_)


@pytest.mark.parametrize(
    "request_",
    [
        {"data": "/etc"}, {"data": "org/name"}, {"root": "/"},
        {"fields": [{"name": "data.root", "value": "/"}]},
        {"fields": [{"name": "generator.network", "value": "mine.py:Net"}]},
    ],
)  # fmt: skip
def test_from_another_machine_no_file_is_named(tmp_path, request_):
    with pytest.raises(Refused, match="only for who sits at the server's machine"):
        words(tmp_path, local=False, **request_)
    words(tmp_path, **request_)
    words(tmp_path, local=False, fields=[{"name": "batch", "value": "8"}])
