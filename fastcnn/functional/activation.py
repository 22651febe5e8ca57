"""Activations, softmax and their gradients, for arrays of any rank.

sigmoid, tanh and the ReLU family differentiate by their output y; gelu, silu, prelu, softplus, hardswish and mish by their
input x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import activation as kernels
from ..kernels.jit import threads
from ..runtime import buffers
from ..runtime.probabilities import note
from . import arrays

__all__ = ["elu", "elu_backward", "gelu", "gelu_backward", "hardswish", "hardswish_backward", "leaky_relu",
           "leaky_relu_backward", "log_softmax", "log_softmax_backward", "mish", "mish_backward", "prelu", "prelu_backward",
           "relu", "relu_backward", "selu", "selu_backward", "sigmoid", "sigmoid_backward", "silu", "silu_backward",
           "softmax", "softmax_backward", "softplus", "softplus_backward", "softsign", "softsign_backward", "tanh",
           "tanh_backward"]

_LEAST_BETA = 1e-30


def _forward(kernel: Any, function: str, x: Any, *parameters: float, out: np.ndarray | None = None) -> np.ndarray:
    x = arrays.as_floats(function, "x", x)
    shapes.at_least_1d(function, "x", x.shape)
    y = arrays.as_output(function, out, x.shape, x.dtype)
    kernel(x.ravel(), y.ravel(), *(parameters or (0.0,)), threads.workers(x.size))
    return y


def _backward(kernel: Any, function: str, dy: Any, name: str, saved: Any, *parameters: float) -> np.ndarray:
    dy, saved = arrays.floats(function, **{"dy": dy, name: saved})
    shapes.at_least_1d(function, name, saved.shape)
    shapes.same_shape(function, "dy", dy.shape, saved.shape, f"the shape of {name}")
    dx = buffers.empty(dy.shape, dy.dtype)
    kernel(dy.ravel(), saved.ravel(), dx.ravel(), *(parameters or (0.0,)), threads.workers(dy.size))
    return dx


def relu(x: Any, *, out: np.ndarray | None = None) -> np.ndarray:
    """max(x, 0); NaN stays NaN. `out` receives the result where given; it may be x."""
    if out is not x or out is None:
        return _forward(kernels.relu, "relu", x, out=out)
    arrays.in_place("relu", out=out)
    kernels.rectify(out.ravel(), threads.workers(out.size))
    return out


def relu_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of relu: dy where y is above zero."""
    return _backward(kernels.relu_backward, "relu_backward", dy, "y", y)


def through_relu(function: str, dy: np.ndarray, y: Any) -> np.ndarray:
    """dy where y is above zero: what reaches an operation that gave y with `relu`. Without it, y is None."""
    return dy if y is None else _backward(kernels.relu_backward, function, dy, "y", y)


def leaky_relu(x: Any, slope: float = 0.01) -> np.ndarray:
    """x where it is above zero, else slope * x."""
    return _forward(kernels.leaky_relu, "leaky_relu", x, shapes.real("leaky_relu", "slope", slope, 0))


def leaky_relu_backward(dy: Any, y: Any, slope: float = 0.01) -> np.ndarray:
    """Gradient of leaky_relu: dy where y is above zero, else slope * dy."""
    slope = shapes.real("leaky_relu_backward", "slope", slope, 0)
    return _backward(kernels.leaky_relu_backward, "leaky_relu_backward", dy, "y", y, slope)


def sigmoid(x: Any) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return note(_forward(kernels.sigmoid, "sigmoid", x), "identity")


def sigmoid_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of sigmoid: dy y (1 - y)."""
    return _backward(kernels.sigmoid_backward, "sigmoid_backward", dy, "y", y)


def tanh(x: Any) -> np.ndarray:
    """Hyperbolic tangent, (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    return _forward(kernels.tanh, "tanh", x)


def tanh_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of tanh: dy (1 - y^2)."""
    return _backward(kernels.tanh_backward, "tanh_backward", dy, "y", y)


def softsign(x: Any) -> np.ndarray:
    """x / (1 + |x|), from -1 to 1; NaN for what is infinite."""
    return _forward(kernels.softsign, "softsign", x)


def softsign_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of softsign: dy (1 - |y|)^2."""
    return _backward(kernels.softsign_backward, "softsign_backward", dy, "y", y)


def elu(x: Any, alpha: float = 1.0) -> np.ndarray:
    """x where it is above zero, else alpha (exp(x) - 1)."""
    return _forward(kernels.elu, "elu", x, shapes.real("elu", "alpha", alpha, 0))


def elu_backward(dy: Any, y: Any, alpha: float = 1.0) -> np.ndarray:
    """Gradient of elu: dy where y is above zero, else dy (y + alpha)."""
    alpha = shapes.real("elu_backward", "alpha", alpha, 0)
    return _backward(kernels.elu_backward, "elu_backward", dy, "y", y, alpha)


def gelu(x: Any) -> np.ndarray:
    """x times the normal distribution function of x, exact: x (1 + erf(x / sqrt(2))) / 2."""
    return _forward(kernels.gelu, "gelu", x)


def gelu_backward(dy: Any, x: Any) -> np.ndarray:
    """Gradient of gelu: dy (distribution(x) + x density(x))."""
    return _backward(kernels.gelu_backward, "gelu_backward", dy, "x", x)


def silu(x: Any) -> np.ndarray:
    """x sigmoid(x)."""
    return _forward(kernels.silu, "silu", x)


def silu_backward(dy: Any, x: Any) -> np.ndarray:
    """Gradient of silu: dy s (1 + x (1 - s)) with s = sigmoid(x)."""
    return _backward(kernels.silu_backward, "silu_backward", dy, "x", x)


def selu(x: Any) -> np.ndarray:
    """elu with alpha 1.6733 times 1.0507: mean 0 and variance 1 are kept from layer to layer."""
    return _forward(kernels.selu, "selu", x)


def selu_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of selu: dy times 1.0507 where y is above zero, else dy (y + 1.7581)."""
    return _backward(kernels.selu_backward, "selu_backward", dy, "y", y)


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold."""
    return _forward(kernels.softplus, "softplus", x, *softplus_options("softplus", beta, threshold))


def softplus_backward(dy: Any, x: Any, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """Gradient of softplus: dy sigmoid(beta x), and dy where beta x is above the threshold."""
    options = softplus_options("softplus_backward", beta, threshold)
    return _backward(kernels.softplus_backward, "softplus_backward", dy, "x", x, *options)


def softplus_options(function: str, beta: float, threshold: float) -> tuple[float, float]:
    """Return beta and threshold, checked for `function`."""
    return shapes.real(function, "beta", beta, _LEAST_BETA), shapes.real(function, "threshold", threshold, 0)


def hardswish(x: Any) -> np.ndarray:
    """x times a line that rises from 0 at -3 to 1 at 3: x min(max(x + 3, 0), 6) / 6."""
    return _forward(kernels.hardswish, "hardswish", x)


def hardswish_backward(dy: Any, x: Any) -> np.ndarray:
    """Gradient of hardswish: dy (x / 3 + 1 / 2) between -3 and 3, 0 below and dy above."""
    return _backward(kernels.hardswish_backward, "hardswish_backward", dy, "x", x)


def mish(x: Any) -> np.ndarray:
    """x tanh(softplus(x)), softplus(x) = log(1 + exp(x))."""
    return _forward(kernels.mish, "mish", x)


def mish_backward(dy: Any, x: Any) -> np.ndarray:
    """Gradient of mish: dy (t + x (1 - t^2) sigmoid(x)) with t = tanh(softplus(x))."""
    return _backward(kernels.mish_backward, "mish_backward", dy, "x", x)


def prelu(x: Any, slope: Any) -> np.ndarray:
    """x where it is above zero, else slope * x: slope (C,), one for each channel of x (..., C), or (1,) for all."""
    x, slope = arrays.floats("prelu", x=x, slope=slope)
    channel = _channel_of_slope("prelu", x.shape, slope.shape)
    y = buffers.empty(x.shape, x.dtype)
    kernels.prelu(x.ravel(), slope[channel], y.ravel(), threads.workers(x.size))
    return y


def prelu_backward(dy: Any, x: Any, slope: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (dx, dslope) of prelu: dy or slope * dy, and the sums of dy x where x is not above zero."""
    dy, x, slope = arrays.floats("prelu_backward", dy=dy, x=x, slope=slope)
    channel = _channel_of_slope("prelu_backward", x.shape, slope.shape)
    shapes.same_shape("prelu_backward", "dy", dy.shape, x.shape, "the shape of x")
    dx, chunks = buffers.empty(x.shape, x.dtype), arrays.chunks(x.size)
    sums = np.empty(chunks * len(channel))
    kernels.prelu_backward(dy.ravel(), x.ravel(), slope[channel], dx.ravel(), sums, chunks,
                           min(chunks, threads.workers(x.size)))
    return dx, sums.reshape(-1, len(slope)).sum(axis=0).astype(slope.dtype)


def _channel_of_slope(function: str, x: tuple[int, ...], slope: tuple[int, ...]) -> np.ndarray:
    """Return which slope each element of a run of whole pixels has; ShapeError when they do not fit."""
    shapes.at_least_1d(function, "x", x)
    if slope != (1,):
        shapes.same_shape(function, "slope", slope, x[-1:], "the channels of x, or (1,) for all")
    return arrays.channel_of_lane(slope[0])


def _forward_rows(kernel: Any, function: str, x: Any) -> np.ndarray:
    x = arrays.as_floats(function, "x", x)
    shapes.at_least_1d(function, "x", x.shape)
    y = buffers.empty(x.shape, x.dtype)
    kernel(x.ravel(), y.ravel(), x.shape[-1], threads.workers(x.size, 4096))
    return y


def _backward_rows(kernel: Any, function: str, dy: Any, y: Any) -> np.ndarray:
    dy, y = arrays.floats(function, dy=dy, y=y)
    shapes.at_least_1d(function, "y", y.shape)
    shapes.same_shape(function, "dy", dy.shape, y.shape, "the shape of y")
    dx = buffers.empty(dy.shape, dy.dtype)
    kernel(dy.ravel(), y.ravel(), dx.ravel(), y.shape[-1], threads.workers(y.size, 4096))
    return dx


def softmax(x: Any) -> np.ndarray:
    """exp(x) / sum of exp(x) over the last axis."""
    return note(_forward_rows(kernels.softmax, "softmax", x), "identity")


def softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of softmax: y (dy - <dy, y>) over the last axis."""
    return _backward_rows(kernels.softmax_backward, "softmax_backward", dy, y)


def log_softmax(x: Any) -> np.ndarray:
    """x - log of the sum of exp(x) over the last axis."""
    return note(_forward_rows(kernels.log_softmax, "log_softmax", x), "exp")


def log_softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of log_softmax: dy - exp(y) sum(dy) over the last axis."""
    return _backward_rows(kernels.log_softmax_backward, "log_softmax_backward", dy, y)
