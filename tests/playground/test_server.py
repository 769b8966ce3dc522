import contextlib
import http.client
import json
import socket
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from gansmith.playground import server

from .serving import Client, served


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with served(tmp_path_factory.mktemp("runs")) as port:
        yield port


def get(port, path):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.request("GET", path)
    answer = line.getresponse()
    body = answer.read()
    line.close()
    return answer, body


def test_the_page_and_its_files_come_from_here_alone(port):
    answer, body = get(port, "/")
    assert answer.status == 200
    assert b"/page/main.js" in body
    assert b"http://" not in body.replace(b"http://www.w3.org", b"")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for path in sorted(server.PAGE.rglob("*")):
        if path.is_file():
            answer, body = get(port, f"/page/{path.relative_to(server.PAGE)}")
            assert answer.status == 200, path
            assert body == path.read_bytes()
            text = body.decode("utf-8", "ignore").replace("http://www.w3.org/", "")
            assert "https://" not in text
            assert "http://" not in text
            assert len(text.splitlines()) <= 620, path


@pytest.mark.parametrize(
    "path",
    ["/page/../server.py", "/page/%2e%2e/server.py", "/page/..%2fserver.py", "/page/", "/page/%00", "/etc/passwd"],
)
def test_nothing_else_is_handed_out(port, path):
    assert get(port, path)[0].status == 404


def test_a_token_is_asked_for_where_there_is_one(tmp_path):
    with served(tmp_path, token="secret") as port:
        assert get(port, "/")[0].status == 403
        assert get(port, "/?token=other")[0].status == 403
        assert get(port, "/?token=secret")[0].status == 200
        with pytest.raises(InvalidStatus):
            Client(port)
        with Client(port, query="?token=secret") as page:
            assert "choices" in page.ask("hello")


def test_another_pages_script_is_not_let_in(port):
    for origin in ("http://evil.example", f"http://127.0.0.1:{port + 1}", "null", "http://[bad"):
        with pytest.raises(InvalidStatus):
            Client(port, origin=origin)
    with Client(port, origin=f"http://127.0.0.1:{port}") as page:
        assert page.ask("hello")


@pytest.mark.parametrize(("name", "let_in"), [("evil.example", False), ("localhost", True)])
def test_a_strangers_name_that_leads_here_is_not_let_in(port, name, let_in):
    here, address = socket.create_connection(("127.0.0.1", port)), f"{name}:{port}"
    asked = {"origin": f"http://{address}", "sock": here}
    with contextlib.ExitStack() as told:
        if not let_in:
            told.enter_context(pytest.raises(InvalidStatus))
        told.enter_context(connect(f"ws://{address}/socket", **asked))


def test_what_is_malformed_is_answered_plainly_and_the_line_stays(port):
    with Client(port) as page:
        for sent, says in (
            ("not json", "not JSON"),
            ("[1]", "names its room"),
            ('{"room": "attic"}', "lab, runs, explore"),
            ("[" * 100_000, "not JSON"),
            (json.dumps({"room": "lab", "do": "x" * server.LIMIT}), "too long"),
            (b"bytes", "is text"),
            ('{"room": "lab", "do": "close"}', "cannot do"),
            ('{"room": "lab", "do": 3}', "cannot do"),
            ('{"room": "lab", "do": "start", "sides": [{"d_lr": "much"}]}', "d_lr"),
            ('{"room": "lab", "do": "seek", "at": NaN}', "whole number"),
        ):
            page.line.send(sent)
            answer = page.until(lambda each: each["kind"] == "refused")
            assert says in answer["refused"]
        assert page.ask("hello")["choices"]


def test_a_huge_message_ends_that_line_alone(port):
    with Client(port) as other, Client(port) as page:
        page.line.send("x" * (server.HARD + 10))
        with pytest.raises(ConnectionClosed):
            page.next()
        assert other.ask("hello")


def test_twenty_pages_at_once_and_none_leaves_anything_behind(port):
    before = threading.active_count()
    pages = [Client(port) for _ in range(20)]
    small = {"penalties": {}, "d_width": 8, "g_width": 8, "batch": 16, "data": "line"}
    for page in pages:
        page.tell("start", sides=[small])
        page.tell("run", speed=0)
    for page in pages:
        page.until(lambda each: each["kind"] == "frame" and each["at"] > 10)
    for page in pages:  # closed in the middle of a training
        page.__exit__()
    end = time.monotonic() + 20
    while any(thread.name == "gansmith-lab" for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "gansmith-lab"]
    assert threading.active_count() <= before + 20  # the pool's own
