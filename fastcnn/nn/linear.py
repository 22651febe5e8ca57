"""Linear layer and the reshaping before it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import functional, shapes
from ..shapes import ShapeError
from .initialise import he_normal
from .lazy import Lazy
from .module import Layer
from .parameter import Parameter

__all__ = ["Flatten", "Identity", "Linear", "Reshape"]


class Linear(Lazy):
    """Multiply x (N, in_features) by a weight and add a bias.

    Parameters
    ----------
    in_features : int or None
        None takes the features of the first input.
    out_features : int
    bias : bool

    Attributes
    ----------
    weight : (in_features, out_features) Parameter
        Drawn by `he_normal`.
    bias : (out_features,) Parameter or None
        Zeros.

    Examples
    --------
    >>> nn.Linear(100, 10)(np.zeros((8, 100), np.float32)).shape
    (8, 10)
    """

    weight: Parameter
    bias: Parameter | None
    in_features: int | None
    _size = "in_features"
    forward_options = ("relu",)
    backward_options = ("need_dx",)

    def __init__(self, in_features: int | None, out_features: int, *, bias: bool = True) -> None:
        """Check the sizes and draw the weights."""
        self.out_features = shapes.integer("Linear", "out_features", out_features, 1)
        self._has_bias = bool(bias)
        self._expect(in_features)

    def _make(self, size: int) -> None:
        self.weight = Parameter(he_normal((size, self.out_features), size), "weight")
        self.bias = Parameter(np.zeros(self.out_features, np.float32), "bias") if self._has_bias else None

    def forward(self, x: Any, relu: bool = False) -> np.ndarray:
        """Return y (N, out_features), or max(y, 0) with `relu`."""
        y = functional.linear(x, self.weight.data, None if self.bias is None else self.bias.data, relu=relu)
        self._save((x, y if relu else None))
        return y

    def backward(self, dy: Any, need_dx: bool = True) -> np.ndarray | None:
        """Write the gradients of weight and bias; return dx, or None without `need_dx`."""
        x, y = self._take_saved()
        out = self.weight.grad, None if self.bias is None else self.bias.grad
        dx, _, _ = functional.linear_backward(dy, x, self.weight.data, need_dx=need_dx, need_dweight=not self.frozen, y=y,
                                               out=out)
        return dx

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, out_features)."""
        if len(x_shape) != 2 or x_shape[1] != self.in_features:
            raise ShapeError(f"Linear: x has shape {x_shape}, expected (N, {self.in_features})")
        return x_shape[0], self.out_features

    def multiply_adds(self, x_shape: tuple[int, ...]) -> int:
        """Return N times the number of weights."""
        return x_shape[0] * self.weight.size

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Linear({self.in_features}, {self.out_features}{'' if self._has_bias else ', bias=False'})"


class _View(Layer):
    """x (N, ...) in another shape, row-major; no copy."""

    is_view = True

    def forward(self, x: Any) -> np.ndarray:
        """Return x in the new shape."""
        x = np.asarray(x)
        self._save(x.shape)
        return x.reshape(self.output_shape(x.shape))

    def backward(self, dy: Any) -> np.ndarray:
        """Return dy in the shape of x."""
        dx: np.ndarray = np.asarray(dy).reshape(self._take_saved())
        return dx


class Flatten(_View):
    """Reshape x (N, ...) to (N, features), in row-major order and without a copy.

    Features of images (N, H, W, C) are in the order H, W, C, and so are the rows of the weight of a `Linear` after it; those
    of a network for images (N, C, H, W) are in the order C, H, W.

    Examples
    --------
    >>> nn.Flatten()(np.zeros((8, 4, 4, 16), np.float32)).shape
    (8, 256)
    """

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, features)."""
        if len(x_shape) < 2:
            raise ShapeError(f"Flatten: x has shape {x_shape}, expected (N, ...)")
        return x_shape[0], math.prod(x_shape[1:])


class Reshape(_View):
    """Reshape x (N, ...) to (N, *shape), in row-major order and without a copy.

    Parameters
    ----------
    shape : int
        Sizes of one element of the batch, such as 4, 4, 16.

    Examples
    --------
    >>> nn.Reshape(4, 4, 16)(np.zeros((8, 256), np.float32)).shape
    (8, 4, 4, 16)
    """

    def __init__(self, *shape: int) -> None:
        """Take the shape of one element of the batch, such as 4, 4, 16."""
        if not shape:
            raise ShapeError("Reshape: shape is (), expected at least one size")
        self.shape = tuple(shapes.integer("Reshape", "shape", size, 1) for size in shape)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, *shape)."""
        if len(x_shape) < 2 or math.prod(x_shape[1:]) != math.prod(self.shape):
            raise ShapeError(f"Reshape: x has shape {x_shape}, expected (N, ...) with {math.prod(self.shape)} elements for "
                             f"each of N, as {self.shape} has")
        return x_shape[0], *self.shape

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Reshape({', '.join(map(str, self.shape))})"


class Identity(Layer):
    """Return x itself."""

    is_view = True

    def forward(self, x: Any) -> Any:
        """Return x."""
        return x

    def backward(self, dy: Any) -> Any:
        """Return dy."""
        return dy
