"""Fully connected layers: checks, allocation, launch."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .. import shapes
from ..kernels.arguments import Epilogue
from ..runtime import buffers
from ..shapes import Window
from . import arrays
from .activation import through_relu
from .conv import direct, pointwise, products

__all__ = ["linear", "linear_backward"]


@functools.lru_cache(maxsize=1024)
def _window(function: str, x: tuple[int, ...], weight: tuple[int, ...]) -> Window:
    """Return the product as a convolution; ShapeError when x (N, in) and weight (in, out) do not fit."""
    if len(x) != 2:
        flat = f" (nn.Flatten before it gives {x[0], math.prod(x[1:])})" if len(x) > 2 else ""
        raise shapes.ShapeError(f"{function}: x has {len(x)} dimensions (shape {x}), expected 2: (N, in features){flat}")
    if len(weight) != 2:
        raise shapes.ShapeError(f"{function}: weight has {len(weight)} dimensions (shape {weight}), "
                                "expected 2: (in features, out features)")
    if x[1] != weight[0]:
        raise shapes.ShapeError(f"{function}: x has {x[1]} features (shape {x}), weight {weight} expects {weight[0]}")
    return pointwise.rows(x[0], weight[0], weight[1])


def linear(x: Any, weight: Any, bias: Any = None, *, relu: bool = False, out: np.ndarray | None = None) -> np.ndarray:
    """Compute x @ weight + bias.

    Parameters
    ----------
    x : (N, C) array
    weight : (C, K) array
    bias : (K,) array, optional
    relu : bool
        Return max(y, 0), computed in the same pass.
    out : (N, K) array, optional
        Receives the result.

    Returns
    -------
    y : (N, K) array
        y[n, k] = bias[k] + sum over c of x[n, c] weight[c, k].

    Examples
    --------
    >>> F.linear(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, -3.0]]), np.array([0.5, 0.5]))
    array([[ 1.5, -5.5]])
    """
    x, weight = arrays.floats("linear", x=x, weight=weight)
    w = _window("linear", x.shape, weight.shape)
    epilogue = Epilogue(arrays.as_bias("linear", bias, w.K, x.dtype), arrays.NOTHING[x.dtype], bool(relu))
    y = arrays.as_output("linear", out, (w.H, w.K), x.dtype)
    direct.forward(x, weight, epilogue, w, y)
    return y


def linear_backward(dy: Any, x: Any, weight: Any, *, need_dx: bool = True, need_dweight: bool = True, y: Any = None,
                    out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Compute the gradients of `linear`.

    Parameters
    ----------
    dy : (N, K) array
    x : (N, C) array
    weight : (C, K) array
    need_dx, need_dweight : bool
        What to compute; dweight and dbias go together.
    y : (N, K) array, optional
        The result of `linear` with `relu`, else None.
    out : pair of arrays or None
        Arrays that receive dweight and dbias.

    Returns
    -------
    dx : (N, C) array or None
        dy @ weight.T
    dweight : (C, K) array or None
        x.T @ dy
    dbias : (K,) array or None
        dbias[k] = sum over n of dy[n, k].

    Examples
    --------
    >>> dx, dweight, dbias = F.linear_backward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.eye(2))
    >>> dx, dbias
    (array([[1., 2.]]), array([1., 2.]))
    >>> dweight
    array([[3., 6.],
           [4., 8.]])
    """
    dy, x, weight = arrays.floats("linear_backward", dy=dy, x=x, weight=weight)
    w = _window("linear_backward", x.shape, weight.shape)
    N, depth, K = w.H, w.C, w.K
    shapes.same_shape("linear_backward", "dy", dy.shape, (N, K), "the shape of y")
    dy, dx, plain = through_relu("linear_backward", dy, y), None, arrays.NO_EPILOGUE[dy.dtype]
    if need_dx:
        dx = buffers.empty((N, depth), dy.dtype)
        if N == 1:  # weight @ dy^T reads the weights where they lie
            direct.forward(weight, dy, plain, pointwise.rows(depth, K, 1), dx)
        else:
            direct.backward_input(dy, weight, plain.residual, w, dx)
    if not need_dweight:
        return dx, None, None
    dweight = arrays.as_output("linear_backward", out[0], (depth, K), dy.dtype)
    dbias = arrays.as_output("linear_backward", out[1], (K,), dy.dtype)
    if N == 1:  # x^T @ dy writes the gradients where they lie
        direct.forward(x, dy, plain, pointwise.rows(depth, 1, K), dweight)
        products.column_sums(dy, dbias)
    else:
        pointwise.backward_weight(dy, x, w, dweight, dbias)
    return dx, dweight, dbias
