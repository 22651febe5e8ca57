"""Layers that imported graphs have and `fastcnn.nn` does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...nn import Layer
from ...shapes import ShapeError

__all__ = ["Affine", "Clip", "HardSigmoid", "Permute"]


class Affine(Layer):
    """Multiply each channel of x (..., C) by a constant and add one: scale x + shift.

    Parameters
    ----------
    scale, shift : (C,) or (1,) array
        Buffers, which are saved but not trained.
    """

    buffers = ("scale", "shift")

    def __init__(self, scale: Any, shift: Any) -> None:
        """Take the constants."""
        self.scale, self.shift = np.array(scale, np.float32).reshape(-1), np.array(shift, np.float32).reshape(-1)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        y: np.ndarray = x * self.scale + self.shift
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        dx: np.ndarray = dy * self.scale
        return dx

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        if len({1, x_shape[-1], self.scale.size, self.shift.size}) > 2:
            raise ShapeError(f"Affine: x has shape {x_shape}, expected (..., {max(self.scale.size, self.shift.size)})")
        return x_shape

    def __repr__(self) -> str:
        """Constructor call, without the values of channels."""
        return f"Affine({_short(self.scale)}, {_short(self.shift)})"


class Clip(Layer):
    """Return x between two limits; ReLU6 is Clip(0, 6). NaN stays NaN.

    Parameters
    ----------
    low, high : float
    """

    def __init__(self, low: float = -math.inf, high: float = math.inf) -> None:
        """Take the limits."""
        self.low, self.high = float(low), float(high)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        self._save(x)
        return np.clip(x, self.low, self.high)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        x = self._take_saved()
        dx: np.ndarray = dy * ((x > self.low) & (x < self.high))
        return dx

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Clip({self.low:g}, {self.high:g})"


class HardSigmoid(Layer):
    """Return alpha x + beta between 0 and 1.

    Parameters
    ----------
    alpha, beta : float
    """

    def __init__(self, alpha: float = 0.2, beta: float = 0.5) -> None:
        """Take the numbers."""
        self.alpha, self.beta = float(alpha), float(beta)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        line = x * self.alpha + self.beta
        self._save(line)
        return np.clip(line, 0, 1)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        line = self._take_saved()
        dx: np.ndarray = dy * ((line > 0) & (line < 1)) * self.alpha
        return dx

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"HardSigmoid({self.alpha:g}, {self.beta:g})"


class Permute(Layer):
    """Return x with its axes in another order, as numpy's `transpose`.

    Parameters
    ----------
    axes : int
        Axis of x that each axis of the result is; the first one, of the batch, is 0.
    """

    def __init__(self, *axes: int) -> None:
        """Take the axes."""
        if sorted(axes) != list(range(len(axes))) or axes[:1] != (0,):
            raise ShapeError(f"Permute: axes are {axes}, expected 0 and then the others in any order")
        self.axes = axes

    def forward(self, x: Any) -> np.ndarray:
        """Return a contiguous copy."""
        return np.ascontiguousarray(np.transpose(x, self.axes))

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx like x."""
        return np.ascontiguousarray(np.transpose(dy, np.argsort(self.axes)))

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes in the other order."""
        if len(x_shape) != len(self.axes):
            raise ShapeError(f"Permute: x has shape {x_shape}, expected {len(self.axes)} dimensions")
        return tuple(x_shape[axis] for axis in self.axes)

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Permute({', '.join(map(str, self.axes))})"


def _short(values: np.ndarray) -> str:
    return f"{values[0]:g}" if values.size == 1 else f"<{values.size} channels>"
