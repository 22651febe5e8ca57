"""`fastcnn export`: models for other programs."""

from __future__ import annotations

import os
from argparse import Namespace

from .. import training
from ..interop.onnx import export_onnx
from .output import Output
from .usage import UsageError, blaming


def export(arguments: Namespace, output: Output) -> int:
    """Write a saved model to an ONNX file and say what that takes."""
    if not arguments.out.lower().endswith(".onnx"):
        raise UsageError(f"OUT is {arguments.out!r}, expected a name that ends in .onnx")
    model = training.load(arguments.model)
    with blaming("--input-shape", "input_shape"):
        export_onnx(model, arguments.out, arguments.input_shape, normalise=arguments.normalise)
    size = os.path.getsize(arguments.out)
    dtype = "uint8" if arguments.normalise else "float32"
    output.result({"model": arguments.model, "out": arguments.out, "bytes": size, "input": dtype},
                  f"{arguments.out}: {size:,} bytes; takes {dtype} images (batch, C, H, W), "
                  f"{'which it normalises itself' if arguments.normalise else 'normalised as in training'}")
    return 0
