import pytest

from gansmith.errors import Refused
from gansmith.playground.folder import Folder
from playground.written import write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "runs" / "one")
    write(tmp_path / "runs" / "suite" / "two")
    write(tmp_path / "outside")
    return Folder(tmp_path / "runs")


def test_runs_have_names(folder):
    assert list(folder.runs()) == ["one", "suite/two"]
    assert folder.run("suite/two").path == folder.path / "suite" / "two"


OUTSIDE = ["../outside", "one/../../outside", "/etc/passwd", "", "..", "a\0b", "x" * 400, "suite/two/../../../outside"]


@pytest.mark.parametrize("name", [*OUTSIDE, "nothing", "suite", "one/samples", "a/b/c"])
def test_what_is_no_run_is_refused_in_the_same_words_wherever_it_leads(folder, name):
    with pytest.raises(Refused, match=r"no run .* in the runs folder") as told:
        folder.run(name)
    assert str(folder.path) not in str(told.value)


def test_no_name_tells_whether_there_is_something_outside(folder):
    words = []
    for name in ("../outside", "../nowhere"):
        with pytest.raises(Refused) as told:
            folder.run(name)
        words.append(str(told.value).replace(name, "NAME"))
    assert words[0] == words[1]


def test_a_link_that_leads_out_is_no_run(folder):
    (folder.path / "link").symlink_to(folder.path.parent / "outside")
    (folder.path / "circle").symlink_to(folder.path / "circle")
    (folder.path / "again").symlink_to(folder.path / "one")
    for name in ("link", "circle"):
        with pytest.raises(Refused, match="no run"):
            folder.run(name)
    assert list(folder.runs()) == ["again", "one", "suite/two"]


def test_a_folder_that_is_a_run_itself_has_one(tmp_path):
    write(tmp_path / "one")
    assert list(Folder(tmp_path / "one").runs()) == ["."]
    assert Folder(tmp_path / "one").run(".").info()["status"] == "running"


def test_new_runs_get_names_of_their_own(folder):
    assert folder.new("three") == folder.path / "three"
    assert folder.new("one") == folder.path / "one-2"
    for name in ("", ".", "..", "a/b", "/a", "-a", ".hidden", "x" * 101, "a b", "a\n"):
        with pytest.raises(Refused, match="cannot be a run's name"):
            folder.new(name)
    assert list(Folder(folder.path / "not" / "there").runs()) == []
