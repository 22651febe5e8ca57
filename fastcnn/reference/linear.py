"""Linear layer and its gradients."""

from __future__ import annotations

from ._types import Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Multiply by the weights and add the bias: x (N, in), weight (in, out), bias (out,) -> y (N, out)."""
    y = x @ weight
    return y if bias is None else y + bias


def linear_backward(
    dy: Array, x: Array, weight: Array, *, need_dx: bool = True, need_dweight: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Differentiate linear: dy (N, out) -> dx like x, or None without need_dx; dweight and dbias (out,), or None both."""
    dx = dy @ weight.T if need_dx else None
    return (dx, x.T @ dy, dy.sum(axis=0)) if need_dweight else (dx, None, None)
