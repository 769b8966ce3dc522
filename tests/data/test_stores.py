from __future__ import annotations

import os
import pickle
import zipfile

import pytest

from gansmith.data import stores
from gansmith.data.pictures import Unreadable
from gansmith.data.stores import Encoded, Folder, Zip, open_folder, open_zip
from gansmith.errors import Refused

from .making import encoded, picture, pixels

PNG = encoded(pixels())


def test_a_folder_in_order(tmp_path):
    for name in ("b/2.png", "a.png", "b/10.jpg", "c"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    picture(tmp_path / "._a.png")
    picture(tmp_path / ".hidden/x.png")
    (tmp_path / "empty.png").write_bytes(b"")
    folder, others = open_folder(tmp_path)
    # A picture by its content counts; so does one by its name, for it should have been one.
    assert folder.names == ("a.png", "b/10.jpg", "b/2.png", "c", "empty.png")
    assert others == 3
    assert folder.read(0) == PNG
    assert pickle.loads(pickle.dumps(folder)).read(1) == PNG


def test_links(tmp_path):
    picture(tmp_path / "real/a.png")
    data = tmp_path / "data"
    data.mkdir()
    (data / "there").symlink_to(tmp_path / "real")
    (data / "back").symlink_to(data)
    (data / "lost.png").symlink_to(tmp_path / "none")
    folder, _ = open_folder(data)
    assert folder.names == ("lost.png", "there/a.png")
    with pytest.raises(Unreadable, match="link to nothing"):
        folder.read(0)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b")
    folder, others = open_folder(tmp_path)
    assert (folder.names, others) == (("a.png",), 1)
    with pytest.raises(Unreadable, match="no regular file"):
        folder.read(0)


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    folder = Folder(tmp_path, ("a.png",))
    monkeypatch.setattr(stores, "LARGEST_FILE", 10)
    with pytest.raises(Unreadable, match="larger than"):
        folder.read(0)
    with pytest.raises(Refused, match="cannot be read"):
        open_folder(tmp_path / "none")


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_is_read_in_place(tmp_path):
    members = {
        "d/": b"",
        "d/b.png": PNG,
        "a.png": PNG,
        "../evil.png": PNG,
        "r.txt": b"x",
        "__MACOSX/a.png": b"x",
        "c": PNG,
    }
    store, others = open_zip(zipped(tmp_path / "a.zip", members))
    assert store.names == ("../evil.png", "a.png", "c", "d/b.png")
    assert others == 2
    assert all(store.read(i) == PNG for i in range(4))
    assert pickle.loads(pickle.dumps(store)).read(2) == PNG
    assert [f.name for f in tmp_path.iterdir()] == ["a.zip"]


def test_a_damaged_member_is_unreadable(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.png": PNG, "b.png": PNG})
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    path.write_bytes(bytes(data))
    store, _ = open_zip(path)
    with pytest.raises(Unreadable, match="damaged in the archive"):
        store.read(0)
    assert store.read(1) == PNG


def test_an_encrypted_member_is_unreadable(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.png": PNG, "b": PNG})
    data = path.read_bytes()
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = data.index(mark)
        data = data[: start + flags] + b"\1" + data[start + flags + 1 :]
    path.write_bytes(data)
    store, _ = open_zip(path)
    with pytest.raises(Unreadable, match="encrypted"):
        store.read(store.names.index("a.png"))


def test_a_zip_bomb_is_not_set_off(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {"a.png": b"\0" * 10_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(stores, "LARGEST_FILE", 1 << 20)
    with pytest.raises(Unreadable, match="larger than 1 MiB"):
        open_zip(path)[0].read(0)


@pytest.mark.parametrize("data", [b"", b"PK\3\4 and no more", b"text"])
def test_what_is_no_zip(tmp_path, data):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(Refused, match=r"a\.zip: cannot be read"):
        open_zip(path)


def test_pictures_in_memory():
    store = Encoded(("a", "b"), [PNG, None])
    assert store.read(0) == PNG
    with pytest.raises(Unreadable, match="missing"):
        store.read(1)
    assert Zip.__doc__
