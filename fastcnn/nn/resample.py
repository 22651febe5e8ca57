"""Layers that pad images or make them larger."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional, shapes
from ..shapes import Padding, Pair
from .conv import short
from .module import Layer

__all__ = ["Pad2D", "Upsample2D"]


class Pad2D(Layer):
    """Add rows and columns around images x (N, H, W, C).

    Parameters
    ----------
    padding, mode, value : int or pair, str, float
        As in `functional.pad2d`.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        An argument is out of range.

    Examples
    --------
    >>> nn.Pad2D(((0, 1), (2, 3)))(np.zeros((8, 32, 32, 3), np.float32)).shape
    (8, 33, 37, 3)
    """

    def __init__(self, padding: Padding, mode: str = "constant", value: float = 0.0) -> None:
        """Check the arguments."""
        shapes.padding2d("Pad2D", None, padding, mode)
        self.padding, self.mode, self.value = padding, mode, value

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, H + top + bottom, W + left + right, C)."""
        self._save(np.shape(x))
        return functional.pad2d(x, self.padding, mode=self.mode, value=self.value)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.pad2d_backward(dy, self._take_saved(), self.padding, mode=self.mode)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, H + top + bottom, W + left + right, C)."""
        N, H, W, C = sizes = shapes.images("Pad2D", "x", x_shape)
        top, bottom, left, right = shapes.padding2d("Pad2D", sizes, self.padding, self.mode)
        return N, H + top + bottom, W + left + right, C

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        options = {"mode": (self.mode, "constant"), "value": (self.value, 0.0)}
        written = "".join(f", {name}={value!r}" for name, (value, usual) in options.items() if value != usual)
        return f"Pad2D({self.padding!r}{written})"


class Upsample2D(Layer):
    """Enlarge images x (N, H, W, C) by whole factors.

    Parameters
    ----------
    scale, mode : int or pair, str
        As in `functional.upsample2d`.

    Examples
    --------
    >>> nn.Upsample2D(2, mode="bilinear")(np.zeros((8, 16, 16, 3), np.float32)).shape
    (8, 32, 32, 3)
    """

    def __init__(self, scale: Pair, mode: str = "nearest") -> None:
        """Check the arguments."""
        self.scale, self.mode = shapes.scale2d("Upsample2D", scale, mode), mode

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, H * rows, W * columns, C)."""
        self._save(np.shape(x))
        return functional.upsample2d(x, self.scale, mode=self.mode)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.upsample2d_backward(dy, self._take_saved(), self.scale, mode=self.mode)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, H * rows, W * columns, C)."""
        N, H, W, C = shapes.images("Upsample2D", "x", x_shape)
        return N, H * self.scale[0], W * self.scale[1], C

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Upsample2D({short(self.scale)!r}{'' if self.mode == 'nearest' else f', mode={self.mode!r}'})"
