"""Two-dimensional convolution and its gradients."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ._types import Array, Padding, Pair
from ._window import pair, sides, window
from .activation import relu_backward

__all__ = ["conv2d", "conv2d_backward", "conv_transpose2d", "conv_transpose2d_backward"]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    relu: bool = False,
    add: Array | None = None,
) -> Array:
    """Correlate images with filters: one matrix product per filter element and group.

    x (N, H, W, C), weight (R, S, C // groups, K), bias (K,) -> y (N, P, Q, K), plus add, or max(y, 0) with relu.
    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, sections 2 and 5.1.
    """
    N, H, W, C = x.shape
    R, S, _, K = weight.shape
    stride, dilation = pair(stride), pair(dilation)
    rows, columns = sides(padding, (H, W), (R, S), stride, dilation)
    padded = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    P = (H + sum(rows) - (R - 1) * dilation[0] - 1) // stride[0] + 1
    Q = (W + sum(columns) - (S - 1) * dilation[1] - 1) // stride[1] + 1

    y = np.zeros((N, P, Q, K), x.dtype)
    for r, s in product(range(R), range(S)):
        pixels = window(padded, r * dilation[0], s * dilation[1], (P, Q), stride)
        for c, k in _groups(C, K, groups):
            y[..., k] += pixels[..., c] @ weight[r, s, :, k]
    y = y if bias is None else y + bias
    y = y if add is None else y + add
    return np.maximum(y, 0) if relu else y


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    need_dx: bool = True,
    need_dweight: bool = True,
    need_dbias: bool = True,
    y: Array | None = None,
    add: Array | None = None,
) -> tuple[Array | None, Array | None, Array | None]:
    """Send dy back along every product that conv2d made.

    dy (N, P, Q, K), x (N, H, W, C), weight (R, S, C // groups, K)
    -> dx like x, dweight like weight, dbias (K,); each None where it is not needed.
    y is what conv2d gave with relu, and None without; add (N, H, W, C) is added to dx.
    """
    dy = dy if y is None else relu_backward(dy, y)
    _, H, W, C = x.shape
    R, S, _, K = weight.shape
    _, P, Q, _ = dy.shape
    stride, dilation = pair(stride), pair(dilation)
    rows, columns = sides(padding, (H, W), (R, S), stride, dilation)
    padded = np.pad(x, ((0, 0), rows, columns, (0, 0)))

    dpadded = np.zeros_like(padded)
    dweight = np.zeros_like(weight)
    for r, s in product(range(R), range(S)):
        pixels = window(padded, r * dilation[0], s * dilation[1], (P, Q), stride)
        dpixels = window(dpadded, r * dilation[0], s * dilation[1], (P, Q), stride)
        for c, k in _groups(C, K, groups):
            dweight[r, s, :, k] = np.tensordot(pixels[..., c], dy[..., k], axes=((0, 1, 2), (0, 1, 2)))
            if need_dx:
                dpixels[..., c] += dy[..., k] @ weight[r, s, :, k].T
    dx = dpadded[:, rows[0] : rows[0] + H, columns[0] : columns[0] + W] if need_dx else None
    dx = dx if dx is None or add is None else dx + add
    return dx, dweight if need_dweight else None, dy.sum(axis=(0, 1, 2)) if need_dbias else None


def _groups(C: int, K: int, groups: int) -> list[tuple[slice, slice]]:
    """Return the input and the output channels of each group."""
    c, k = C // groups, K // groups
    return [(slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)) for g in range(groups)]


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Send images along the products of a convolution backwards: the input gradient of conv2d is what it makes of x.

    x (N, H, W, C), weight (R, S, K // groups, C), bias (K,) -> y (N, P, Q, K).
    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.
    """
    N, H, W, _ = x.shape
    R, S, depth, _ = weight.shape
    rows, columns = sides(padding, (H, W), (R, S), stride, dilation)
    extent = (np.array((R, S)) - 1) * pair(dilation) + 1
    P, Q = (np.array((H, W)) - 1) * pair(stride) + extent + pair(output_padding) - (sum(rows), sum(columns))
    y, _, _ = conv2d_backward(x, np.zeros((N, P, Q, depth * groups), x.dtype), weight, stride=stride,
                              padding=(rows, columns), dilation=dilation, groups=groups)
    assert y is not None
    return y if bias is None else y + bias


def conv_transpose2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    need_dx: bool = True,
    need_dweight: bool = True,
    need_dbias: bool = True,
) -> tuple[Array | None, Array | None, Array | None]:
    """Differentiate conv_transpose2d, whose gradient is the convolution: dx = conv2d(dy, weight).

    dy (N, P, Q, K), x (N, H, W, C), weight (R, S, K // groups, C)
    -> dx like x, dweight like weight, dbias (K,); each None where it is not needed.
    """
    geometry: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    _, H, W, _ = x.shape
    _, dweight, _ = conv2d_backward(x, dy, weight, need_dx=False, **geometry)
    # An output padding of a stride and more leaves room for further windows, which had no pixel of x.
    dx = conv2d(dy, weight, **geometry)[:, :H, :W] if need_dx else None
    return dx, dweight if need_dweight else None, dy.sum(axis=(0, 1, 2)) if need_dbias else None
