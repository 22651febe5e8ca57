"""`export_onnx`: a network as a graph in a file."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ... import __version__, nn
from ...nn.fusion import FusedPool, FusedReLU
from ...nn.inspect.trace import input_sizes
from ...shapes import Caller, DTypeError, ShapeError
from ...training.writing import StrPath, write_atomically
from .layers import Affine, Clip, HardSigmoid, Permute
from .network import Network, Product, Sum
from .schema import Dimension, Graph, Model, OperatorSet, Shape, TensorType, Type, ValueInfo
from .tensors import FLOAT32, LARGEST, UINT8, entry
from .to_nodes import RULES
from .wire import encoded
from .writer import TO_FIRST, TO_LAST, Value, Writer

OPSET, _IR_VERSION = 17, 8
_BATCH, _INPUT, _OUTPUT = "batch", "input", "output"


def export_onnx(model: nn.Module, path: StrPath, input_shape: tuple[int, ...] | None = None, *,
                normalise: bool = False) -> None:
    """Write a network, as it is in evaluation, to an ONNX file of opset 17.

    The input "input" is (batch, C, H, W) as elsewhere in ONNX, or (batch, features), float32; the output is "output". The
    batch is free. The file is complete or as it was before.

    Parameters
    ----------
    model : Module
        Made of layers and containers of `fastcnn.nn`, or by `import_onnx`.
    path : path
    input_shape : (H, W, C) or (features,), optional
        Shape of one input; that for which `models.create` made the model where it is None.
    normalise : bool
        Take uint8 images and normalise them in the graph by `model.normalisation`.

    Raises
    ------
    DTypeError
        `model` is no Module, or it holds one of a class that has no form in ONNX.
    ShapeError
        `input_shape` is needed, or it does not fit the model.
    ValueError
        `normalise` is true and the model has no normalisation, or the file would be larger than 2 GiB.
    OSError
        The file cannot be written.

    References
    ----------
    ONNX, "Operator Schemas", opset 17.

    Examples
    --------
    >>> model = models.create("lenet5", (28, 28, 1), 10)
    >>> fastcnn.export_onnx(model, "lenet5.onnx")
    >>> fastcnn.import_onnx("lenet5.onnx")(np.zeros((8, 28, 28, 1), np.float32)).shape
    (8, 10)
    """
    if not isinstance(model, nn.Module):
        raise DTypeError(f"export_onnx: model is {model!r}, expected a Module")
    content = encoded(_model(model, _input_shape(model, input_shape), normalise))
    if len(content) >= LARGEST:
        raise ValueError(f"export_onnx: the file would have {len(content)} bytes, expected less than {LARGEST}")
    write_atomically(path, content)


def _input_shape(model: nn.Module, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of a batch of one input."""
    if given is None and model.origin is None:
        raise ShapeError("export_onnx: input_shape is None and the model was not made by models.create, expected the shape "
                         "of one input, such as (28, 28, 1)")
    return (1, *input_sizes("export_onnx", given if given is not None or model.origin is None else model.origin.input_shape))


def _model(model: nn.Module, shape: tuple[int, ...], normalise: bool) -> Model:
    """Return the message of a model."""
    writer = Writer()
    writer._used.update((_INPUT, _OUTPUT))
    x = Value(_INPUT, shape)
    y = _emit(writer, model, _normalised(writer, model, x) if normalise else x, "")
    writer.place = ""
    _rename(writer, y.name)
    graph = Graph(name="fastcnn", node=writer.nodes, initializer=writer.tensors,
                  input=[_info(x, UINT8 if normalise else FLOAT32)], output=[_info(y._replace(name=_OUTPUT), FLOAT32)])
    return Model(ir_version=_IR_VERSION, producer_name="fastcnn", producer_version=__version__, graph=graph,
                 opset_import=[OperatorSet(version=OPSET)], metadata_props=_metadata(model))


def _rename(writer: Writer, name: str) -> None:
    """Let the last value be the output."""
    if writer.nodes and writer.nodes[-1].output == [name]:
        writer.nodes[-1].output = [_OUTPUT]
    else:
        writer.node("Identity", name)
        writer.nodes[-1].output = [_OUTPUT]


def _metadata(model: nn.Module) -> list[Any]:
    said = {"classes": json.dumps(list(model.classes)) if model.classes else None,
            "output_activation": model.output_activation}
    return [entry(key, value) for key, value in said.items() if value is not None]


def _info(x: Value, dtype: int) -> ValueInfo:
    _, *sizes = x.shape
    if x.is_image:
        sizes = [sizes[2], *sizes[:2]]
    dims = [Dimension(dim_param=_BATCH), *(Dimension(dim_value=size) for size in sizes)]
    return ValueInfo(name=x.name, type=Type(TensorType(elem_type=dtype, shape=Shape(dims))))


def _normalised(w: Writer, model: nn.Module, x: Value) -> Value:
    """Add nodes that bring bytes to what the network takes."""
    if model.normalisation is None:
        raise ValueError("export_onnx: normalise is true and model.normalisation is None, expected mean and deviation of "
                         "each channel, such as model.normalisation = ([0.5], [0.25])")
    w.place = "normalise"
    unit = w.node("Div", w.node("Cast", x.name, to=FLOAT32), w.number("most", 255.0))
    centred = w.node("Sub", unit, w.channels("mean", model.normalisation.mean, x))
    return Value(w.node("Div", centred, w.channels("std", model.normalisation.std, x)), x.shape)


def _emit(w: Writer, module: nn.Module, x: Value, name: str) -> Value:
    """Add the nodes of a module and of all inside it; return its output."""
    kind = type(module)
    if module.waiting or (isinstance(module, nn.Module) and module.replaced):
        reason = "its parameters come with the first input: call model.build(input_shape)" if module.waiting else (
            "its forward or backward was replaced")
        raise DTypeError(f"export_onnx: {name or 'model'} is {module!r}, which cannot be exported: {reason}")
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](w, module, x, name)
    rule = RULES.get(kind) or _OWN.get(kind)
    if rule is None:
        raise DTypeError(f"export_onnx: {name or 'model'} is of class {kind.__name__}, which has no form in ONNX; expected "
                         "layers, Sequential, Residual and Concat of fastcnn.nn")
    with Caller("export_onnx", f"input_shape makes x {x.shape} at {name or kind.__name__}"):
        y_shape = module.output_shape(x.shape)  # type: ignore[attr-defined]
    w.place = name or kind.__name__
    return Value(rule(w, module, x), y_shape)


def _sequential(w: Writer, module: nn.Sequential, x: Value, name: str) -> Value:
    for index, layer in enumerate(module.layers):
        x = _emit(w, layer, x, _join(name, index))
    return x


def _residual(w: Writer, module: nn.Residual, x: Value, name: str) -> Value:
    main = _emit(w, module.main, x, _join(name, "main"))
    other = x if module.shortcut is None else _emit(w, module.shortcut, x, _join(name, "shortcut"))
    if main.shape != other.shape:
        raise ShapeError(f"export_onnx: {name} adds {main.shape} and {other.shape}, expected equal shapes")
    w.place = name
    return Value(w.node("Add", main.name, other.name), main.shape)


def _concat(w: Writer, module: nn.Concat, x: Value, name: str) -> Value:
    parts = [_emit(w, branch, x, _join(name, index)) for index, branch in enumerate(module.branches)]
    w.place = name
    return _concatenated(w, parts)


def _concatenated(w: Writer, parts: list[Value]) -> Value:
    joined = w.node("Concat", *(part.name for part in parts), axis=1 if parts[0].is_image else len(parts[0].shape) - 1)
    return Value(joined, (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts)))


def _frozen(w: Writer, module: nn.Frozen, x: Value, name: str) -> Value:
    return _emit(w, module.network, x, name)


def _fused(w: Writer, module: FusedReLU, x: Value, name: str) -> Value:
    y = _emit(w, module.layer, x, name)
    return Value(w.node("Relu", y.name), y.shape)


def _pooled(w: Writer, module: FusedPool, x: Value, name: str) -> Value:
    y = _emit(w, module.layer, x, name)
    return _emit(w, module.pool, Value(w.node("Relu", y.name), y.shape) if module.relu else y, name)


def _network(w: Writer, module: Network, x: Value, name: str) -> Value:
    values = [x]
    for index, (step, sources) in enumerate(zip(module.steps, module.sources, strict=True)):
        inputs = [values[source] for source in sources]
        if isinstance(step, nn.Module):
            values.append(_emit(w, step, inputs[0], _join(name, index)))
            continue
        w.place = _join(name, index)
        if isinstance(step, (Sum, Product)):
            shape = np.broadcast_shapes(*(value.shape for value in inputs))
            values.append(Value(w.node("Add" if isinstance(step, Sum) else "Mul", *(each.name for each in inputs)), shape))
        else:
            values.append(_concatenated(w, inputs))
    return values[-1]


_CONTAINERS: dict[type[nn.Module], Any] = {nn.Sequential: _sequential, nn.Residual: _residual, nn.Concat: _concat,
                                           nn.Frozen: _frozen, FusedReLU: _fused, FusedPool: _pooled, Network: _network}


def _affine(w: Writer, layer: Affine, x: Value) -> str:
    scaled = w.node("Mul", x.name, w.channels("scale", layer.scale, x))
    return w.node("Add", scaled, w.channels("shift", layer.shift, x))


def _clip(w: Writer, layer: Clip, x: Value) -> str:
    ends = [w.number(name, end) if math.isfinite(end) else "" for name, end in (("low", layer.low), ("high", layer.high))]
    return w.node("Clip", x.name, *ends)


def _hard_sigmoid(w: Writer, layer: HardSigmoid, x: Value) -> str:
    return w.node("HardSigmoid", x.name, alpha=layer.alpha, beta=layer.beta)


def _permute(w: Writer, layer: Permute, x: Value) -> str:
    """Axes of a value in the graph are those of fastcnn, but for images."""
    if not x.is_image:
        return w.node("Transpose", x.name, perm=list(layer.axes))
    axes = [TO_LAST[layer.axes[TO_FIRST[axis]]] for axis in range(4)]
    return w.node("Transpose", x.name, perm=axes)


_OWN: dict[type[nn.Module], Any] = {Affine: _affine, Clip: _clip, HardSigmoid: _hard_sigmoid, Permute: _permute}


def _join(name: str, part: object) -> str:
    return f"{name}.{part}" if name else str(part)
