"""Activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ....shapes import DataFormatError
from ..calls import Call, axis_of

SELU = 1.6732632423543772, 1.0507009873554805  # alpha, gamma


def _plain(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda call, x: function(x)


def _celu(call: Call, x: np.ndarray) -> np.ndarray:
    alpha = x.dtype.type(call.get("alpha", 1.0))
    return alpha * functional.elu(x / alpha)


def _selu(call: Call, x: np.ndarray) -> np.ndarray:
    alpha, gamma = call.get("alpha", SELU[0]), call.get("gamma", SELU[1])
    return x.dtype.type(gamma) * functional.elu(x, alpha)


def _gelu(call: Call, x: np.ndarray) -> np.ndarray:
    if call.get("approximate", "none") == "none":
        return functional.gelu(x)
    inner = x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x * x * x)
    return x * (functional.tanh(inner) + 1) / 2


def _swish(call: Call, x: np.ndarray) -> np.ndarray:
    alpha = x.dtype.type(call.get("alpha", 1.0))
    return functional.silu(alpha * x) / alpha


def _hard_sigmoid(call: Call, x: np.ndarray) -> np.ndarray:
    return np.clip(x * x.dtype.type(call.get("alpha", 0.2)) + x.dtype.type(call.get("beta", 0.5)), 0, 1).astype(x.dtype)


def _thresholded_relu(call: Call, x: np.ndarray) -> np.ndarray:
    return np.where(x > call.get("alpha", 1.0), x, x.dtype.type(0))


def _prelu(call: Call, x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    if slope.shape == x.shape[-1:]:
        return functional.prelu(x, slope)
    return np.where(x > 0, x, x * slope)


def _along(function: Callable[..., np.ndarray], old: int) -> Callable[..., np.ndarray]:
    """Return a softmax along an axis; before opset 13 along all axes from that one on."""
    def softmax(call: Call, x: np.ndarray) -> np.ndarray:
        if call.opset < 13:
            rows = x.reshape(math.prod(x.shape[: axis_of(call, x.ndim, old)]), -1)
            return function(rows).reshape(x.shape)
        axis = axis_of(call, x.ndim)
        return np.moveaxis(function(np.moveaxis(x, axis, -1)), -1, axis)

    return softmax


def _clip(call: Call, x: np.ndarray, low: Any = None, high: Any = None) -> np.ndarray:
    low, high = limits(call, low, high)
    return np.clip(x, x.dtype.type(low), x.dtype.type(high))


def limits(call: Call, low: np.ndarray | None, high: np.ndarray | None) -> tuple[float, float]:
    """Return the limits of a Clip, which were attributes before opset 11."""
    ends = []
    for name, given, default in (("min", low, -math.inf), ("max", high, math.inf)):
        if given is not None and given.size != 1:
            raise DataFormatError(f"{name} has shape {given.shape}, expected one number")
        ends.append(float(call.get(name, default) if given is None else given.reshape(-1)[0]))
    return ends[0], ends[1]


TABLE: dict[str, Callable[..., Any]] = {
    "Celu": _celu, "Clip": _clip, "Elu": lambda call, x: functional.elu(x, call.get("alpha", 1.0)), "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid, "HardSwish": _plain(functional.hardswish),
    "LeakyRelu": lambda call, x: functional.leaky_relu(x, call.get("alpha", 0.01)),
    "LogSoftmax": _along(functional.log_softmax, 1), "Mish": _plain(functional.mish), "PRelu": _prelu,
    "Relu": _plain(functional.relu), "Selu": _selu, "Sigmoid": _plain(functional.sigmoid),
    "Softmax": _along(functional.softmax, 1), "Softplus": _plain(functional.softplus),
    "Softsign": _plain(functional.softsign), "Swish": _swish, "Tanh": _plain(functional.tanh),
    "ThresholdedRelu": _thresholded_relu,
}
