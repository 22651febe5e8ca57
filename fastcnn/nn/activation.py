"""Activation layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional
from ..shapes import real
from .module import Layer


class _FromOutput(Layer):
    """An activation whose derivative is a function of its output y, so that only y is kept."""

    _forward: Callable[..., np.ndarray]
    _backward: Callable[..., np.ndarray]

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        y = type(self)._forward(x)
        self._keep(y)
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        return type(self)._backward(dy, self._take())


class _FromInput(_FromOutput):
    """An activation whose derivative needs its input x."""

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        self._keep(x)
        return type(self)._forward(x)


class ReLU(_FromOutput):
    """max(x, 0); NaN stays NaN."""

    _forward, _backward = functional.relu, functional.relu_backward


class Sigmoid(_FromOutput):
    """1 / (1 + exp(-x))."""

    _forward, _backward = functional.sigmoid, functional.sigmoid_backward


class Tanh(_FromOutput):
    """Hyperbolic tangent."""

    _forward, _backward = functional.tanh, functional.tanh_backward


class ELU(_FromOutput):
    """x where positive, else exp(x) - 1.

    Clevert, Unterthiner and Hochreiter, "Exponential Linear Units", ICLR 2016, section 3.
    """

    _forward, _backward = functional.elu, functional.elu_backward


class GELU(_FromInput):
    """x times the normal distribution function at x, exactly.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    """

    _forward, _backward = functional.gelu, functional.gelu_backward


class SiLU(_FromInput):
    """x / (1 + exp(-x))."""

    _forward, _backward = functional.silu, functional.silu_backward


class Softmax(_FromOutput):
    """Probabilities along the last axis: positive, with sum 1."""

    _forward, _backward = functional.softmax, functional.softmax_backward


class LogSoftmax(_FromOutput):
    """Logarithm of Softmax."""

    _forward, _backward = functional.log_softmax, functional.log_softmax_backward


class LeakyReLU(Layer):
    """x where positive, else slope * x; ValueError unless slope is at least 0."""

    def __init__(self, slope: float = 0.01) -> None:
        """Check the slope."""
        self.slope = real("LeakyReLU", "slope", slope, 0.0)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        y = functional.leaky_relu(x, self.slope)
        self._keep(y)
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        return functional.leaky_relu_backward(dy, self._take(), self.slope)

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"LeakyReLU({self.slope})"
