"""Files from the network, each once: into the cache folder, by a known checksum, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import IO, NamedTuple

from gansmith.errors import Refused

_CHUNK = 1 << 20
_PATIENCE = 30.0


class Source(NamedTuple):
    """A published file.

    Attributes:
        url: where it is.
        checksum: as it is published, in hex: an MD5 of 32 digits, or a SHA-256 of 64.
        size: bytes at most; a server that sends more is cut off.
    """

    url: str
    checksum: str
    size: int

    @property
    def kind(self) -> str:
        """Which checksum it is."""
        return "sha256" if len(self.checksum) == 64 else "md5"


def cache_folder() -> Path:
    """Where downloads are kept: `$GANSMITH_CACHE`, or `gansmith` in the user's cache folder."""
    chosen = os.environ.get("GANSMITH_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "gansmith"


def fetch(source: Source, target: Path) -> Path:
    """The file at `target`, downloaded where it is not there yet.

    Written under a temporary name, checked, fsynced, then renamed; a failure leaves nothing behind.

    Raises:
        Refused: no network, no such file, the wrong checksum, or a disk that cannot be written.
    """
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise Refused(
            f"{target.parent}: cannot be written ({error.strerror or error})",
            "Set GANSMITH_CACHE to another folder.",
        ) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            found = _stream(source, file, target)
            file.flush()
            os.fsync(file.fileno())
        if found != source.checksum:
            raise Refused(
                f"{source.url}: what came has the wrong checksum ({source.kind} {found}, not {source.checksum})",
                "Try again; or give the files by --data-root.",
            )
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _stream(source: Source, file: IO[bytes], target: Path) -> str:
    checksum, size = hashlib.new(source.kind, usedforsecurity=source.kind != "md5"), 0
    request = urllib.request.Request(source.url, headers={"User-Agent": "gansmith"})
    remedy = "Check the network; or give the files by --data-root."
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > source.size:
                    raise Refused(f"{source.url}: more came than the {source.size:,} bytes that are published", remedy)
                checksum.update(chunk)
                _write(file, chunk, target)
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(f"{source.url}: cannot be downloaded (HTTP {error.code})", remedy) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise Refused(f"{source.url}: cannot be downloaded ({reason})", remedy) from None
    return checksum.hexdigest()


def _write(file: IO[bytes], chunk: bytes, target: Path) -> None:
    # A full disk is an OSError as a lost connection is; told apart here.
    try:
        file.write(chunk)
    except OSError as error:
        raise Refused(f"{target}: cannot be written ({error.strerror or error})") from None


def unpack(archive: Path, names: tuple[str, ...], folder: Path) -> None:
    """Take the named files, and no others, out of a `.tar.gz` into a folder that appears whole.

    Raises:
        Refused: a file is missing in the archive, or the disk cannot be written.
    """
    temporary = None
    try:
        temporary = tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent)
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                inside = tar.extractfile(member) if name in names and member.isfile() else None
                if inside is not None:
                    Path(temporary.name, name).write_bytes(inside.read())
        missing = [name for name in names if not Path(temporary.name, name).exists()]
        if missing:
            raise Refused(f"{archive}: holds no {missing[0]}")
        if not folder.exists():
            os.replace(temporary.name, folder)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise Refused(f"{archive}: cannot be unpacked ({getattr(error, 'strerror', None) or error})") from None
    finally:
        if temporary is not None:
            _remove(temporary)


def _remove(temporary: tempfile.TemporaryDirectory[str]) -> None:
    # After the rename there is nothing left to remove; a clean-up that is not done warns at exit.
    Path(temporary.name).mkdir(exist_ok=True)
    temporary.cleanup()
