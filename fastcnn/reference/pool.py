"""Max, average and global average pooling and their gradients."""

from __future__ import annotations

from itertools import product

import numpy as np

from ._types import Array, Integers, Padding, Pair, Sides
from ._window import pair, sides, window
from .activation import relu_backward

__all__ = ["adaptive_avg_pool2d", "adaptive_avg_pool2d_backward", "adaptive_max_pool2d", "adaptive_max_pool2d_backward",
           "avg_pool2d", "avg_pool2d_backward", "global_avg_pool2d", "global_avg_pool2d_backward", "global_max_pool2d",
           "global_max_pool2d_backward", "max_pool2d", "max_pool2d_backward"]


def max_pool2d(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    relu: bool = False,
) -> tuple[Array, Integers]:
    """Take the first maximum of every window in row-major order; NaN is larger than any number.

    x (N, H, W, C) -> y and argmax (N, P, Q, C); argmax (int32) is the position h * W + w in the image.
    Padding never wins: a window that meets no pixel at all gives -inf and argmax -1. `relu` gives max(y, 0).
    """
    N, H, W, C = x.shape
    R, S = pair(kernel_size)
    stride, dilation = pair(kernel_size if stride is None else stride), pair(dilation)
    rows, columns = sides(padding, (H, W), (R, S), stride, dilation)
    P = _output_size(H, rows, (R - 1) * dilation[0] + 1, stride[0], ceil_mode)
    Q = _output_size(W, columns, (S - 1) * dilation[1] + 1, stride[1], ceil_mode)
    border = _border(rows, columns, stride)
    padded = np.pad(x, border)
    positions = np.arange(H * W, dtype=np.int32).reshape(1, H, W, 1)
    padded_positions = np.pad(positions, border, constant_values=-1)

    y = np.full((N, P, Q, C), -np.inf, x.dtype)
    argmax = np.full((N, P, Q, C), -1, np.int32)
    for r, s in product(range(R), range(S)):
        value = window(padded, r * dilation[0], s * dilation[1], (P, Q), stride)
        position = window(padded_positions, r * dilation[0], s * dilation[1], (P, Q), stride)
        larger = (value > y) | (np.isnan(value) & ~np.isnan(y))
        wins = (position >= 0) & (larger | (argmax < 0))
        y = np.where(wins, value, y)
        argmax = np.where(wins, position, argmax)
    return np.maximum(y, 0) if relu else y, argmax


def max_pool2d_backward(
    dy: Array,
    argmax: Integers,
    x_shape: tuple[int, int, int, int],
    *,
    y: Array | None = None,
    kernel_size: Pair | None = None,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Add each gradient to the pixel that won its window.

    dy (N, P, Q, C), argmax (N, P, Q, C) -> dx of x_shape (N, H, W, C). y is what max_pool2d gave with relu,
    and None without; the window makes no difference.
    """
    dy = dy if y is None else relu_backward(dy, y)
    N, H, W, C = x_shape
    image, channel = np.arange(N).reshape(N, 1, 1, 1), np.arange(C)
    dx = np.zeros((N, H * W + 1, C), dy.dtype)  # the extra last position collects argmax -1
    np.add.at(dx, (image, argmax, channel), dy)
    return dx[:, :-1].reshape(x_shape)


def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Average every window; its padding counts as zeros or, without count_include_pad, not at all.

    x (N, H, W, C) -> y (N, P, Q, C).
    What ceil_mode lets a window reach beyond the padding is never counted.
    """
    N, H, W, C = x.shape
    R, S = pair(kernel_size)
    stride = pair(kernel_size if stride is None else stride)
    rows, columns = sides(padding, (H, W), (R, S), stride, 1)
    P = _output_size(H, rows, R, stride[0], ceil_mode)
    Q = _output_size(W, columns, S, stride[1], ceil_mode)
    padded = np.pad(x, _border(rows, columns, stride))

    total = np.zeros((N, P, Q, C), x.dtype)
    for r, s in product(range(R), range(S)):
        total += window(padded, r, s, (P, Q), stride)
    divisor = _divisor((H, W), (R, S), (P, Q), stride, (rows, columns), count_include_pad=count_include_pad)
    return total / divisor.astype(x.dtype)


def avg_pool2d_backward(
    dy: Array,
    x_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Give every pixel of a window an equal share of the window's gradient.

    dy (N, P, Q, C) -> dx of x_shape (N, H, W, C). ceil_mode is already visible in the shape of dy.
    """
    _, H, W, _ = x_shape
    _, P, Q, _ = dy.shape
    R, S = pair(kernel_size)
    stride = pair(kernel_size if stride is None else stride)
    rows, columns = sides(padding, (H, W), (R, S), stride, 1)
    divisor = _divisor((H, W), (R, S), (P, Q), stride, (rows, columns), count_include_pad=count_include_pad)
    share = dy / divisor.astype(dy.dtype)

    dpadded = np.pad(np.zeros(x_shape, dy.dtype), _border(rows, columns, stride))
    for r, s in product(range(R), range(S)):
        window(dpadded, r, s, (P, Q), stride)[...] += share
    return dpadded[:, rows[0] : rows[0] + H, columns[0] : columns[0] + W]


def global_avg_pool2d(x: Array) -> Array:
    """Average every image plane: x (N, H, W, C) -> y (N, C).

    Lin, Chen and Yan, "Network In Network", ICLR 2014, section 3.2.
    """
    y: Array = x.mean(axis=(1, 2))
    return y


def global_avg_pool2d_backward(dy: Array, x_shape: tuple[int, int, int, int]) -> Array:
    """Give every pixel an equal share of its plane's gradient: dy (N, C) -> dx of x_shape (N, H, W, C)."""
    _, H, W, _ = x_shape
    return np.broadcast_to(dy[:, np.newaxis, np.newaxis] / (H * W), x_shape).copy()


def _output_size(size: int, padding: tuple[int, int], extent: int, stride: int, ceil_mode: bool) -> int:
    """Return the number of windows; in ceil_mode the last may overhang, not start in the padding behind."""
    before, after = padding
    room = before + size + after - extent
    if not ceil_mode:
        return room // stride + 1
    outputs = -(-room // stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= before + size else outputs


def _border(
    rows: tuple[int, int], columns: tuple[int, int], stride: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return the padding of all four axes, with room for the overhang of ceil_mode (less than one stride)."""
    return [(0, 0), (rows[0], rows[1] + stride[0] - 1), (columns[0], columns[1] + stride[1] - 1), (0, 0)]


def _divisor(
    image: tuple[int, int],
    kernel: tuple[int, int],
    outputs: tuple[int, int],
    stride: tuple[int, int],
    padding: Sides,
    *,
    count_include_pad: bool,
) -> Integers:
    """Return how many elements of each window count, shape (1, P, Q, 1): pool an image of ones."""
    ones = np.ones((1, *image, 1), np.int64)
    with_padding = np.pad(ones, ((0, 0), *padding, (0, 0)), constant_values=count_include_pad)
    counted = np.pad(with_padding, _border((0, 0), (0, 0), stride))
    total = np.zeros((1, *outputs, 1), np.int64)
    for r, s in product(range(kernel[0]), range(kernel[1])):
        total += window(counted, r, s, outputs, stride)
    return total


def global_max_pool2d(x: Array) -> tuple[Array, Integers]:
    """Take the first maximum of every image plane: x (N, H, W, C) -> y and argmax (N, C), a position h * W + w."""
    y, argmax = adaptive_max_pool2d(x, 1)
    return y[:, 0, 0], argmax[:, 0, 0]


def global_max_pool2d_backward(dy: Array, argmax: Integers, x_shape: tuple[int, int, int, int]) -> Array:
    """Give each gradient to the pixel that won its plane: dy, argmax (N, C) -> dx of x_shape."""
    return max_pool2d_backward(dy[:, np.newaxis, np.newaxis], argmax[:, np.newaxis, np.newaxis], x_shape)


def adaptive_max_pool2d(x: Array, output_size: Pair) -> tuple[Array, Integers]:
    """Take the first maximum of each of P x Q parts: x (N, H, W, C) -> y and argmax (N, P, Q, C), as max_pool2d."""
    P, Q = pair(output_size)
    y, argmax = np.empty((x.shape[0], P, Q, x.shape[3]), x.dtype), np.empty((x.shape[0], P, Q, x.shape[3]), np.int32)
    for p, q in product(range(P), range(Q)):
        top, bottom, left, right = _part(x.shape[1], p, P) + _part(x.shape[2], q, Q)
        pixels = x[:, top:bottom, left:right].reshape(x.shape[0], -1, x.shape[3])
        first = pixels.argmax(axis=1)  # numpy too takes the first maximum, and NaN for the largest
        y[:, p, q] = np.take_along_axis(pixels, first[:, np.newaxis], axis=1)[:, 0]
        argmax[:, p, q] = (top + first // (right - left)) * x.shape[2] + left + first % (right - left)
    return y, argmax


def adaptive_max_pool2d_backward(dy: Array, argmax: Integers, x_shape: tuple[int, int, int, int]) -> Array:
    """Add each gradient to the pixel that won its part: dy, argmax (N, P, Q, C) -> dx of x_shape."""
    return max_pool2d_backward(dy, argmax, x_shape)


def adaptive_avg_pool2d(x: Array, output_size: Pair) -> Array:
    """Average each of P x Q parts that cover the image: x (N, H, W, C) -> y (N, P, Q, C)."""
    P, Q = pair(output_size)
    y = np.empty((x.shape[0], P, Q, x.shape[3]), x.dtype)
    for p, q in product(range(P), range(Q)):
        top, bottom, left, right = _part(x.shape[1], p, P) + _part(x.shape[2], q, Q)
        y[:, p, q] = x[:, top:bottom, left:right].mean(axis=(1, 2))
    return y


def adaptive_avg_pool2d_backward(dy: Array, x_shape: tuple[int, int, int, int]) -> Array:
    """Give every pixel of a part an equal share of the part's gradient: dy (N, P, Q, C) -> dx of x_shape."""
    _, P, Q, _ = dy.shape
    dx = np.zeros(x_shape, dy.dtype)
    for p, q in product(range(P), range(Q)):
        top, bottom, left, right = _part(x_shape[1], p, P) + _part(x_shape[2], q, Q)
        share = dy[:, p : p + 1, q : q + 1] / dy.dtype.type((bottom - top) * (right - left))
        dx[:, top:bottom, left:right] += share
    return dx


def _part(size: int, part: int, parts: int) -> tuple[int, int]:
    """Return where a part of an axis begins and ends: rounded outwards, so that parts may share a pixel."""
    return int(np.floor(size * part / parts)), int(np.ceil(size * (part + 1) / parts))
