"""The function that `fastcnn verify --candidate` names: its file or module is imported, and so runs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .usage import UsageError


def function_at(place: str) -> Callable[..., Any]:
    """Return the function at FILE.py:NAME or MODULE:NAME; UsageError: there is none, or its file cannot be imported."""
    source, _, name = place.rpartition(":")
    try:
        module = _from_file(source) if source.endswith(".py") else _from_name(source)
    except Exception as error:  # whatever the user's file does
        raise UsageError(f"--candidate {place}: {type(error).__name__}: {error}; expected a file or a module that can be "
                         "imported from here") from error
    found = getattr(module, name, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UsageError(f"--candidate {place}: {source} has no function {name}, expected one of "
                         f"{', '.join(names) or 'none'}")
    return found


def _from_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None  # as the name ends in .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    """Import a module, of the current folder too, as `python -m` does."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)
