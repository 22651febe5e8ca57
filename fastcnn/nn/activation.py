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
    """Compute max(x, 0), as `functional.relu`; NaN stays NaN.

    Examples
    --------
    >>> layer = nn.ReLU()
    >>> layer(np.array([[-1.0, 2.0]], np.float32))
    array([[0., 2.]], dtype=float32)
    >>> layer.backward(np.array([[5.0, 7.0]], np.float32))
    array([[0., 7.]], dtype=float32)
    """

    _forward, _backward = functional.relu, functional.relu_backward


class Sigmoid(_FromOutput):
    """Compute 1 / (1 + exp(-x)), as `functional.sigmoid`."""

    _forward, _backward = functional.sigmoid, functional.sigmoid_backward


class Tanh(_FromOutput):
    """Compute the hyperbolic tangent, as `functional.tanh`."""

    _forward, _backward = functional.tanh, functional.tanh_backward


class Softsign(_FromOutput):
    """Compute x / (1 + |x|), as `functional.softsign`."""

    _forward, _backward = functional.softsign, functional.softsign_backward


class ELU(_FromOutput):
    """Return x where it is above zero, else exp(x) - 1, as `functional.elu` with alpha 1."""

    _forward, _backward = functional.elu, functional.elu_backward


class GELU(_FromInput):
    """Multiply x by the normal distribution function of x, exactly, as `functional.gelu`."""

    _forward, _backward = functional.gelu, functional.gelu_backward


class SiLU(_FromInput):
    """Compute x / (1 + exp(-x)), as `functional.silu`."""

    _forward, _backward = functional.silu, functional.silu_backward


class SELU(_FromOutput):
    """Compute ELU with constants that keep mean 0 and variance 1 from layer to layer, as `functional.selu`."""

    _forward, _backward = functional.selu, functional.selu_backward


class Hardswish(_FromInput):
    """Compute x min(max(x + 3, 0), 6) / 6, as `functional.hardswish`."""

    _forward, _backward = functional.hardswish, functional.hardswish_backward


class Mish(_FromInput):
    """Compute x tanh(log(1 + exp(x))), as `functional.mish`."""

    _forward, _backward = functional.mish, functional.mish_backward


class Softmax(_FromOutput):
    """Compute probabilities along the last axis, positive with sum 1, as `functional.softmax`."""

    _forward, _backward = functional.softmax, functional.softmax_backward


class LogSoftmax(_FromOutput):
    """Compute the logarithm of `Softmax`, as `functional.log_softmax`."""

    _forward, _backward = functional.log_softmax, functional.log_softmax_backward


class LeakyReLU(Layer):
    """Return x where it is above zero, else slope * x.

    Parameters
    ----------
    slope : float
        As in `functional.leaky_relu`.
    """

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
    """Return x where it is above zero, else slope * x, with a slope that is trained.

    Parameters
    ----------
    channels : int or None
        Number of slopes, one for each channel; 1 for all channels together; None takes the channels of the first input.
    init : float
        First value of the slopes, at least 0.

    Attributes
    ----------
    slope : (channels,) Parameter

    References
    ----------
    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.1.
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
        dx, _ = functional.prelu_backward(dy, self._take_saved(), self.slope.data, out=self.slope.grad)
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
    """Compute log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold.

    Parameters
    ----------
    beta, threshold : float
        As in `functional.softplus`.
    """

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
