"""`import_onnx`: the graph of a file as a network."""

from __future__ import annotations

import json
from collections import Counter

from ... import nn
from ...shapes import DataFormatError
from ...training.answers import ACTIVATIONS
from ...training.writing import StrPath
from .assembly import assembled
from .calls import UnsupportedError
from .from_nodes import RULES
from .patterns import joined
from .reading import Program, naming, read
from .schema import ValueInfo
from .tensors import UINT8
from .translation import IMAGES, Translation, Value

_ANY = 224  # rows and columns of images whose size is free: only layers that take any size follow then
_MOST_CLASSES = 1 << 16
_KNOWN = ", ".join(sorted(name for name in RULES if not name.startswith("fastcnn.")))  # others are groups of nodes


def import_onnx(path: StrPath) -> nn.Module:
    """Return the network in an ONNX file, to evaluate or to train further.

    Images are (N, H, W, C) as everywhere in fastcnn, also where the graph takes (N, C, H, W): weights are turned while they
    are read. Graphs of layers one after the other, residuals and branches become Sequential, Residual and Concat, others a
    module of their own. The file may have its arrays in other files of the same folder, or of folders inside it.

    Parameters
    ----------
    path : path

    Returns
    -------
    model : Module

    Raises
    ------
    DataFormatError
        The file is damaged, larger than 2 GiB, or names files outside its folder; or a node has an operator, or a form of
        one, that no layer has: the message names it.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2D(3, 8, 3), nn.ReLU(), nn.GlobalAvgPool2D())
    >>> fastcnn.export_onnx(model, "small.onnx", (32, 32, 3))
    >>> fastcnn.import_onnx("small.onnx")
    Sequential(
      Conv2D(3, 8, 3),
      ReLU(),
      GlobalAvgPool2D(),
    )
    """
    with naming(f"import_onnx: {path}"):
        return _network(read(path))


def _network(program: Program) -> nn.Module:
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise UnsupportedError(f"has {len(program.inputs)} inputs and {len(program.outputs)} outputs, expected one of each")
    uses = Counter(name for call in program.calls for name in call.inputs)
    uses.update(program.outputs)
    x, is_bytes, batch = _input(program.inputs[0])
    translation = Translation(program.arrays, uses, batch)
    translation.values[program.inputs[0].name] = x
    for call in program.calls:
        if call.operator == "Constant":
            with naming(call.name):
                translation.fold(call)
    calls = [call for call in program.calls if call.operator != "Constant"]
    for call in joined(calls, translation.arrays, program.outputs):
        with naming(call.name):
            if translation.fold(call):
                continue
            if call.operator not in RULES:
                raise UnsupportedError(f"there is no layer for this operator, expected one of {_KNOWN}")
            translation.values[call.outputs[0]] = RULES[call.operator](translation, call)
    return _finished(program, translation, is_bytes)


def _finished(program: Program, translation: Translation, is_bytes: bool) -> nn.Module:
    y = translation.values.get(program.outputs[0])
    if y is None:
        raise UnsupportedError(f"its output {program.outputs[0]!r} does not follow from the input")
    if is_bytes != (translation.normalisation is not None):
        raise UnsupportedError("normalises its input and takes no bytes, or the other way round; expected both or none")
    y = y if y.layout == IMAGES else translation.plain(y)
    model = assembled(translation.steps, y.number)
    model.normalisation = translation.normalisation
    _describe(model, program.metadata)
    return model


def _input(info: ValueInfo) -> tuple[Value, bool, int]:
    """Return the input, with one image, whether it is of bytes, and the size of the batch, 0 where it is free."""
    kind = info.type.tensor_type if info.type is not None else None
    if kind is None or kind.shape is None:
        raise UnsupportedError(f"input {info.name!r} has no shape, expected (N, C, H, W) or (N, features)")
    sizes = [dimension.dim_value or 0 for dimension in kind.shape.dim]
    if len(sizes) == 4 and sizes[1] > 0 and min(sizes) >= 0:
        return Value(0, (1, sizes[2] or _ANY, sizes[3] or _ANY, sizes[1]), IMAGES), kind.elem_type == UINT8, sizes[0]
    if len(sizes) > 1 and min(sizes[1:]) > 0:
        return Value(0, (1, *sizes[1:])), kind.elem_type == UINT8, sizes[0]
    raise UnsupportedError(f"input {info.name!r} has sizes {sizes}, expected (N, C, H, W) or (N, features) with sizes that "
                           "are known, but for N, H and W")


def _describe(model: nn.Module, metadata: dict[str, str]) -> None:
    """Take over what fastcnn wrote beside the graph."""
    if (text := metadata.get("classes")) is not None:
        try:
            classes = json.loads(text)
        except (ValueError, RecursionError):
            classes = None
        if not isinstance(classes, list) or len(classes) > _MOST_CLASSES or not all(isinstance(c, str) for c in classes):
            raise DataFormatError(f"has classes {text[:80]!r} in its metadata, expected a list of names")
        model.classes = tuple(classes)
    if metadata.get("output_activation") in ACTIVATIONS:
        model.output_activation = metadata["output_activation"]


