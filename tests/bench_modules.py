"""The modules of bench/, which import each other by their plain names, for tests."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "bench"


@contextmanager
def imported(name: str) -> Iterator[ModuleType]:
    """Give a module of bench/; afterwards neither it nor what it imports from there can be imported."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))
        for module in [module for module, found in sys.modules.items() if _lies_there(found)]:
            del sys.modules[module]


def _lies_there(module: ModuleType) -> bool:
    return Path(getattr(module, "__file__", None) or ".").parent == FOLDER
