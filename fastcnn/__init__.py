"""fastcnn: convolutional networks that train fast on the CPU people already have.

Names are imported when first used, so that `import fastcnn` costs little and needs no compiler.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (  # noqa: F401
        data,
        explain,
        functional,
        interop,
        kernels,
        metrics,
        models,
        nn,
        optim,
        plot,
        reference,
        registry,
        shapes,
        training,
    )
    from .interop.onnx import export_onnx, import_onnx  # noqa: F401
    from .interop.torch import from_torch, to_torch  # noqa: F401
    from .kernels.jit import threads
    from .nn import manual_seed  # noqa: F401
    from .shapes import CheckpointError, DataFormatError, DTypeError, ShapeError  # noqa: F401
    from .training import History, NonFiniteError, evaluate, fit, gradient_check, load, predict, save  # noqa: F401

    get_num_threads, set_num_threads = threads.get_num_threads, threads.set_num_threads

__version__ = "0.1.0"

# In a clone the kernels lie beside this folder, not in it: found there, too, where Python took the clone in place of what is
# installed, as it does in the clone's own folder.
_clone = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if not os.path.isdir(os.path.join(os.path.dirname(__file__), "kernels")) and os.path.isfile(
        os.path.join(_clone, "kernels", "__init__.py")):
    __path__.append(_clone)

_MODULES = (
    "data",
    "explain",
    "functional",
    "interop",
    "kernels",
    "metrics",
    "models",
    "nn",
    "optim",
    "plot",
    "reference",
    "registry",
    "shapes",
    "sklearn",
    "training",
)
_NAMES = {
    "CheckpointError": "shapes",
    "DTypeError": "shapes",
    "DataFormatError": "shapes",
    "History": "training",
    "NonFiniteError": "training",
    "ShapeError": "shapes",
    "evaluate": "training",
    "export_onnx": "interop.onnx",
    "fit": "training",
    "from_torch": "interop.torch",
    "get_num_threads": "kernels.jit.threads",
    "gradient_check": "training",
    "import_onnx": "interop.onnx",
    "load": "training",
    "manual_seed": "nn",
    "predict": "training",
    "save": "training",
    "set_num_threads": "kernels.jit.threads",
    "to_torch": "interop.torch",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fastcnn.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"fastcnn.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'fastcnn' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
