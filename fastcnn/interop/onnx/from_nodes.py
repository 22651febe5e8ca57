"""What each operator of ONNX is in layers: a function of the translation and the node that returns a value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn
from .calls import Call, UnsupportedError, axis_of
from .from_activations import ACTIVATIONS, Rule
from .from_windows import WINDOWED
from .layers import Affine, Permute
from .network import Product, Stack, Sum
from .operators.shape import axes_of, target_shape
from .to_nodes import averages, pixels
from .translation import IMAGES, POOLED, Translation, Value, channels, filled, single
from .writer import TO_FIRST, TO_LAST

_LINEAR = nn.Linear, nn.Conv2D, nn.ConvTranspose2D


def _gemm(t: Translation, call: Call) -> Value:
    x, weight = t.flat(t.value(call)), t.weights(call, 1)
    if call.get("transA", 0) or weight.ndim != 2:
        raise UnsupportedError(f"transA is {call.get('transA', 0)} and B has shape {weight.shape}, expected 0 and a matrix")
    weight = np.float32(call.get("alpha", 1.0)) * (weight.T if call.get("transB", 0) else weight)
    bias = t.array(call, 2)
    if bias is not None:
        if bias.size not in (1, weight.shape[1]) or bias.shape[-1:] not in ((), (1,), weight.shape[1:]):
            raise UnsupportedError(f"C has shape {bias.shape}, expected ({weight.shape[1]},)")
        bias = np.float32(call.get("beta", 1.0)) * np.broadcast_to(bias.reshape(-1), weight.shape[1:])
    return _linear(t, x, weight, bias)


def _linear(t: Translation, x: Value, weight: np.ndarray, bias: np.ndarray | None) -> Value:
    if weight.shape[0] != x.shape[1]:
        raise UnsupportedError(f"its weight takes {weight.shape[0]} features, its input has sizes {x.sizes}")
    if isinstance(x.layout, tuple):  # rows in the order of the features here
        C, H, W = x.layout
        weight = weight.reshape(C, H, W, -1).transpose(1, 2, 0, 3).reshape(weight.shape)
    layer = nn.Linear(None, weight.shape[1], bias=bias is not None)
    return t.step(filled(layer, weight.shape[0], weight=weight, bias=bias), x, layout=None)


def _mat_mul(t: Translation, call: Call) -> Value:
    weight = t.weights(call, 1)
    x = t.value(call)
    if weight.ndim != 2 or len(x.sizes) != 2:
        raise UnsupportedError(f"its inputs have sizes {x.sizes} and {weight.shape}, expected two matrices")
    return _linear(t, x, weight, None)


def _batch_norm(t: Translation, call: Call) -> Value:
    gamma, beta, mean, var = (t.weights(call, number).reshape(-1) for number in range(1, 5))
    if len({each.size for each in (gamma, beta, mean, var)}) > 1:
        raise UnsupportedError(f"its arrays have {gamma.size}, {beta.size}, {mean.size} and {var.size} numbers, expected as "
                               "many each")
    momentum = min(max(1 - float(call.get("momentum", 0.9)), 0.0), 1.0)
    layer = filled(nn.BatchNorm(None, momentum=momentum, eps=float(call.get("epsilon", 1e-5))), gamma.size, gamma=gamma,
                   beta=beta)
    layer.running_mean, layer.running_var = np.array(mean, np.float32), np.array(var, np.float32)
    x = t.value(call)
    return t.step(layer, t.images(x) if len(x.shape) == 4 else x)


def _normalised(t: Translation, call: Call, groups: int, gamma: np.ndarray, beta: np.ndarray) -> Value:
    x = t.value(call)
    x = t.images(x) if len(x.shape) == 4 else x
    if gamma.size != x.shape[-1] or beta.size != x.shape[-1]:
        raise UnsupportedError(f"its arrays have sizes {gamma.size} and {beta.size}, expected {x.shape[-1]}")
    layer = nn.GroupNorm(groups, None, eps=float(call.get("epsilon", 1e-5)))
    return t.step(filled(layer, gamma.size, gamma=gamma.reshape(-1), beta=beta.reshape(-1)), x)


def _group_norm(t: Translation, call: Call) -> Value:
    """A group of nodes, or the operator, whose numbers belonged to groups before opset 21."""
    if "inputs" in call.attributes:
        found = dict(zip(call.attributes["inputs"], range(1, len(call.inputs)), strict=True))
        sizes = t.array(call, found["groups"])
        ones, zeros = (t.array(call, found[name]) for name in ("ones", "zeros"))
        if sizes is None or sizes.shape != (3,) or ones is None or (ones != 1).any() or np.any(zeros):
            raise UnsupportedError("the normalised groups are scaled, expected only their channels to be")
        return _normalised(t, call, int(sizes[1]), *(t.weights(call, found[name]) for name in ("gamma", "beta")))
    groups, gamma, beta = call.get("num_groups", 1), t.weights(call, 1), t.weights(call, 2)
    if call.opset < 21:
        share = t.value(call).sizes[1] // max(groups, 1)
        gamma, beta = gamma.repeat(share), beta.repeat(share)
    return _normalised(t, call, groups, gamma, beta)


def _instance_norm(t: Translation, call: Call) -> Value:
    gamma, beta = t.weights(call, 1), t.weights(call, 2)
    return _normalised(t, call, gamma.size, gamma, beta)


def _layer_norm(t: Translation, call: Call) -> Value:
    x = t.value(call)
    if x.layout is not None or axis_of(call, len(x.sizes)) != len(x.sizes) - 1:
        raise UnsupportedError("it normalises other axes than the channels, expected the last one of (N, ..., C)")
    gamma, beta = t.weights(call, 1), t.array(call, 2)
    beta = np.zeros(gamma.shape, np.float32) if beta is None else beta
    if gamma.shape != x.shape[-1:] or beta.shape != gamma.shape:
        raise UnsupportedError(f"its arrays have shapes {gamma.shape} and {beta.shape}, expected {x.shape[-1:]}")
    layer = nn.LayerNorm(None, eps=float(call.get("epsilon", 1e-5)))
    return t.step(filled(layer, gamma.size, gamma=gamma, beta=beta), x)


def _flatten(t: Translation, call: Call) -> Value:
    x = t.value(call)
    if axis_of(call, len(x.sizes), 1, end=1) != 1:
        raise UnsupportedError("its axis is another than 1, expected to keep the batch")
    return t.flat(x)


def _reshape(t: Translation, call: Call) -> Value:
    x = t.value(call)
    batch, *wanted = target_shape(call, t.array(call, 1), x.sizes)
    total = math.prod(x.shape)
    if wanted.count(-1) == 1:
        wanted[wanted.index(-1)] = total // max(-math.prod(wanted), 1)
    if batch not in (-1, t.batch) or not wanted or min(wanted) < 1 or math.prod(wanted) != total:
        raise UnsupportedError(f"its shape is {[batch, *wanted]} for sizes {x.sizes}, expected to keep the batch")
    if len(wanted) == 1:
        return t.flat(x)
    if tuple(wanted) == x.sizes[1:]:
        return x
    return t.step(nn.Reshape(*wanted), t.plain(x))


def _transpose(t: Translation, call: Call) -> Value:
    x = t.value(call)
    rank = len(x.sizes)
    axes = call.integers("perm", rank, 0, 0) if "perm" in call.attributes else tuple(range(rank))[::-1]
    if x.layout == IMAGES and list(axes) == TO_LAST:
        return x._replace(layout=None)
    if x.layout is None and list(axes) == TO_FIRST:
        return x._replace(layout=IMAGES)
    if x.layout == IMAGES and len(axes) == 4:  # H and W change places, or C comes between them
        return t.step(Permute(*(TO_FIRST[axes[TO_LAST[axis]]] for axis in range(4))), x)
    return t.step(Permute(*axes), t.plain(x))


def _squeeze(t: Translation, call: Call) -> Value:
    x = t.value(call)
    axes = axes_of(call, t.array(call, 1))
    if len(x.sizes) == 4 and axes is not None and sorted(axis % 4 for axis in axes) == [2, 3] and x.sizes[2:] == (1, 1):
        return t.flat(x)
    raise UnsupportedError(f"axes are {axes} of sizes {x.sizes}, expected rows and columns of images of one pixel")


def _arithmetic(operator: str) -> Rule:
    """Add and Mul of two values, and all four with an array."""
    def rule(t: Translation, call: Call) -> Value:
        known = [name in t.arrays for name in call.inputs]
        if not any(known):
            if operator in ("Sub", "Div"):
                raise UnsupportedError("both of its inputs are computed, expected an array of the file")
            return _join(t, call, Sum() if operator == "Add" else Product())
        x, number = t.value(call, known.index(False)), known.index(True)
        array = t.array(call, number)
        assert array is not None
        if array.dtype.kind != "f" or (operator in ("Sub", "Div") and number == 0):
            raise UnsupportedError(f"its input {number} is an array of {array.dtype}, expected floats, behind the other one")
        values = channels(t.plain(x) if isinstance(x.layout, tuple) else x, array)
        if operator == "Add" and _add_bias(t, call, x, values):
            return x
        x = t.plain(x) if isinstance(x.layout, tuple) and values.size > 1 else x
        scale, shift = {"Add": (1.0, values), "Sub": (1.0, -values), "Mul": (values, 0.0),
                        "Div": (1 / values, 0.0)}[operator]
        return t.step(Affine(scale, shift), x)

    return rule


def _add_bias(t: Translation, call: Call, x: Value, values: np.ndarray) -> bool:
    """Let the linear layer that makes x alone for this node add a bias; False: there is none."""
    layer = t.steps[x.number - 1][0] if x.number else None
    used_once = t.uses[next(name for name in call.inputs if name not in t.arrays)] == 1
    if not isinstance(layer, _LINEAR) or layer.bias is not None or not used_once or values.size != x.shape[-1]:
        return False
    layer.bias, layer._has_bias = nn.Parameter(values, "bias"), True
    return True


def _join(t: Translation, call: Call, join: Any) -> Value:
    values = t.alike([t.value(call, number) for number in range(len(call.inputs))])
    return t.step(join, *values) if len(values) > 1 else values[0]


def _concat(t: Translation, call: Call) -> Value:
    values = [t.value(call, number) for number in range(len(call.inputs))]
    if any(value.layout == IMAGES for value in values):
        values = [t.images(value) for value in values]
    elif any(value.layout != values[0].layout or isinstance(value.layout, tuple) for value in values):
        values = [t.plain(value) for value in values]
    rank = len(values[0].sizes)
    if axis_of(call, rank) != (1 if values[0].layout in (IMAGES, POOLED) else rank - 1):
        raise UnsupportedError(f"axis is {call.get('axis', -1)} of {rank}, expected that of the channels")
    return t.step(Stack(), *values) if len(values) > 1 else values[0]


def _dropout(t: Translation, call: Call) -> Value:
    ratio = float(call.get("ratio", 0.5) if t.array(call, 1) is None else single(t, call, 1))
    x = t.value(call)
    return t.step(nn.Dropout(ratio), x) if ratio else x


def _cast(t: Translation, call: Call) -> Value:
    if call.get("to", 1) not in (1, 10, 11):
        raise UnsupportedError(f"to is {call.get('to', 1)}, expected floats: 1, 10 or 11")
    return t.value(call)


def _shape(t: Translation, call: Call) -> Value:
    """Note the sizes as an array, with -1 for the batch, from which a Reshape takes it."""
    x = t.value(call)
    t.arrays[call.outputs[0]] = np.array(x.sizes[slice(call.get("start", 0), call.get("end", None))], np.int64)
    return x


def _normalise(t: Translation, call: Call) -> Value:
    x = t.value(call)
    mean, std = (np.broadcast_to(channels(x, t.weights(call, number)), x.shape[-1:]) for number in (1, 2))
    if x.number:
        raise UnsupportedError("it normalises what is computed, expected bytes of the input")
    t.normalisation = mean, std
    return x


def _adaptive(layer: Any, axis: int, table: Callable[[int, int], np.ndarray]) -> Rule:
    """A group of nodes with two tables, of which `axis` is that of the outputs of rows."""
    def rule(t: Translation, call: Call) -> Value:
        x = t.images(t.value(call))
        found = dict(zip(call.attributes["inputs"], range(1, 3), strict=True))
        rows, columns = t.array(call, found["rows"]), t.array(call, found["columns"])
        assert rows is not None and columns is not None
        columns = columns.T if axis else columns
        if rows.ndim == columns.ndim == 2:
            size = rows.shape[0], columns.shape[0]
            if min(size) > 0 and size[0] <= x.shape[1] and size[1] <= x.shape[2] and all(
                    np.array_equal(one, table(length, count)) for one, length, count in zip(
                        (rows, columns), x.shape[1:3], size, strict=True)):
                return t.step(layer(size), x)
        raise UnsupportedError("its arrays are not those of an adaptive pooling, expected no others")

    return rule


RULES: dict[str, Rule] = {
    **ACTIVATIONS, **WINDOWED,
    "Add": _arithmetic("Add"), "BatchNormalization": _batch_norm, "Cast": _cast, "Concat": _concat,
    "Div": _arithmetic("Div"), "Dropout": _dropout, "Flatten": _flatten, "Gemm": _gemm, "GroupNormalization": _group_norm,
    "Identity": lambda t, call: t.value(call), "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "MatMul": _mat_mul, "Mul": _arithmetic("Mul"), "Reshape": _reshape, "Shape": _shape, "Squeeze": _squeeze,
    "Sub": _arithmetic("Sub"), "Sum": lambda t, call: _join(t, call, Sum()), "Transpose": _transpose,
    "fastcnn.AdaptiveAvgPool2D": _adaptive(nn.AdaptiveAvgPool2D, 1, averages),
    "fastcnn.AdaptiveMaxPool2D": _adaptive(nn.AdaptiveMaxPool2D, 0, pixels), "fastcnn.GroupNorm": _group_norm,
    "fastcnn.Normalise": _normalise,
}
