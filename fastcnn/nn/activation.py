"""Activation layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional
from ..shapes import ShapeError, real
from .lazy import Lazy
from .module import Layer
from .parameter import Parameter

__all__ = ["ELU", "GELU", "SELU", "Hardswish", "LeakyReLU", "LogSoftmax", "Mish", "PReLU", "ReLU", "SiLU", "Sigmoid",
           "Softmax", "Softplus", "Softsign", "Tanh"]


class _FromOutput(Layer):
    """An activation whose derivative is a function of its output y, so that only y is kept."""

    _forward: Callable[..., np.ndarray]
    _backward: Callable[..., np.ndarray]

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        y = type(self)._forward(x)
        self._save(y)
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        return type(self)._backward(dy, self._take_saved())


class _FromInput(_FromOutput):
    """An activation whose derivative needs its input x."""

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        self._save(x)
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


class Softsign(_FromOutput):
    """x / (1 + |x|)."""

    _forward, _backward = functional.softsign, functional.softsign_backward


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


class SELU(_FromOutput):
    """ELU with constants that keep mean 0 and variance 1 from layer to layer.

    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017, section 2.
    """

    _forward, _backward = functional.selu, functional.selu_backward


class Hardswish(_FromInput):
    """x times a line that rises from 0 at -3 to 1 at 3.

    Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.
    """

    _forward, _backward = functional.hardswish, functional.hardswish_backward


class Mish(_FromInput):
    """x tanh(log(1 + exp(x))).

    Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020, section 3.
    """

    _forward, _backward = functional.mish, functional.mish_backward


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
        self._save(y)
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        return functional.leaky_relu_backward(dy, self._take_saved(), self.slope)

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"LeakyReLU({self.slope})"


class PReLU(Lazy):
    """x where positive, else slope * x, with a trained slope for each of the channels, or one for all.

    `slope` is (channels,) and begins with `init`. None for `channels` waits for the first input. He, Zhang, Ren and Sun,
    "Delving Deep into Rectifiers", ICCV 2015, section 2.1. ShapeError, DTypeError, ValueError: channels or init is unfit.
    """

    slope: Parameter
    channels: int | None
    _size = "channels"
    def __init__(self, channels: int | None = 1, *, init: float = 0.25) -> None:
        """Check the arguments and set the slopes."""
        self._init = real("PReLU", "init", init, 0.0)
        self._expect(channels)

    def _make(self, size: int) -> None:
        self.slope = Parameter(np.full(size, self._init, np.float32), "slope")

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        self._save(x)
        return functional.prelu(x, self.slope.data)

    def backward(self, dy: Any) -> np.ndarray:
        """Write the gradient of the slopes; return dx like x."""
        dx, self.slope.grad = functional.prelu_backward(dy, self._take_saved(), self.slope.data)
        return dx

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        if self.channels not in (1, x_shape[-1]):
            raise ShapeError(f"PReLU: x has shape {x_shape}, expected (..., {self.channels})")
        return x_shape

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"PReLU({self.channels})"


class Softplus(Layer):
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold; ValueError: a number is out of range."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        """Check the numbers."""
        self.beta, self.threshold = functional.activation.softplus_options("Softplus", beta, threshold)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        self._save(x)
        return functional.softplus(x, self.beta, self.threshold)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        return functional.softplus_backward(dy, self._take_saved(), self.beta, self.threshold)

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Softplus({self.beta}, {self.threshold})"
