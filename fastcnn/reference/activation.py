"""Activations, softmax and their gradients. All work on arrays of any shape."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array


def relu(x: Array) -> Array:
    """max(x, 0); NaN stays NaN."""
    return np.maximum(x, 0)


def relu_backward(dy: Array, y: Array) -> Array:
    """Pass dy where y = relu(x) is above zero."""
    return np.where(y <= 0, 0, dy)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Return x where it is above zero, else slope * x."""
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy: Array, y: Array, slope: float = 0.01) -> Array:
    """Differentiate by y = leaky_relu(x), which has the sign of x for slope >= 0."""
    return np.where(y > 0, dy, slope * dy)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); below zero written exp(x) / (1 + exp(x)), so that nothing overflows."""
    y: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    return y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Differentiate by y = sigmoid(x): y' = y (1 - y)."""
    return dy * y * (1 - y)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)


def tanh_backward(dy: Array, y: Array) -> Array:
    """Differentiate by y = tanh(x): y' = 1 - y^2."""
    return dy * (1 - y * y)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where it is above zero, else alpha (exp(x) - 1).

    Clevert, Unterthiner and Hochreiter, "Exponential Linear Units", ICLR 2016, section 3.
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dy: Array, y: Array, alpha: float = 1.0) -> Array:
    """Differentiate by y = elu(x): y' is 1 above zero, else y + alpha."""
    return np.where(y <= 0, dy * (y + alpha), dy)


def gelu(x: Array) -> Array:
    """x times the normal distribution function of x, exact.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    """
    return x * _normal_distribution(x)


def gelu_backward(dy: Array, x: Array) -> Array:
    """Differentiate by x: y' = distribution(x) + x density(x) of the normal distribution."""
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return dy * (_normal_distribution(x) + x * density)


def silu(x: Array) -> Array:
    """x sigmoid(x). Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2."""
    return x * sigmoid(x)


def silu_backward(dy: Array, x: Array) -> Array:
    """Differentiate by x: y' = s (1 + x (1 - s)) with s = sigmoid(x)."""
    s = sigmoid(x)
    return dy * s * (1 + x * (1 - s))


def softmax(x: Array) -> Array:
    """exp(x) / sum of exp(x) over the last axis, shifted by the maximum so that nothing overflows."""
    largest: Array = x.max(axis=-1, keepdims=True)
    exponential = np.exp(x - largest)
    total: Array = exponential.sum(axis=-1, keepdims=True)
    return exponential / total


def softmax_backward(dy: Array, y: Array) -> Array:
    """Differentiate by y = softmax(x): dx = y (dy - <dy, y>) over the last axis."""
    total: Array = (dy * y).sum(axis=-1, keepdims=True)
    return y * (dy - total)


def log_softmax(x: Array) -> Array:
    """x - log of the sum of exp(x) over the last axis, shifted by the maximum so that nothing overflows."""
    largest: Array = x.max(axis=-1, keepdims=True)
    total: Array = np.exp(x - largest).sum(axis=-1, keepdims=True)
    return x - largest - np.log(total)


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Differentiate by y = log_softmax(x): dx = dy - exp(y) sum(dy) over the last axis."""
    total: Array = dy.sum(axis=-1, keepdims=True)
    return dy - np.exp(y) * total


def _normal_distribution(x: Array) -> Array:
    """(1 + erf(x / sqrt 2)) / 2, as erfc(-x / sqrt 2) / 2: the same without cancellation far below zero."""
    erfc = np.vectorize(math.erfc, otypes=[np.float64])
    probability: Array = erfc(x / -math.sqrt(2)) / 2
    return probability.astype(x.dtype)
