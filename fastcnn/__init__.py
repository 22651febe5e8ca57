"""fastcnn: convolutional networks that train fast on the CPU people already have.

Names are imported when first used, so that `import fastcnn` costs little and needs no compiler.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {"data", "functional", "kernels", "models", "nn", "optim", "reference", "registry", "shapes", "training"}
_NAMES: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fastcnn.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"fastcnn.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'fastcnn' has no attribute {name!r}")
