import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from gansmith.cli import playground
from gansmith.errors import Refused


def started(*arguments):
    command = [sys.executable, "-m", "gansmith", "playground", "--no-browser", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_serves_says_where_and_ends_by_ctrl_c(tmp_path, host):
    with started(str(tmp_path / "none yet"), "--port", "0", "--host", host) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[1]
        assert address.startswith("http://127.0.0.1:")
        assert ("?token=" in address) == (host != "127.0.0.1")
        with urllib.request.urlopen(address, timeout=30) as page:
            assert b"gansmith" in page.read()
        if host != "127.0.0.1":
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(address.partition("?")[0], timeout=30)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert "Traceback" not in errors


def test_what_cannot_be_served_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="not a folder"):
        playground.run([str(tmp_path / "file"), "--no-browser"])
    with pytest.raises(Refused, match="expected a port"):
        playground.run(["--port", "70000"])
    with pytest.raises(Refused, match="no such address"):
        playground._bound("nowhere.invalid", None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Refused, match="Address already in use"):
            playground._bound("127.0.0.1", taken.getsockname()[1])


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delitem(sys.modules, "gansmith.playground.server", raising=False)
    import gansmith.playground

    monkeypatch.delattr(gansmith.playground, "server", raising=False)
    with pytest.raises(Refused, match=r"pip install 'gansmith\[playground\]'"):
        playground.run([str(tmp_path), "--no-browser"])
