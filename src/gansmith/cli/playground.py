"""`gansmith playground`: see a GAN learn, watch runs and explore models, in a browser."""

from __future__ import annotations

import argparse
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from gansmith.cli.flags import Parser
from gansmith.errors import DONE, Refused

EXAMPLES = """\
  gansmith playground                        the lab, and the runs in runs/
  gansmith playground path/to/runs --port 8080
  gansmith playground --host 0.0.0.0 --no-browser     from another machine, by the address that it prints"""

PORT = 8571
"""Where the page is, unless something else is there already."""


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("playground", "Open a page in the browser: see GANs learn, your runs, your models.", EXAMPLES)
    flags.add_argument("runs", nargs="?", default="runs", metavar="RUNS_DIR", help="folder of runs (runs)")
    flags.add_argument("--port", type=_port, metavar="N", help=f"port of the page ({PORT}, or another free one)")
    flags.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    flags.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parser().read(argv)
    runs = Path(args.runs)
    if runs.exists() and not runs.is_dir():
        raise Refused(f"{runs}: not a folder")
    try:
        from gansmith.playground import server
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn", "websockets"):
            raise
        raise Refused(f"the playground needs {error.name}", "pip install 'gansmith[playground]'") from None

    listening = _bound(args.host, args.port)
    host, port = listening.getsockname()[:2]
    token = None if _is_loopback(host) else secrets.token_urlsafe(16)
    app = server.application(runs, token)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    serving = server.serve(app, host, port)
    print(f"playground: {address}   (Ctrl-C ends it)", flush=True)
    if token:
        print(f"from another machine: http://{socket.gethostname()}:{port}/?token={token}", flush=True)
    if not args.no_browser:
        import webbrowser

        webbrowser.open(address)
    serving.run(sockets=[listening])
    return DONE


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens there; where no port was asked for and the usual one is taken, on another.

    Raises:
        Refused: it cannot.
    """
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except OSError:
        raise Refused(f"--host {host}: no such address") from None
    for at in (PORT, 0) if port is None else (port,):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, at))
            listening.listen()  # so that the address is good as soon as it is printed
        except OSError as error:
            listening.close()
            if port is not None or at == 0:
                raise Refused(f"--port {at}: {error.strerror} on {host}", "Give another one, or none.") from None
        else:
            return listening
    raise AssertionError


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
