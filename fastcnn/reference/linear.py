"""Linear layer and its gradients."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .activation import relu_backward

__all__ = ["linear", "linear_backward"]


def linear(x: Array, weight: Array, bias: Array | None = None, *, relu: bool = False) -> Array:
    """Multiply by the weights and add the bias: x (N, in), weight (in, out), bias (out,) -> y (N, out).

    `relu` gives max(y, 0).
    """
    y = x @ weight
    y = y if bias is None else y + bias
    return np.maximum(y, 0) if relu else y


def linear_backward(
    dy: Array, x: Array, weight: Array, *, need_dx: bool = True, need_dweight: bool = True, y: Array | None = None
) -> tuple[Array | None, Array | None, Array | None]:
    """Differentiate linear: dy (N, out) -> dx like x, or None without need_dx; dweight and dbias (out,), or None both.

    y is what linear gave with relu, and None without.
    """
    dy = dy if y is None else relu_backward(dy, y)
    dx = dy @ weight.T if need_dx else None
    return (dx, x.T @ dy, dy.sum(axis=0)) if need_dweight else (dx, None, None)
