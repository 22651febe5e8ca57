"""What activations of ONNX are in layers."""

from __future__ import annotations

import math
from collections.abc import Callable

from ... import nn
from ...nn import Module
from .calls import Call, UnsupportedError, axis_of
from .layers import Clip, HardSigmoid
from .operators.activation import SELU, limits
from .translation import IMAGES, POOLED, Translation, Value, channels, filled, single

Rule = Callable[[Translation, Call], Value]


def _layer(make: Callable[[], Module]) -> Rule:
    return lambda t, call: t.step(make(), t.value(call))


def _expect(call: Call, name: str, default: float, expected: float) -> None:
    """Raise UnsupportedError unless an attribute has the only value that a layer can."""
    value = call.get(name, default)
    if not math.isclose(value, expected, rel_tol=1e-5):
        raise UnsupportedError(f"{name} is {value}, expected {expected}")


def _elu(t: Translation, call: Call) -> Value:
    _expect(call, "alpha", 1.0, 1.0)
    return t.step(nn.ELU(), t.value(call))


def _selu(t: Translation, call: Call) -> Value:
    _expect(call, "alpha", SELU[0], SELU[0])
    _expect(call, "gamma", SELU[1], SELU[1])
    return t.step(nn.SELU(), t.value(call))


def _swish(t: Translation, call: Call) -> Value:
    _expect(call, "alpha", 1.0, 1.0)
    return t.step(nn.SiLU(), t.value(call))


def _gelu(t: Translation, call: Call) -> Value:
    if call.get("approximate", "none") != "none":
        raise UnsupportedError(f"approximate is {call.get('approximate', '')!r}, expected 'none'")
    return t.step(nn.GELU(), t.value(call))


def _leaky_relu(t: Translation, call: Call) -> Value:
    return t.step(nn.LeakyReLU(float(call.get("alpha", 0.01))), t.value(call))


def _hard_sigmoid(t: Translation, call: Call) -> Value:
    return t.step(HardSigmoid(call.get("alpha", 0.2), call.get("beta", 0.5)), t.value(call))


def _prelu(t: Translation, call: Call) -> Value:
    x = t.value(call)
    slope = channels(x, t.weights(call, 1))
    return t.step(filled(nn.PReLU(None), slope.size, slope=slope), x)


def _clip(t: Translation, call: Call) -> Value:
    low, high = limits(call, t.array(call, 1), t.array(call, 2))
    return t.step(nn.ReLU() if (low, high) == (0, math.inf) else Clip(low, high), t.value(call))


def _softmax(layer: type[Module]) -> Rule:
    def rule(t: Translation, call: Call) -> Value:
        x = t.value(call)
        rank = len(x.sizes)
        axis = axis_of(call, rank, 1 if call.opset < 13 else -1)
        if axis != (1 if x.layout in (IMAGES, POOLED) else rank - 1) or (call.opset < 13 and rank > 2):
            raise UnsupportedError(f"axis is {axis} of {rank}, expected that of the channels")
        return t.step(layer(), x)

    return rule


def _softplus(t: Translation, call: Call) -> Value:
    """The operator, or a group of nodes, which may say a factor and from where on the result is x."""
    said = {name: float(single(t, call, number)) for number, name in enumerate(call.attributes.get("inputs", []), 1)}
    return t.step(nn.Softplus(**said), t.value(call))


ACTIVATIONS: dict[str, Rule] = {
    "Clip": _clip, "Elu": _elu, "Gelu": _gelu, "HardSigmoid": _hard_sigmoid, "HardSwish": _layer(nn.Hardswish),
    "LeakyRelu": _leaky_relu, "LogSoftmax": _softmax(nn.LogSoftmax), "Mish": _layer(nn.Mish), "PRelu": _prelu,
    "Relu": _layer(nn.ReLU), "Selu": _selu, "Sigmoid": _layer(nn.Sigmoid), "Softmax": _softmax(nn.Softmax),
    "Softplus": _softplus, "Softsign": _layer(nn.Softsign), "Swish": _swish, "Tanh": _layer(nn.Tanh),
    "fastcnn.GELU": _layer(nn.GELU), "fastcnn.Mish": _layer(nn.Mish), "fastcnn.SiLU": _layer(nn.SiLU),
    "fastcnn.Softplus": _softplus,
}
