"""Activations, softmax and their gradients. All work on arrays of any shape."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array

__all__ = ["elu", "elu_backward", "gelu", "gelu_backward", "hardswish", "hardswish_backward", "leaky_relu",
           "leaky_relu_backward", "log_softmax", "log_softmax_backward", "mish", "mish_backward", "prelu", "prelu_backward",
           "relu", "relu_backward", "selu", "selu_backward", "sigmoid", "sigmoid_backward", "silu", "silu_backward",
           "softmax", "softmax_backward", "softplus", "softplus_backward", "softsign", "softsign_backward", "tanh",
           "tanh_backward"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


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


def softsign(x: Array) -> Array:
    """x / (1 + |x|). Turian, Bergstra and Bengio, "Quadratic Features and Deep Architectures for Chunking", NAACL 2009."""
    return x / (1 + np.abs(x))


def softsign_backward(dy: Array, y: Array) -> Array:
    """Differentiate by y = softsign(x): y' = (1 - |y|)^2."""
    return dy * (1 - np.abs(y)) ** 2


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


def prelu(x: Array, slope: Array) -> Array:
    """Return x where it is above zero, else slope * x; slope (C,) of the last axis, or (1,) for all channels.

    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.1.
    """
    return np.where(x > 0, x, slope * x)


def prelu_backward(dy: Array, x: Array, slope: Array) -> tuple[Array, Array]:
    """Differentiate by x and by the slope: dx like x, dslope like slope."""
    below = np.where(x > 0, 0, dy * x).reshape(-1, len(slope))
    return np.where(x > 0, dy, slope * dy), below.sum(axis=0)


def selu(x: Array) -> Array:
    """Elu with alpha and a scale that keep mean 0 and variance 1 from layer to layer.

    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017, section 2;
    alpha and scale by its equation 14.
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_backward(dy: Array, y: Array) -> Array:
    """Differentiate by y = selu(x): y' is the scale above zero, else y + scale alpha."""
    return np.where(y <= 0, dy * (y + SELU_SCALE * SELU_ALPHA), dy * SELU_SCALE)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold.

    Dugas, Bengio, Belisle, Nadeau and Garcia, "Incorporating Second-Order Functional Knowledge", NeurIPS 2000, section 3.
    """
    z = beta * x
    smooth = (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta
    return np.where(z > threshold, x, smooth)


def softplus_backward(dy: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Differentiate by x: y' = sigmoid(beta x), and 1 where beta x is above the threshold."""
    return np.where(beta * x > threshold, dy, dy * sigmoid(beta * x))


def hardswish(x: Array) -> Array:
    """x times a line that rises from 0 at -3 to 1 at 3.

    Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.
    """
    return x * (np.clip(x + 3, 0, 6) / 6)


def hardswish_backward(dy: Array, x: Array) -> Array:
    """Differentiate by x: y' = x / 3 + 1 / 2 between -3 and 3, 0 below and 1 above."""
    return np.where(x <= -3, 0, np.where(x < 3, dy * (x / 3 + 0.5), dy))


def mish(x: Array) -> Array:
    """x tanh(softplus(x)). Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020, section 3."""
    return x * np.tanh(softplus(x))


def mish_backward(dy: Array, x: Array) -> Array:
    """Differentiate by x: y' = t + x (1 - t^2) sigmoid(x) with t = tanh(softplus(x)), 1 - t^2 as 1 / cosh^2."""
    z = softplus(x)
    return dy * (np.tanh(z) + x * sigmoid(x) * (2 * np.exp(-z) / (1 + np.exp(-2 * z))) ** 2)


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
