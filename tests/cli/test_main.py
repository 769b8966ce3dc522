import subprocess
import sys
import time

import pytest

from gansmith.cli import main as main_module
from gansmith.cli.main import COMMANDS, main

HEAVY = ("torch", "sklearn", "matplotlib", "numpy", "PIL", "rich", "pydantic")


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_is_quick_and_imports_nothing_heavy():
    code = f"""
import sys
from gansmith.cli.main import main
assert main(["--help"]) == 0
print("heavy:", sorted(set({HEAVY}) & set(sys.modules)))
"""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        out = in_a_process(code)
        took.append(time.perf_counter() - start)
    assert "heavy: []" in out
    assert min(took) < 0.5
    for name, what in COMMANDS.items():
        assert f"  {name}" in out
        assert what in out


def test_help_of_every_command_needs_no_torch():
    code = f"""
import sys
from gansmith.cli.main import main
for name in {list(COMMANDS)}:
    assert main([name, "--help"]) == 0
for name in ("runs", "zoo"):
    assert main([name]) == 0
assert main(["resume", "nothing"]) == main(["sample", "nothing"]) == 2
print("heavy:", sorted({{"torch", "sklearn", "matplotlib"}} & set(sys.modules)))
"""
    out = in_a_process(code)
    assert "heavy: []" in out
    assert out.count("examples:") == len(COMMANDS)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_help(cli, argv):
    code, out, err = cli(*argv)
    assert (code, err) == (0, "")
    assert out.startswith("Train a GAN")


def test_help_of_a_command_both_ways(cli):
    assert cli("help", "runs") == cli("runs", "--help")


def test_the_package_runs_as_a_module():
    told = subprocess.run([sys.executable, "-m", "gansmith", "trian"], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (2, "")
    assert "did you mean `gansmith train`?" in told.stderr


def test_version(cli):
    code, out, _ = cli("--version")
    assert code == 0
    assert out.startswith("gansmith ")


def test_an_unknown_command_is_refused_with_the_nearest(cli):
    assert cli("trian") == (
        2,
        "",
        "gansmith: error: no command 'trian'; did you mean `gansmith train`?\n`gansmith --help` lists the commands.\n",
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "--bacth", "4"], "--bacth: no such flag; did you mean --batch?"),
        (["train", "--optimzer.lr=1"], "--optimzer.lr: no such flag; did you mean --optimizer.lr?"),
        (["train", "--imges", "4"], "--imges: no such flag; did you mean --images?"),
        (["train", "--images", "0"], "--images: expected a number of images from 1 to 1e15, not '0'"),
        (["train", "--minutes", "soon"], "--minutes: expected a number above zero, not 'soon'"),
        (["train", "--minutes", "inf"], "--minutes: expected a number above zero, not 'inf'"),
        (["train", "--minutes", "3", "--epochs", "2"], "--epochs and --minutes: give one length, not 2"),
        (["train", "--resolution", "big"], "--resolution: expected pixels such as 64"),
        (["train", "--channels", "5"], "--channels: invalid choice: 5"),
        (["train", "--data"], "--data: expected one argument"),
        (["train", "a", "b"], "unrecognized arguments: b"),
        (["sample", "x", "--truncation", "0"], "--truncation: expected a number above 0, and at most 1, not '0'"),
        (["sample", "x", "--truncation", "1.5"], "--truncation: expected a number above 0, and at most 1, not '1.5'"),
        (["sample", "x", "-n", "-3"], "expected"),
        (["sample", "x", "--sed", "3"], "--sed: no such flag; did you mean --seed?"),
        (["sample", "nothing"], "nothing: not a run (it has no run.json)"),
        (["resume", "nothing"], "nothing: not a run (it has no run.json)"),
        (["resume"], "the following arguments are required: DIR"),
        (["runs", "nothing"], "nothing: no such folder"),
        (["zoo", "no-such-gan"], "no recipe is called 'no-such-gan'"),
        (["data", "digits", "--resolution", "1"], "data.resolution"),
        (["data", "no-such-data"], "no-such-data"),
    ],
)
def test_what_cannot_be_used_is_refused_in_plain_lines(cli, argv, message):
    code, out, err = cli(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("gansmith: error: ")
    assert message in err
    assert "Traceback" not in err
    assert err.count("\n") <= 2


def test_ctrl_c_is_no_traceback(cli, monkeypatch):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_dispatch", interrupt)
    assert cli("runs") == (130, "", "\ngansmith: interrupted\n")


def test_a_file_that_cannot_be_read_is_named(cli, monkeypatch):
    def fail(arguments):
        raise PermissionError(13, "Permission denied", "secret.png")

    monkeypatch.setattr(main_module, "_dispatch", fail)
    assert cli("runs") == (2, "", "gansmith: error: secret.png: Permission denied\n")


def test_a_defect_keeps_its_traceback(monkeypatch):
    def fail(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(main_module, "_dispatch", fail)
    with pytest.raises(ZeroDivisionError):
        main(["runs"])


def test_other_ranks_are_silent(cli, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert cli("--help") == (0, "", "")
    assert cli("trian") == (2, "", "")


def test_a_closed_pipe_is_no_error():
    code = "import sys; from gansmith.cli.main import main; sys.exit(main(['train', '--help']))"
    command = f'"{sys.executable}" -u -c "{code}" | head -c 1'
    told = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert told.stderr == ""
