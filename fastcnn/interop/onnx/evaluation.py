"""Graphs run node by node on arrays, as the standard describes them: what ONNX's own tests of operators are run through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...shapes import DataFormatError
from .calls import Call, UnsupportedError
from .operators import TABLE
from .reading import naming, program


def evaluate(content: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of a model.

    Parameters
    ----------
    content : bytes
        An ONNX file without external data.
    inputs : sequence of arrays
        As the graph lists its inputs.

    Raises
    ------
    UnsupportedError
        There is no such operator here.
    DataFormatError
        The file is damaged, or does not take these inputs.
    """
    model = program(content)
    if len(inputs) != len(model.inputs):
        raise DataFormatError(f"{len(inputs)} inputs came, expected {len(model.inputs)}")
    values = {**model.arrays, **{info.name: array for info, array in zip(model.inputs, inputs, strict=True)}}
    for call in model.calls:
        values.update(zip(call.outputs, applied(call, values), strict=False))
    return [values[name] for name in model.outputs]


def applied(call: Call, values: dict[str, np.ndarray]) -> tuple[Any, ...]:
    """Return the outputs of one node."""
    if call.operator not in TABLE:
        raise UnsupportedError(f"{call.name}: there is no such operator here")
    with naming(call.name):
        result = TABLE[call.operator](call, *(values[name] if name else None for name in call.inputs))
    return result if isinstance(result, tuple) else (result,)
