"""Where encoded pictures lie: in a folder, in a zip, in memory. A store gives names, and bytes by number."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from gansmith.data.pictures import Unreadable, named_as_picture, starts_as_picture
from gansmith.errors import Refused

LARGEST_FILE = 512 << 20
"""Bytes of one encoded picture that are read at most; a larger one is taken for a bomb."""


class Store(Protocol):
    """Encoded pictures by number; picklable, and safe to read in threads."""

    @property
    def names(self) -> Sequence[str]:
        """Names with `/` between folders, in a fixed order."""
        ...

    def read(self, i: int) -> bytes:
        """The bytes of the i-th.

        Raises:
            Unreadable: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Folder:
    """Files below a folder."""

    path: Path
    names: tuple[str, ...]

    def read(self, i: int) -> bytes:
        """The bytes of the i-th."""
        file = self.path / self.names[i]
        try:
            if not file.is_file():  # reading a pipe or a device would hang
                raise Unreadable("is no regular file, or a link to nothing")
            if file.stat().st_size > LARGEST_FILE:
                raise Unreadable(f"is larger than {LARGEST_FILE >> 20} MiB")
            return file.read_bytes()
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror or error})") from None


@dataclass(frozen=True)
class Zip:
    """Files in a zip, read in place; nothing is ever extracted."""

    path: Path
    names: tuple[str, ...]
    _opened: list[zipfile.ZipFile] = field(default_factory=list, compare=False, repr=False)

    def read(self, i: int) -> bytes:
        """The bytes of the i-th."""
        try:
            if not self._opened:
                self._opened.append(zipfile.ZipFile(self.path))
            archive = self._opened[0]
            if archive.getinfo(self.names[i]).file_size > LARGEST_FILE:
                raise Unreadable(f"is larger than {LARGEST_FILE >> 20} MiB")
            return archive.read(self.names[i])
        except Unreadable:
            raise
        except RuntimeError:
            raise Unreadable("is encrypted, or packed in a way that is not read") from None
        except Exception as error:
            # zlib.error, BadZipFile, struct.error, OSError: a damaged archive gives them all.
            raise Unreadable(f"is damaged in the archive ({type(error).__name__})") from None

    def __getstate__(self) -> dict[str, Any]:
        # An open file does not travel to another process; the copy opens its own.
        return {"path": self.path, "names": self.names, "_opened": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Encoded:
    """Encoded pictures that are in memory."""

    names: tuple[str, ...]
    blobs: Sequence[bytes | None] = field(repr=False)

    def read(self, i: int) -> bytes:
        """The bytes of the i-th."""
        blob = self.blobs[i]
        if blob is None:
            raise Unreadable("is missing")
        return blob


def open_folder(path: Path) -> tuple[Folder, int]:
    """The pictures below a folder, and how many other files there are.

    Raises:
        Refused: the folder cannot be read.
    """
    pictures, others, seen = [], 0, set()
    try:
        for folder, inner, files in os.walk(path, onerror=_raise, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link back up
                inner.clear()
                continue
            seen.add(real)
            inner[:] = sorted(name for name in inner if not _hidden(name))
            for name in files:
                file = Path(folder, name)
                if not _hidden(name) and (named_as_picture(name) or starts_as_picture(head_of(file))):
                    pictures.append(file.relative_to(path).as_posix())
                else:
                    others += 1
    except OSError as error:
        raise Refused(f"{error.filename or path}: cannot be read ({error.strerror or error})") from None
    return Folder(path, tuple(sorted(pictures))), others


def open_zip(path: Path) -> tuple[Zip, int]:
    """The pictures in a zip, and how many other files it has.

    Raises:
        Refused: it is no zip, or damaged.
    """
    pictures, others = [], 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                hidden = any(_hidden(part) for part in PurePosixPath(info.filename).parts)
                if not hidden and (named_as_picture(info.filename) or _zipped_picture(archive, info)):
                    pictures.append(info.filename)
                else:
                    others += 1
    except Exception as error:  # a damaged directory raises struct.error, UnicodeDecodeError and more
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a zip file, or damaged"
        raise Refused(f"{path}: cannot be read ({why})") from None
    return Zip(path, tuple(sorted(set(pictures)))), others


def _raise(error: OSError) -> None:
    raise error


def _hidden(name: str) -> bool:
    # .DS_Store, the ._name twins that macOS writes beside each file, and its folder in zips.
    return (name.startswith(".") and name not in (".", "..")) or name == "__MACOSX"


def head_of(file: Path) -> bytes:
    """The first 16 bytes of a file; none where it cannot be read."""
    try:
        if not file.is_file():  # a pipe or a device would hang
            return b""
        with open(file, "rb") as opened:
            return opened.read(16)
    except OSError:
        return b""


def _zipped_picture(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(info) as opened:
            return starts_as_picture(opened.read(16))
    except Exception:  # encrypted or damaged, and not named as a picture: none
        return False
