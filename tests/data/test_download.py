from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gansmith.data.download import Source, cache_folder, fetch, unpack
from gansmith.errors import Refused

CONTENT = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        # One byte more is promised than sent: a connection that is lost half-way.
        self.send_header("Content-Length", str(len(CONTENT) + (self.path == "/short")))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server():
    serving = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    thread.join()
    serving.server_close()


def source(url, content=CONTENT, size=1 << 20):
    return Source(url, hashlib.md5(content).hexdigest(), size)


def test_a_file_comes_once(server, tmp_path):
    target = tmp_path / "deep" / "file.gz"
    assert fetch(source(f"{server}/file"), target).read_bytes() == CONTENT
    assert [f.name for f in target.parent.iterdir()] == ["file.gz"]
    # Now it is there, and nothing is asked.
    assert fetch(source("http://127.0.0.1:9/none"), target) == target


@pytest.mark.parametrize(
    ("path", "content", "size", "says"),
    [
        ("/none", CONTENT, 1 << 20, "HTTP 404"),
        ("/file", b"other", 1 << 20, "wrong checksum"),
        ("/file", CONTENT, 100, "more came"),
        ("/short", CONTENT + b"!", 1 << 20, "checksum|cannot be downloaded"),
    ],
)
def test_a_failure_leaves_nothing(server, tmp_path, path, content, size, says):
    with pytest.raises(Refused, match=says) as caught:
        fetch(source(server + path, content, size), tmp_path / "file")
    assert server in caught.value.what
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path):
    with pytest.raises(Refused, match="cannot be downloaded"):
        fetch(source("http://127.0.0.1:1/file"), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refused, match="cannot be written"):
        fetch(source("http://127.0.0.1:1/file"), tmp_path / "file" / "below")


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("GANSMITH_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gansmith"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "gansmith"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "gansmith"


def archive(path, names):
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    return path


def test_only_the_named_files_are_unpacked(tmp_path):
    packed = archive(tmp_path / "a.tar.gz", ["in/one.bin", "../../evil", "in/two.bin", "/abs"])
    unpack(packed, ("one.bin", "two.bin"), tmp_path / "out")
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["one.bin", "two.bin"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.tar.gz", "out"]
    unpack(packed, ("one.bin",), tmp_path / "out")  # another process was faster


@pytest.mark.parametrize("cut", [0, 20])
def test_a_bad_archive_leaves_nothing(tmp_path, cut):
    packed = archive(tmp_path / "a.tar.gz", ["in/one.bin"])
    packed.write_bytes(packed.read_bytes()[: -cut or None])
    with pytest.raises(Refused, match=r"a\.tar\.gz"):
        unpack(packed, ("one.bin", "two.bin"), tmp_path / "out")
    assert [f.name for f in tmp_path.iterdir()] == ["a.tar.gz"]
