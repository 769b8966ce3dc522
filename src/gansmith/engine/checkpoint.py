"""Checkpoints: one safetensors file, whose metadata holds the rest as JSON; renamed into place when whole."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gansmith.errors import Refused
from gansmith.run import Run, write_atomically

SCHEMA = 1
"""Version of the checkpoint's layout."""


class Newest(NamedTuple):
    """The newest good checkpoint of a run.

    Attributes:
        path: its file.
        tensors: by name.
        rest: the clock and all else.
        damaged: newer files that could not be read, and why.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    rest: dict[str, Any]
    damaged: list[tuple[Path, str]]

    def warnings(self) -> list[str]:
        """One line for each newer file that was passed over."""
        return [f"{reason}; the one of image {self.rest['images']:,} is used" for _, reason in self.damaged]


def save(path: Path, tensors: Mapping[str, torch.Tensor], rest: Mapping[str, Any]) -> None:
    """Write a checkpoint; a kill at any instant leaves it whole or absent.

    Raises:
        Refused: where the disk is full or cannot be written.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    text = json.dumps({"schema_version": SCHEMA, **rest, "crc32": _crc32(plain)})

    def write(temporary: Path) -> None:
        try:
            save_file(plain, temporary, {"gansmith": text})
        except SafetensorError as error:  # it wraps the system's error, and keeps its words alone
            full = "space" in str(error).lower() or "os error 28" in str(error).lower()
            raise OSError(28 if full else 5, "No space left on device" if full else str(error)) from None

    write_atomically(path, write)


def read(path: Path, prefix: str = "", device: str = "cpu") -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors whose names begin with `prefix`, and the rest; read whole, its checksum is verified.

    Raises:
        Refused: a damaged file, or one of a newer gansmith.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            rest = json.loads((file.metadata() or {})["gansmith"])
            tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
    except FileNotFoundError:
        raise Refused(f"{path}: no such checkpoint") from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise Refused(f"{path}: damaged, or no checkpoint of gansmith ({error})") from None
    version = rest.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA:
        raise Refused(f"{path}: schema version {version!r}; this gansmith reads up to {SCHEMA}")
    if not prefix and _crc32(tensors) != rest.get("crc32"):
        raise Refused(f"{path}: damaged (its checksum does not fit)")
    return tensors, rest


def _crc32(tensors: Mapping[str, torch.Tensor]) -> int:
    # Safetensors finds a file that is cut short, but not a byte that has changed.
    sum_ = 0
    for name in sorted(tensors):
        flat = tensors[name].cpu().contiguous().reshape(-1).view(torch.uint8)
        sum_ = zlib.crc32(flat.numpy().data, zlib.crc32(name.encode(), sum_))
    return sum_


def newest(run: Run, before: int | None = None) -> Newest:
    """Read the newest checkpoint of a run that is whole.

    Args:
        run: the run.
        before: only look at those not later than this clock, or else at the oldest.

    Raises:
        Refused: where there is none.
    """
    damaged: list[tuple[Path, str]] = []
    paths = run.checkpoints()
    if before is not None:
        paths = [path for path in paths if path <= run.checkpoint_file(before)] or paths[:1]
    for path in reversed(paths):
        try:
            tensors, rest = read(path)
        except Refused as error:
            damaged.append((path, error.what))
        else:
            return Newest(path, tensors, rest, damaged)
    raise Refused(damaged[0][1] if damaged else f"{run.path}: has no checkpoint yet", "Start the training again.")


def put_aside(run: Run, damaged: list[tuple[Path, str]]) -> None:
    """Rename damaged checkpoints, so that they do not count as kept ones; clear what a kill left half-written."""
    for path, _ in damaged:
        path.replace(path.with_suffix(".damaged"))
    for temporary in [*run.path.glob(".*.tmp"), *run.path.glob("*/.*.tmp")]:
        temporary.unlink(missing_ok=True)


def prune(run: Run, keep: int, best: int | None, before: int | None = None) -> None:
    """Remove all but the newest `keep` checkpoints, the best-scored one, and the newest not later than `before`."""
    paths = run.checkpoints()
    kept = {*paths[-keep:]}
    if best is not None:
        kept.add(run.checkpoint_file(best))
    if before is not None:
        kept.update([path for path in paths if path <= run.checkpoint_file(before)][-1:])
    for path in paths:
        if path not in kept:
            path.unlink(missing_ok=True)
