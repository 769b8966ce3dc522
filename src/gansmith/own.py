"""A user's own Python file as a module (`net.py:Generator`), or an installed one (`package.module:Generator`)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from gansmith.errors import Refused


def module_of(path: Path) -> ModuleType:
    """Import a file; each call imports it anew.

    Raises:
        Refused: no such file, or it fails.
    """
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    key = f"gansmith_user_{path.stem}_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(key, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[key]
        raise Refused(f"{path}: cannot be imported ({type(error).__name__}: {error})") from error
    return module


def installed(name: str) -> ModuleType:
    """Import an installed module by its dotted name.

    Raises:
        Refused: no such module, or it fails.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise Refused(f"{name}: cannot be imported ({type(error).__name__}: {error})") from error
