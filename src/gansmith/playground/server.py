"""The server: the page's files, and one WebSocket to its rooms. It knows no room but by name, and trains nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib
import ipaddress
import json
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse, Response

from gansmith.errors import GansmithError
from gansmith.playground.room import House, Post, Room

ROOMS = ("lab", "runs", "explore")
"""Rooms by the name of their module."""

LIMIT, HARD = 1 << 18, 1 << 22
"""Bytes of a message that is still read, and of one at which the connection is closed unread."""

WAITING = 512
"""Messages that may wait to be sent; more belong to a page that no longer listens."""

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png",
    ".txt": "text/plain",
}  # fmt: skip

HEADERS = {
    # Nothing from elsewhere, and nobody else's frame around it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

log = logging.getLogger("gansmith.playground")

_IMPORTING = threading.Lock()


def application(runs: Path, token: str | None = None) -> FastAPI:
    """The web application.

    Args:
        runs: folder of runs.
        token: what the address must carry; None asks for none.
    """
    house = House(runs, local=token is None)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # What the first picture needs is loaded before anyone asks for it.
        warming = asyncio.create_task(asyncio.to_thread(_warm))
        yield
        await warming
        house.close()

    app = FastAPI(title="gansmith playground", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.get("/")
    async def index(token: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        if not _allowed(app.state.token, token):
            return PlainTextResponse("This playground wants the token that it printed: …/?token=…", 403)
        return FileResponse(PAGE / "index.html", media_type="text/html", headers=HEADERS)

    @app.get("/page/{name:path}")
    async def static(name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        path = (PAGE / name).resolve() if "\0" not in name else PAGE
        if not path.is_relative_to(PAGE) or not path.is_file() or path.suffix not in TYPES:
            return PlainTextResponse("no such file", 404)
        return FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS)

    @app.websocket("/socket")
    async def socket(connection: WebSocket, token: str = "") -> None:  # pyright: ignore[reportUnusedFunction]
        here = _same_origin(connection) and (app.state.token is not None or _asked_for_this_machine(connection))
        if not here or not _allowed(app.state.token, token):
            await connection.close(1008, "not allowed")
            return
        await connection.accept()
        await Connection(connection, house).serve()

    app.state.token = token
    return app


def _warm() -> None:
    for name in ROOMS:
        with contextlib.suppress(ModuleNotFoundError):
            getattr(_module(name), "warm", lambda: None)()


def _module(name: str) -> Any:
    # One after the other: two threads that import modules which import each other can see them half made.
    with _IMPORTING:
        return importlib.import_module(f"gansmith.playground.{name}")


def _allowed(wanted: str | None, given: str) -> bool:
    return wanted is None or hmac.compare_digest(wanted.encode(), given.encode())


def _same_origin(connection: WebSocket) -> bool:
    """Whether the page that opens the socket came from here: a browser always says where, other programs need not."""
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == connection.headers.get("host")
    except ValueError:
        return False


def _asked_for_this_machine(connection: WebSocket) -> bool:
    """Whether the address names this machine.

    A stranger's name may be made to lead to the loopback address after its page has been loaded (DNS rebinding): then
    the origin is the host, and only the name tells.
    """
    name = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Connection:
    """One page: its rooms, what it asks, and what waits to be sent to it.

    Args:
        socket: accepted.
        house: what all connections share.
    """

    def __init__(self, socket: WebSocket, house: House) -> None:
        self.socket, self.house = socket, house
        self.loop = asyncio.get_running_loop()
        self.outgoing: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self.rooms: dict[str, Room] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.ended = False

    async def serve(self) -> None:
        """Hear and answer until the page is gone; then close its rooms."""
        self.tasks.append(asyncio.create_task(self._send()))
        try:
            while True:
                message = await self.socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                self._take(message)
        except WebSocketDisconnect:
            pass
        finally:
            self.ended = True
            for task in self.tasks:
                task.cancel()
            for room in self.rooms.values():
                await asyncio.to_thread(room.close)

    def _take(self, message: Any) -> None:
        text = message.get("text")
        if text is None:
            return self._complain("a message is text: a JSON object")
        if len(text) > LIMIT:
            return self._complain(f"a message of {len(text):,} characters is too long; at most {LIMIT:,} are read")
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return self._complain("a message is a JSON object; this is not JSON")
        if not isinstance(fields, dict) or fields.get("room") not in ROOMS:
            return self._complain(f"a message names its room: {', '.join(ROOMS)}")
        name = fields["room"]
        if name not in self.queues:
            self.queues[name] = asyncio.Queue()
            self.tasks.append(asyncio.create_task(self._room(name)))
        if self.queues[name].qsize() >= WAITING:
            return self._complain(f"too many messages wait for the room {name}; this one is not read")
        self.queues[name].put_nowait(fields)
        return None

    async def _room(self, name: str) -> None:
        """Hand one room its messages, one after the other."""
        while True:
            message = await self.queues[name].get()
            answer = await asyncio.to_thread(self._heard, name, message)
            if "id" in message:
                self.post({"room": name, "kind": "answer", "id": message["id"], **answer})

    def _heard(self, name: str, message: dict[str, Any]) -> dict[str, Any]:
        try:
            if name not in self.rooms:
                room = _module(name).Handler(self.house, Post(name, self.put))
                self.rooms[name] = room
                if self.ended:
                    room.close()
            return dict(self.rooms[name].hear(message) or {})
        except GansmithError as error:
            told = {"refused": error.what, "remedy": error.remedy}
        except Exception as error:
            # A defect: its trace is for whoever runs the server, and the page goes on.
            log.exception("room %s, %s", name, str(message.get("do"))[:40])
            told = {"refused": f"this went wrong: {type(error).__name__}", "remedy": "The server's terminal says more."}
        if "id" not in message:
            self.post({"room": name, "kind": "refused", **told})
        return told

    def _complain(self, text: str) -> None:
        self.post({"room": None, "kind": "refused", "refused": text, "remedy": None})

    def post(self, fields: dict[str, Any]) -> None:
        """Send JSON, from any thread."""
        Post(fields["room"] or "", self.put).say(**{k: v for k, v in fields.items() if k != "room"})

    def put(self, data: str | bytes) -> None:
        """Send, from any thread; nothing where the page is gone."""
        if not self.ended:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self.loop.call_soon_threadsafe(self._queue, data)

    def _queue(self, data: str | bytes) -> None:
        # A page that has stopped reading must not fill the memory: it asks again when it is back.
        if self.outgoing.qsize() < WAITING:
            self.outgoing.put_nowait(data)

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                data = await self.outgoing.get()
                await (self.socket.send_text(data) if isinstance(data, str) else self.socket.send_bytes(data))


def serve(app: FastAPI, host: str, port: int) -> Any:
    """A server of the application, ready to `run()`; `should_exit` ends it."""
    import uvicorn

    # One slow page must not hold up Ctrl-C.
    options: dict[str, Any] = {"ws_max_size": HARD, "log_level": "warning", "timeout_graceful_shutdown": 2}
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, ws="websockets-sansio", lifespan="on", **options))
