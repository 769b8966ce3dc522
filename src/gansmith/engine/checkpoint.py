"""Checkpoints: one safetensors file, whose metadata holds the rest as JSON; renamed into place when whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gansmith.errors import Refused
from gansmith.run import Run, write_atomically

SCHEMA = 1
"""Version of the checkpoint's layout."""


def save(path: Path, tensors: Mapping[str, torch.Tensor], rest: Mapping[str, Any]) -> None:
    """Write a checkpoint; a kill at any instant leaves it whole or absent.

    Raises:
        Refused: where the disk is full or cannot be written.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    text = json.dumps({"schema_version": SCHEMA, **rest})

    def write(temporary: Path) -> None:
        try:
            save_file(plain, temporary, {"gansmith": text})
        except SafetensorError as error:  # it wraps the system's error, and keeps its words alone
            full = "space" in str(error).lower() or "os error 28" in str(error).lower()
            raise OSError(28 if full else 5, "No space left on device" if full else str(error)) from None

    write_atomically(path, write)


def read(path: Path, prefix: str = "", device: str = "cpu") -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors whose names begin with `prefix`, and the rest.

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
    return tensors, rest


def newest(run: Run) -> Path:
    """The newest checkpoint of a run that can be read whole.

    Raises:
        Refused: where there is none.
    """
    problems: list[str] = []
    for path in reversed(run.checkpoints()):
        try:
            read(path, prefix="\0")
        except Refused as error:
            problems.append(error.what)
        else:
            return path
    raise Refused(problems[0] if problems else f"{run.path}: has no checkpoint yet", "Start the training again.")


def prune(run: Run, keep: int, best: int | None) -> None:
    """Remove all but the newest `keep` checkpoints and the best-scored one."""
    for path in run.checkpoints()[:-keep]:
        if best is None or path != run.checkpoint_file(best):
            path.unlink(missing_ok=True)
