"""Fully connected layers: checks, allocation, launch."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from . import arrays, products
from .products import Layout


def _features(function: str, x: tuple[int, ...], weight: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (N, in, out); ShapeError when x (N, in) and weight (in, out) do not fit."""
    if len(x) != 2:
        raise shapes.ShapeError(f"{function}: x has {len(x)} dimensions (shape {x}), expected 2: (N, in features)")
    if len(weight) != 2:
        raise shapes.ShapeError(f"{function}: weight has {len(weight)} dimensions (shape {weight}), "
                                "expected 2: (in features, out features)")
    if x[1] != weight[0]:
        raise shapes.ShapeError(f"{function}: x has {x[1]} features (shape {x}), weight {weight} expects {weight[0]}")
    return x[0], weight[0], weight[1]


def linear(x: Any, weight: Any, bias: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
    """y = x @ weight + bias for x (N, in), weight (in, out), bias (out,): y (N, out); ShapeError, DTypeError."""
    x, weight = arrays.floats("linear", x=x, weight=weight)
    N, depth, K = _features("linear", x.shape, weight.shape)
    bias = arrays.as_bias("linear", bias, K, x.dtype)
    y = arrays.as_output("linear", out, (N, K), x.dtype)
    products.rows_times_panels(x, depth, products.pack(weight, Layout(0, 0, 0, 0, K, 1, K, 1), 1, 1, depth, bias), y, K)
    return y


def linear_backward(dy: Any, x: Any, weight: Any, *, need_dx: bool = True,
                    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Gradients (dx, dweight, dbias) of linear from dy (N, out); dx is None without `need_dx`; ShapeError, DTypeError."""
    dy, x, weight = arrays.floats("linear_backward", dy=dy, x=x, weight=weight)
    N, depth, K = _features("linear_backward", x.shape, weight.shape)
    shapes.same_shape("linear_backward", "dy", dy.shape, (N, K), "the shape of y")
    dx = None
    if need_dx:
        dx = arrays.empty((N, depth), dy.dtype)
        transposed = Layout(0, 0, 0, 0, 1, K, depth, 1)
        products.rows_times_panels(dy, K, products.pack(weight, transposed, 1, 1, K, arrays.NOTHING[dy.dtype]), dx, depth)
    dweight = arrays.empty((depth, K), dy.dtype)
    products.rows_times_rows(x, depth, dy, K, dweight)
    return dx, dweight, products.column_sums(dy, K)
