"""Activations, softmax and their gradients, for arrays of any rank.

sigmoid, tanh and the ReLU family differentiate by their output y, gelu and silu by their input x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import activation as kernels
from ..kernels import threads
from . import arrays


def _forward(kernel: Any, function: str, x: Any, parameter: float = 0.0, out: np.ndarray | None = None) -> np.ndarray:
    x = arrays.as_floats(function, "x", x)
    shapes.at_least_1d(function, "x", x.shape)
    y = arrays.as_output(function, out, x.shape, x.dtype)
    kernel(x.reshape(-1), y.reshape(-1), parameter, threads.workers(x.size))
    return y


def _backward(kernel: Any, function: str, dy: Any, name: str, saved: Any, parameter: float = 0.0) -> np.ndarray:
    dy, saved = arrays.floats(function, **{"dy": dy, name: saved})
    shapes.at_least_1d(function, name, saved.shape)
    shapes.same_shape(function, "dy", dy.shape, saved.shape, f"the shape of {name}")
    dx = arrays.empty(dy.shape, dy.dtype)
    kernel(dy.reshape(-1), saved.reshape(-1), dx.reshape(-1), parameter, threads.workers(dy.size))
    return dx


def relu(x: Any, *, out: np.ndarray | None = None) -> np.ndarray:
    """max(x, 0); NaN stays NaN. `out` receives the result where given; it may be x."""
    if out is not x or out is None:
        return _forward(kernels.relu, "relu", x, out=out)
    arrays.in_place("relu", out=out)
    kernels.rectify(out.reshape(-1), threads.workers(out.size))
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
    return _forward(kernels.sigmoid, "sigmoid", x)


def sigmoid_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of sigmoid: dy y (1 - y)."""
    return _backward(kernels.sigmoid_backward, "sigmoid_backward", dy, "y", y)


def tanh(x: Any) -> np.ndarray:
    """Hyperbolic tangent."""
    return _forward(kernels.tanh, "tanh", x)


def tanh_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of tanh: dy (1 - y^2)."""
    return _backward(kernels.tanh_backward, "tanh_backward", dy, "y", y)


def elu(x: Any, alpha: float = 1.0) -> np.ndarray:
    """x where it is above zero, else alpha (exp(x) - 1)."""
    return _forward(kernels.elu, "elu", x, shapes.real("elu", "alpha", alpha, 0))


def elu_backward(dy: Any, y: Any, alpha: float = 1.0) -> np.ndarray:
    """Gradient of elu: dy where y is above zero, else dy (y + alpha)."""
    alpha = shapes.real("elu_backward", "alpha", alpha, 0)
    return _backward(kernels.elu_backward, "elu_backward", dy, "y", y, alpha)


def gelu(x: Any) -> np.ndarray:
    """x times the normal distribution function of x, exact."""
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


def _forward_rows(kernel: Any, function: str, x: Any) -> np.ndarray:
    x = arrays.as_floats(function, "x", x)
    shapes.at_least_1d(function, "x", x.shape)
    y = arrays.empty(x.shape, x.dtype)
    kernel(x.reshape(-1), y.reshape(-1), x.shape[-1], threads.workers(x.size, 4096))
    return y


def _backward_rows(kernel: Any, function: str, dy: Any, y: Any) -> np.ndarray:
    dy, y = arrays.floats(function, dy=dy, y=y)
    shapes.at_least_1d(function, "y", y.shape)
    shapes.same_shape(function, "dy", dy.shape, y.shape, "the shape of y")
    dx = arrays.empty(dy.shape, dy.dtype)
    kernel(dy.reshape(-1), y.reshape(-1), dx.reshape(-1), y.shape[-1], threads.workers(y.size, 4096))
    return dx


def softmax(x: Any) -> np.ndarray:
    """exp(x) / sum of exp(x) over the last axis."""
    return _forward_rows(kernels.softmax, "softmax", x)


def softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of softmax: y (dy - <dy, y>) over the last axis."""
    return _backward_rows(kernels.softmax_backward, "softmax_backward", dy, y)


def log_softmax(x: Any) -> np.ndarray:
    """x - log of the sum of exp(x) over the last axis."""
    return _forward_rows(kernels.log_softmax, "log_softmax", x)


def log_softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Gradient of log_softmax: dy - exp(y) sum(dy) over the last axis."""
    return _backward_rows(kernels.log_softmax_backward, "log_softmax_backward", dy, y)
