"""An ONNX file as nodes in an order in which they can run, its arrays by name, and its input and output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...data.reader import require_file
from ...shapes import DataFormatError
from ...training.writing import StrPath
from .calls import Call, UnsupportedError
from .schema import Model, ValueInfo
from .tensors import LARGEST, Loader, attributes_of
from .wire import decoded

_MOST_NODES = 1 << 15
_OPSETS = range(7, 32)  # later ones may mean something else by the same words
_DOMAINS = ("", "ai.onnx", "ai.onnx.preview.training")


class Program(NamedTuple):
    """What a file holds."""

    calls: list[Call]
    arrays: dict[str, np.ndarray]
    inputs: list[ValueInfo]  # that are not in the file
    outputs: list[str]
    metadata: dict[str, str]


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Inside the `with` block, what does not fit is a DataFormatError that begins with `what`."""
    try:
        yield
    except UnsupportedError as error:
        raise UnsupportedError(f"{what}: {error}") from None
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, AttributeError, KeyError) as error:
        raise DataFormatError(f"{what}: {error}") from None


def read(path: StrPath) -> Program:
    """Return what a file holds; DataFormatError: it is damaged or too large; FileNotFoundError: it is not there."""
    source = Path(path)
    require_file(source, lambda came, expected: DataFormatError(f"{came}, expected {expected}"))
    with source.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataFormatError(f"has more than {LARGEST} bytes, expected at most so many")
    return program(content, source.parent)


def program(content: bytes, folder: Path | None = None) -> Program:
    """Return what the bytes of a file hold; DataFormatError."""
    model = decoded(Model, content)
    if model.graph is None:
        raise DataFormatError("has no graph; expected an ONNX model")
    opset = _opset(model)
    if len(model.graph.node) > _MOST_NODES:
        raise DataFormatError(f"has {len(model.graph.node)} nodes, expected at most {_MOST_NODES}")
    loader = Loader(folder)
    arrays = {tensor.name: loader.array(tensor) for tensor in model.graph.initializer}
    calls = []
    for number, node in enumerate(model.graph.node):
        name = f"node {node.name or number!r} ({node.op_type[:80]})"
        if node.domain not in _DOMAINS:
            raise UnsupportedError(f"{name}: its domain is {node.domain[:80]!r}, expected operators of ONNX itself")
        with naming(name):
            attributes = attributes_of(node, loader)
        calls.append(Call(node.op_type, tuple(node.input), tuple(node.output), attributes, opset, name))
    inputs = [info for info in model.graph.input if info.name not in arrays]
    _require_order(calls, {*arrays, *(info.name for info in inputs)})
    return Program(calls, arrays, inputs, [info.name for info in model.graph.output],
                   {entry.key: entry.value for entry in model.metadata_props})


def _opset(model: Model) -> int:
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    versions = versions or [7 for each in model.opset_import if each.domain in _DOMAINS]
    if not versions or versions[0] not in _OPSETS:
        raise UnsupportedError(f"has opset {versions[0] if versions else None}, expected {_OPSETS[0]} to {_OPSETS[-1]}")
    return versions[0]


def _require_order(calls: list[Call], known: set[str]) -> None:
    """Raise DataFormatError unless each value is made once, before it is used."""
    for call in calls:
        missing = next((name for name in call.inputs if name and name not in known), None)
        if missing is not None:
            raise DataFormatError(f"{call.name}: its input {missing!r} is made by no node before it")
        twice = next((name for name in call.outputs if name in known), None)
        if twice is not None:
            raise DataFormatError(f"{call.name}: its output {twice!r} is there already, expected another name")
        known.update(name for name in call.outputs if name)
