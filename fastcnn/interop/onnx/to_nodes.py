"""What each layer is in operators of ONNX, opset 17: a function of the writer, the layer and its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn, shapes
from .writer import Value, Writer

Rule = Callable[[Writer, Any, Value], str]
_ROOT_2 = math.sqrt(2)


def _conv(w: Writer, layer: nn.Conv2D, x: Value) -> str:
    window = layer._window(x.shape)
    return w.node("Conv", x.name, w.tensor("weight", layer.weight.data.transpose(3, 2, 0, 1)), *_bias(w, layer),
                  kernel_shape=[window.R, window.S], group=window.groups, **_geometry(window))


def _conv_transpose(w: Writer, layer: nn.ConvTranspose2D, x: Value) -> str:
    window = layer._window(x.shape)
    return w.node("ConvTranspose", x.name, w.tensor("weight", layer.weight.data.transpose(3, 2, 0, 1)), *_bias(w, layer),
                  kernel_shape=[window.R, window.S], group=window.groups,
                  output_padding=list(layer._geometry["output_padding"]), **_geometry(window))


def _geometry(window: shapes.Window) -> dict[str, list[int]]:
    return {"strides": [window.stride_rows, window.stride_columns], "pads": _pads(window),
            "dilations": [window.dilation_rows, window.dilation_columns]}


def _pads(window: shapes.Window) -> list[int]:
    return [window.top, window.left, window.bottom, window.right]


def _bias(w: Writer, layer: Any) -> list[str]:
    return [] if layer.bias is None else [w.tensor("bias", layer.bias.data)]


def _linear(w: Writer, layer: nn.Linear, x: Value) -> str:
    return w.node("Gemm", x.name, w.tensor("weight", layer.weight.data), *_bias(w, layer))


def _batch_norm(w: Writer, layer: nn.BatchNorm, x: Value) -> str:
    arrays = {"gamma": layer.gamma.data, "beta": layer.beta.data, "mean": layer.running_mean, "var": layer.running_var}
    return w.node("BatchNormalization", x.name, *(w.tensor(name, array) for name, array in arrays.items()),
                  epsilon=layer.eps, momentum=1 - layer.momentum)


def _group_norm(w: Writer, layer: nn.GroupNorm, x: Value) -> str:
    groups = w.node("Reshape", x.name, w.integers("groups", 0, layer.groups, -1))
    ones, zeros = np.ones(layer.groups, np.float32), np.zeros(layer.groups, np.float32)
    normal = w.node("InstanceNormalization", groups, w.tensor("ones", ones), w.tensor("zeros", zeros), epsilon=layer.eps)
    _, *sizes = x.shape
    back = w.node("Reshape", normal, w.integers("shape", 0, sizes[-1], *sizes[:-1]))
    scaled = w.node("Mul", back, w.channels("gamma", layer.gamma.data, x))
    return w.node("Add", scaled, w.channels("beta", layer.beta.data, x))


def _layer_norm(w: Writer, layer: nn.LayerNorm, x: Value) -> str:
    gamma, beta = w.tensor("gamma", layer.gamma.data), w.tensor("beta", layer.beta.data)
    y = w.node("LayerNormalization", w.channels_last(x), gamma, beta, axis=-1, epsilon=layer.eps)
    return w.channels_first(y, len(x.shape))


def _pool(layer: Any, x: Value) -> tuple[shapes.Window, list[int], dict[str, list[int]]]:
    """Return the window, how far the last ones hang over the end, and what both kinds of pooling say."""
    window = shapes.pool2d("export_onnx", x.shape, layer.kernel_size, layer.stride, layer.padding, layer.dilation,
                           layer.ceil_mode)
    rows = (window.P - 1) * window.stride_rows + (window.R - 1) * window.dilation_rows + 1
    columns = (window.Q - 1) * window.stride_columns + (window.S - 1) * window.dilation_columns + 1
    over = [max(0, rows - window.top - window.H - window.bottom), max(0, columns - window.left - window.W - window.right)]
    return window, over, {"kernel_shape": [window.R, window.S], "strides": [window.stride_rows, window.stride_columns]}


def _max_pool(w: Writer, layer: nn.MaxPool2D, x: Value) -> str:
    window, over, said = _pool(layer, x)
    pads = [window.top, window.left, window.bottom + over[0], window.right + over[1]]
    return w.node("MaxPool", x.name, dilations=[window.dilation_rows, window.dilation_columns], pads=pads, **said)


def _avg_pool(w: Writer, layer: nn.AvgPool2D, x: Value) -> str:
    window, over, said = _pool(layer, x)
    pads, name = _pads(window), x.name
    if not any(over):
        return w.node("AveragePool", name, pads=pads, count_include_pad=int(layer.count_include_pad), **said)
    if layer.count_include_pad and any(pads):  # padding counts, what hangs over does not
        name = w.node("Pad", name, w.integers("pads", 0, 0, *pads[:2], 0, 0, *pads[2:]), mode="constant")
        pads = [0, 0, 0, 0]
    return w.node("AveragePool", name, pads=[*pads[:2], pads[2] + over[0], pads[3] + over[1]], count_include_pad=0, **said)


def _global(operator: str) -> Rule:
    return lambda w, layer, x: w.node("Flatten", w.node(operator, x.name), axis=1)


def _adaptive_avg(w: Writer, layer: nn.AdaptiveAvgPool2D, x: Value) -> str:
    _, H, W, _ = x.shape
    (P, Q) = layer.output_size
    if H % P == 0 and W % Q == 0:
        size = [H // P, W // Q]
        return w.node("AveragePool", x.name, kernel_shape=size, strides=size)
    columns = w.node("MatMul", x.name, w.tensor("columns", averages(W, Q).T))
    return w.node("MatMul", w.tensor("rows", averages(H, P)), columns)


def averages(size: int, outputs: int) -> np.ndarray:
    """Return the matrix (outputs, size) whose rows average the parts of an adaptive pooling."""
    matrix = np.zeros((outputs, size), np.float32)
    for row, first, end in zip(matrix, *shapes.parts(size, outputs), strict=True):
        row[first:end] = 1 / (end - first)
    return matrix


def _adaptive_max(w: Writer, layer: nn.AdaptiveMaxPool2D, x: Value) -> str:
    _, H, W, _ = x.shape
    (P, Q) = layer.output_size
    if H % P == 0 and W % Q == 0:
        size = [H // P, W // Q]
        return w.node("MaxPool", x.name, kernel_shape=size, strides=size)
    rows = w.node("ReduceMax", w.node("Gather", x.name, w.tensor("rows", pixels(H, P)), axis=2), axes=[3], keepdims=0)
    return w.node("ReduceMax", w.node("Gather", rows, w.tensor("columns", pixels(W, Q)), axis=3), axes=[4], keepdims=0)


def pixels(size: int, outputs: int) -> np.ndarray:
    """Return the pixels (outputs, n) of each part of an adaptive pooling, the last one as often as rows need it."""
    first, end = np.array(shapes.parts(size, outputs))[..., None]
    return np.minimum(first + np.arange((end - first).max()), end - 1)


def _pad(w: Writer, layer: nn.Pad2D, x: Value) -> str:
    top, bottom, left, right = shapes.padding2d("export_onnx", x.shape, layer.padding, layer.mode)
    pads = w.integers("pads", 0, 0, top, left, 0, 0, bottom, right)
    if layer.mode == "constant":
        return w.node("Pad", x.name, pads, w.number("value", layer.value), mode="constant")
    return w.node("Pad", x.name, pads, mode={"reflect": "reflect", "replicate": "edge"}[layer.mode])


def _upsample(w: Writer, layer: nn.Upsample2D, x: Value) -> str:
    scales = w.tensor("scales", np.array([1, 1, *layer.scale], np.float32))
    if layer.mode == "nearest":
        return w.node("Resize", x.name, "", scales, mode="nearest", nearest_mode="floor",
                      coordinate_transformation_mode="asymmetric")
    return w.node("Resize", x.name, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")


def _flatten(w: Writer, layer: nn.Flatten, x: Value) -> str:
    return w.node("Flatten", w.channels_last(x), axis=1)


def _reshape(w: Writer, layer: nn.Reshape, x: Value) -> str:
    y = w.node("Reshape", w.channels_last(x), w.integers("shape", 0, *layer.shape))
    return w.channels_first(y, 1 + len(layer.shape))


def _dropout(w: Writer, layer: nn.Dropout, x: Value) -> str:
    return w.node("Dropout", x.name, w.number("ratio", layer.p))


def _same(w: Writer, layer: nn.Module, x: Value) -> str:
    return x.name


def _named(operator: str, **attributes: float) -> Rule:
    return lambda w, layer, x: w.node(operator, x.name, **attributes)


def _softmax(operator: str) -> Rule:
    return lambda w, layer, x: w.node(operator, x.name, axis=1 if x.is_image else -1)


def _leaky_relu(w: Writer, layer: nn.LeakyReLU, x: Value) -> str:
    return w.node("LeakyRelu", x.name, alpha=layer.slope)


def _prelu(w: Writer, layer: nn.PReLU, x: Value) -> str:
    return w.node("PRelu", x.name, w.channels("slope", layer.slope.data, x))


def _gelu(w: Writer, layer: nn.GELU, x: Value) -> str:
    erf = w.node("Erf", w.node("Div", x.name, w.number("root", _ROOT_2)))
    return w.node("Mul", w.node("Mul", x.name, w.node("Add", erf, w.number("one", 1.0))), w.number("half", 0.5))


def _silu(w: Writer, layer: nn.SiLU, x: Value) -> str:
    return w.node("Mul", x.name, w.node("Sigmoid", x.name))


def _mish(w: Writer, layer: nn.Mish, x: Value) -> str:
    return w.node("Mul", x.name, w.node("Tanh", w.node("Softplus", x.name)))


def _softplus(w: Writer, layer: nn.Softplus, x: Value) -> str:
    if (layer.beta, layer.threshold) == (1.0, 20.0):  # beyond 20 the operator gives x, too
        return w.node("Softplus", x.name)
    beta = w.number("beta", layer.beta)
    scaled = w.node("Mul", x.name, beta)
    soft = w.node("Div", w.node("Softplus", scaled), beta)
    return w.node("Where", w.node("Greater", scaled, w.number("threshold", layer.threshold)), x.name, soft)


_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
RULES: dict[type[nn.Module], Rule] = {
    nn.AdaptiveAvgPool2D: _adaptive_avg, nn.AdaptiveMaxPool2D: _adaptive_max, nn.AvgPool2D: _avg_pool,
    nn.BatchNorm: _batch_norm, nn.Conv2D: _conv, nn.ConvTranspose2D: _conv_transpose, nn.Dropout: _dropout,
    nn.Dropout2D: _same, nn.ELU: _named("Elu", alpha=1.0), nn.Flatten: _flatten, nn.GELU: _gelu,
    nn.GlobalAvgPool2D: _global("GlobalAveragePool"), nn.GlobalMaxPool2D: _global("GlobalMaxPool"),
    nn.GroupNorm: _group_norm, nn.Hardswish: _named("HardSwish"), nn.Identity: _same, nn.LayerNorm: _layer_norm,
    nn.LeakyReLU: _leaky_relu, nn.Linear: _linear, nn.LogSoftmax: _softmax("LogSoftmax"), nn.MaxPool2D: _max_pool,
    nn.Mish: _mish, nn.PReLU: _prelu, nn.Pad2D: _pad, nn.ReLU: _named("Relu"), nn.Reshape: _reshape,
    nn.SELU: _named("Selu", **_SELU), nn.SiLU: _silu, nn.Sigmoid: _named("Sigmoid"), nn.Softmax: _softmax("Softmax"),
    nn.Softplus: _softplus, nn.Softsign: _named("Softsign"), nn.Tanh: _named("Tanh"), nn.Upsample2D: _upsample,
}
