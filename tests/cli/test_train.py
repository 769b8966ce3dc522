import pytest

from gansmith.cli import train
from gansmith.cli.train import default_out


def test_a_training_ends_by_saying_where_to_look(cli, engine):
    code, out, err = cli("train", "dcgan", "--data", "toy", "--out", "runs/x", "--images", "1k", "--seed", "3")
    assert (code, err) == (0, "")
    (call,) = engine.calls
    assert call["listeners"]
    assert "epochs" not in call
    assert {k: call[k] for k in ("recipe", "data", "out", "images", "device", "overrides")} == {
        "recipe": "dcgan", "data": "toy", "out": "runs/x", "images": 1000, "device": "auto",
        "overrides": {"seed": "3"},
    }  # fmt: skip
    for line in (
        "tiny on toy: 5 images of 1x8x8, 3 classes",
        "  a note",
        "        600 of 1,000 images   60%   50 images/s   8 s left   discriminator 1.250   generator 2.000",
        "warning (at 600 images): a [warning]",
        "Done: 600 images in 12 s.",
        "  samples  runs/x/samples/000000000600.png",
        "  report   runs/x/report.html",
        "  gansmith sample runs/x -n 64 --out grid.png",
    ):
        assert line in out, line
    assert "resume" not in out


def test_ctrl_c_says_how_to_go_on(cli, engine):
    engine.end = "interrupted"
    code, out, _ = cli("train", "--data", "toy", "--out", "runs/x")
    assert code == 1
    assert "Stopped and saved at 600 of 1,000 images." in out
    assert "gansmith resume runs/x" in out


def test_ctrl_c_that_comes_through_says_the_same(cli, engine):
    engine.raises = KeyboardInterrupt()
    code, out, _ = cli("train", "--data", "toy", "--out", "runs/x")
    assert code == 1
    assert "gansmith resume runs/x" in out


def test_skipped_files_are_counted_and_named(cli, engine, problem):
    engine.problems = [problem] * 12
    code, out, _ = cli("train", "--data", "toy", "--out", "runs/x", "--skip-bad")
    assert code == 1
    assert "12 files were skipped:\n  cats/x.png: is empty\n" in out
    assert "… and 2 more" in out


def test_a_dry_run_prints_the_plan_and_writes_nothing(cli, engine, tmp_path):
    assert cli("train", "--data", "toy", "--dry-run") == (0, "a plan\n", "")
    assert "listeners" not in engine.calls[0]
    assert not list(tmp_path.iterdir())


def test_the_folder_that_is_chosen_is_new(tmp_path):
    assert default_out("auto", "digits") == "runs/auto-digits"
    assert default_out("mine/net.yaml", "my photos/") == "runs/net-my_photos"
    assert default_out("gan", None) == "runs/gan"
    (tmp_path / "runs/auto-digits").mkdir(parents=True)
    assert default_out("auto", "digits") == "runs/auto-digits-2"


def test_under_torchrun_the_folder_must_be_given(cli, engine, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = cli("train", "--data", "toy")
    assert code == 2
    assert "--out is missing" in err


@pytest.mark.parametrize("flag", ["--from", "--data-root", "--device"])
def test_other_flags_are_passed_on(cli, engine, flag):
    cli("train", "--data", "toy", "--out", "x", flag, "value")
    name = {"--from": "start_from", "--data-root": "data_root", "--device": "device"}[flag]
    assert engine.calls[0][name] == "value"


@pytest.mark.parametrize("given", [["--data", "A:one", "B:two"], ["--data=A:one", "B:two"], ["--data", "A:one B:two"]])
def test_two_folders_are_one_source(given):
    args, fields = train.parser().read_with_fields(train.two_sides(["cyclegan", *given, "--resolution", "64"]))
    assert (args.recipe, args.data, fields) == ("cyclegan", "A:one B:two", {})
    assert train.two_sides(["A:one", "B:two"]) == ["A:one", "B:two"]


def test_derived_pairs_are_a_field_of_the_data():
    args, fields = train.parser().read_with_fields(["pix2pix", "--data", "x", "--derive", "edges"])
    assert train.arguments(args, fields)["overrides"]["data.derive"] == "edges"
