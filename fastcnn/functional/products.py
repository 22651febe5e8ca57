"""What convolution and linear layers share: packed weights, matrix products of rows, and their gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels import linear as kernels
from ..kernels import matmul, simd, threads
from ..shapes import Window
from . import arrays

GRAIN = 1 << 20  # multiply-adds that are worth another thread
NO_TAP_OFFSET = np.zeros(1, np.int64)


class Layout(NamedTuple):
    """Where the elements of a filter lie: first element and distances (see `kernels.matmul.pack_panels`)."""

    start: int
    group: int
    R: int
    S: int
    depth: int
    K: int
    channels: int
    groups: int


def multiply_adds(w: Window) -> int:
    """Multiply-adds of a convolution, done directly."""
    return w.N * w.P * w.Q * w.K * w.R * w.S * w.C // w.groups


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below `value`."""
    return -(-value // multiple) * multiple


def lanes(x: np.ndarray) -> int:
    """Elements of x's dtype in one vector register."""
    return simd.VECTOR_BYTES // x.itemsize


def pack(weight: np.ndarray, layout: Layout, R: int, S: int, depth: int, bias: np.ndarray) -> np.ndarray:
    """Panels of a filter with R x S taps of `depth` inputs each, for `kernels.matmul.multiply`, until the next call."""
    rows = R * S * depth + 1
    size = layout.groups * round_up(layout.channels, lanes(weight)) * rows
    panels = arrays.scratch("panels", size, weight.dtype)[:size]
    matmul.pack_panels(weight.reshape(-1), arrays.record(layout), R, S, depth, bias, panels, threads.workers(panels.size))
    return panels


def rows_times_panels(x: np.ndarray, depth: int, panels: np.ndarray, y: np.ndarray, channels: int) -> None:
    """y = x @ weight + bias for x seen as rows of `depth` and y as rows of `channels`."""
    rows = x.size // depth
    workers = threads.workers(rows * depth * channels, GRAIN)
    blocks, columns = -(-rows // kernels.BLOCK), -(-channels // (simd.VECTORS * lanes(x)))
    parts = min(columns, -(-2 * workers // blocks))
    kernels.linear_forward(x.reshape(-1), rows, NO_TAP_OFFSET, depth, panels, y.reshape(-1), channels, parts,
                           arrays.scratch("linear_tail", workers * simd.ROWS * depth, x.dtype), workers)


def rows_times_rows(x: np.ndarray, depth: int, dy: np.ndarray, channels: int, dweight: np.ndarray) -> None:
    """dweight (depth, channels) = x^T @ dy for x seen as rows of `depth` and dy as rows of `channels`."""
    rows = x.size // depth
    padded = round_up(depth, simd.ROWS)
    size = padded * round_up(channels, lanes(x))
    blocks = -(-channels // (simd.VECTORS * lanes(x)))
    chunks = max(1, min(rows // 256, 32, 2 * 1024 * 1024 // (size * x.itemsize)))
    parts = max(1, min(padded // simd.ROWS // 4, 32 // (blocks * chunks)))
    extent = round_up(-(-padded // parts), simd.ROWS)
    partial = arrays.empty((chunks * size,), x.dtype)
    workers = threads.workers(rows * depth * channels, GRAIN)
    room = padded + kernels.BLOCK * simd.VECTORS * lanes(x)
    scratch = arrays.scratch("linear", workers * room, x.dtype)[:workers * room]
    kernels.linear_backward_weight(x.reshape(-1), rows, NO_TAP_OFFSET, depth, extent, dy.reshape(-1), channels, chunks,
                                   partial, scratch, workers)
    matmul.sum_chunks(partial, chunks, 1, 1, depth, padded, channels, dweight.reshape(-1), threads.workers(chunks * size))


def column_sums(dy: np.ndarray, channels: int) -> np.ndarray:
    """Sum of dy over all axes but the last (channels,), in an order that depends on the shape alone."""
    rows = dy.size // channels
    fold = max(1, 64 // channels)
    chunks = max(1, min(32, rows // 64))
    partial = arrays.empty((chunks * fold, channels), dy.dtype)
    matmul.sum_rows(dy.reshape(-1), rows, channels, fold, chunks, partial.reshape(-1), threads.workers(dy.size))
    return partial.sum(axis=0)
