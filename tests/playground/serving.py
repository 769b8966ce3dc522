"""A playground on loopback for a test, and a line to it."""

import contextlib
import json
import socket
import threading
import time

from websockets.sync.client import connect

from gansmith.playground import lab, server  # the lab now, so that no test waits for torch
from gansmith.playground.room import unpacked


@contextlib.contextmanager
def served(runs, token=None, port=0):
    """The server in a thread; gives the port."""
    lab.warm()
    app = server.application(runs, token)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    serving = server.serve(app, "127.0.0.1", 0)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not serving.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        serving.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
        listening.close()


class Client:
    """A page without a browser: asks, and hears frames, which it acknowledges."""

    def __init__(self, port, room="lab", query="", **given):
        self.context = connect(f"ws://127.0.0.1:{port}/socket{query}", max_size=1 << 24, **given)
        self.line = self.context.__enter__()
        self.room, self.id, self.heard = room, 0, []

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.context.__exit__(None, None, None)

    def tell(self, do, **fields):
        self.line.send(json.dumps({"room": self.room, "do": do, **fields}))

    def ask(self, do, **fields):
        self.id += 1
        self.tell(do, id=self.id, **fields)
        return self.until(lambda each: each.get("kind") == "answer" and each["id"] == self.id)

    def next(self, timeout=60):
        data = self.line.recv(timeout)
        fields, arrays = (json.loads(data), {}) if isinstance(data, str) else unpacked(data)
        fields["arrays"] = arrays
        if fields["kind"] == "frame":
            self.tell("ack")
        self.heard.append(fields)
        return fields

    def until(self, wanted, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = self.next()
            if wanted(found):
                return found
        raise AssertionError("it was not heard in time")

    def still(self, at):
        """The frame at a moment, when nothing goes on."""
        return self.until(lambda each: each["kind"] == "frame" and each["at"] == at and not each["seeking"])
