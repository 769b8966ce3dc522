"""A run's layout: writes that a kill or a full disk cannot harm, events cut short, migrations, refusals."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from gansmith import run as runs
from gansmith.errors import Refused
from gansmith.recipe import load
from gansmith.run import Run, create, find, refuse_existing, write_atomically, write_json


def put(text: str):
    return lambda path: path.write_text(text, encoding="utf-8")


def test_a_write_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "deep" / "file"
    write_atomically(path, put("old"))
    write_atomically(path, put("new"))
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_written_file_is_as_open_as_any_other(tmp_path: Path):
    write_atomically(tmp_path / "a", put(""))
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("at", ["write", "fsync", "replace", "mkstemp"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, at: str):
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    write = full if at == "write" else put("new")
    with monkeypatch.context() as patch:
        if at == "mkstemp":
            patch.setattr(runs.tempfile, "mkstemp", full)
        elif at != "write":
            patch.setattr(os, at, full)
        with pytest.raises(Refused, match=r"file: the disk is full\n.*gansmith resume"):
            write_atomically(path, write)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_half_way_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Refused):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_the_kernels_own_full_device(tmp_path: Path):
    def onto_full(_: Path) -> None:
        with open("/dev/full", "w") as file:
            file.write("x" * 100_000)

    with pytest.raises(Refused, match="the disk is full"):
        write_atomically(tmp_path / "file", onto_full)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be written"):
        write_atomically(tmp_path / "file" / "below", put("x"))


def test_any_other_error_passes_and_cleans_up(tmp_path: Path):
    def fail(_: Path) -> None:
        raise KeyError("not the disk")

    with pytest.raises(KeyError):
        write_atomically(tmp_path / "file", fail)
    assert list(tmp_path.iterdir()) == []


def test_json_holds_no_nan(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "a.json", {"x": "é"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": "é"}


# --- a run -----------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Run:
    return create(tmp_path / "run", load("gan"), {"status": "running"})


def test_create_writes_the_recipe_and_the_facts(made: Run):
    assert made.recipe() == load("gan")
    assert made.info() == {"schema_version": runs.SCHEMA, "status": "running"}
    made.update_info(status="done", images=5)
    assert made.info() == {"schema_version": runs.SCHEMA, "status": "done", "images": 5}


def test_a_folder_that_holds_something_is_refused(made: Run, tmp_path: Path):
    with pytest.raises(Refused, match="gansmith resume"):
        create(made.path, load("gan"), {})
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="is a file"):
        refuse_existing(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    refuse_existing(tmp_path / "empty")


def test_files_go_by_the_clock(made: Run):
    for images in (100, 20, 3000):
        write_atomically(made.checkpoint_file(images), put(""))
        write_atomically(made.sample_file(images), put(""))
    (made.checkpoint_folder / ".000000000005.safetensors.abc.tmp").touch()
    assert [int(f.stem) for f in made.checkpoints()] == [20, 100, 3000]
    assert [images for images, _ in made.samples()] == [20, 100, 3000]


def test_a_last_line_that_was_cut_short_is_passed_over(made: Run):
    assert list(made.events()) == []
    lines = [{"event": "progress", "images": i} for i in (0, 64, 128)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    made.events_file.write_text(text + '{"event": "progr', encoding="utf-8")
    assert list(made.events()) == lines
    assert list(made.events("score")) == []


@pytest.mark.skipif(os.name != "posix", reason="without locks")
def test_a_run_is_written_by_one_at_a_time(made: Run):
    # Another process sees a lock as another opening of the file does.
    with made.locked(), pytest.raises(Refused, match="another process is training it"), made.locked():
        pass
    with made.locked():
        pass  # given back
    with pytest.raises(Refused, match="cannot be written"), Run(made.path / "gone").locked():
        pass


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="without /proc")
def test_it_is_known_who_trains_a_run(made: Run):
    assert made.trained_by() is None
    with made.locked():
        assert made.trained_by() == os.getpid()
        with pytest.raises(Refused), made.locked():
            pass
        assert made.trained_by() == os.getpid()  # one that was refused wipes nothing out
    assert made.trained_by() is None  # the number stays there, and its process lives; but it holds the file no more
    made.lock_file.write_text("no number", encoding="utf-8")
    assert made.trained_by() is None


def test_events_are_truncated_to_a_clock(made: Run):
    events = [
        {"event": "begin"},
        {"event": "progress", "images": 64},
        {"event": "score", "images": 128, "fd": 3.0},
        {"event": "progress", "images": 192},
    ]
    made.events_file.write_text("".join(json.dumps(e) + "\n" for e in events) + '{"event": "pro', encoding="utf-8")
    made.truncate_events(128)
    assert [e.get("images") for e in made.events()] == [None, 64, 128]
    assert made.events_file.read_text(encoding="utf-8").endswith("\n")
    Run(made.path / "nowhere").truncate_events(5)


def test_old_schemas_are_brought_up_step_by_step(made: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs, "SCHEMA", 3)
    monkeypatch.setitem(runs.MIGRATIONS, 1, lambda info: {**info, "schema_version": 2, "two": True})
    monkeypatch.setitem(runs.MIGRATIONS, 2, lambda info: {**info, "schema_version": 3, "three": info["two"]})
    assert made.info() == {"schema_version": 3, "status": "running", "two": True, "three": True}


@pytest.mark.parametrize(
    ("status", "whole"),
    [("done", True), ("converged", True), ("interrupted", False), ("failed", False), ("running", False)],
)
def test_what_must_not_go_on_with_half_a_training(made: Run, status: str, whole: bool):
    made.update_info(status=status)
    assert made.whole is whole
    if whole:
        assert made.finished() is made
    else:
        with pytest.raises(KeyboardInterrupt):
            made.finished()


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"schema_version": 99}', "schema version 99"), ("{", "damaged"), ("[]", "schema version None"), ("{}", "None")],
)
def test_a_damaged_or_newer_run_is_refused(made: Run, text: str, said: str):
    made.info_file.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=said):
        made.info()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match="not a run"):
        Run(tmp_path).info()


def test_find_looks_two_levels_deep(tmp_path: Path):
    for name in ("b", "a", "deep/c", "too/deep/d"):
        create(tmp_path / name, load("gan"), {})
    assert [run.path.relative_to(tmp_path).as_posix() for run in find(tmp_path)] == ["a", "b", "deep/c"]
    assert [run.path for run in find(tmp_path / "a")] == [tmp_path / "a"]
