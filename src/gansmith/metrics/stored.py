"""The metrics' cache: tensors with a little JSON, one safetensors file for each key; losing it costs time alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gansmith.data.download import cache_folder
from gansmith.errors import Refused
from gansmith.run import write_atomically

VERSION = 1
"""Raised whenever the same key would stand for something else."""


def file_of(kind: str, key: Any) -> Path:
    """Name the file for a key: anything that JSON can write, and that decides what is stored."""
    text = json.dumps([VERSION, kind, key], sort_keys=True)
    return cache_folder() / kind / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"


def read(file: Path | None) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Give what a file holds, or None where it is missing or damaged (it is then made anew, and written over)."""
    if file is None or not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as held:
            rest = json.loads((held.metadata() or {})["gansmith"])
            return {name: held.get_tensor(name) for name in held.keys()}, rest  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def write(file: Path | None, tensors: Mapping[str, torch.Tensor], rest: Mapping[str, Any]) -> None:
    """Keep tensors and the rest; a cache that cannot be written is done without."""
    if file is None:
        return
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        write_atomically(file, lambda path: save_file(plain, path, {"gansmith": json.dumps(dict(rest))}))
    except (Refused, OSError, SafetensorError):
        return
