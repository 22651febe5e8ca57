"""What convolution and linear layers share: widths of tiles, packed weights, and sums over rows."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..kernels import matmul, simd, threads
from ..shapes import Window
from . import arrays, prepared

GRAIN = 1 << 20  # multiply-adds that are worth another thread
# Speed of tiles of one to four vectors, in units of the fastest (measured).
_SPEED = {1: 0.80, 2: 0.93, 3: 0.98, 4: 1.0}


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


@functools.lru_cache(maxsize=1024)
def width_for(channels: int, itemsize: int) -> tuple[int, ...]:
    """The tile width for so many output channels: a tuple with an element for each vector, its lanes."""
    lanes = simd.VECTOR_BYTES // itemsize
    vectors = min(simd.ROWS, key=lambda count: round_up(channels, count * lanes) / _SPEED[count])
    return (lanes,) * vectors


def pack(weight: np.ndarray, layout: Layout, R: int, S: int, depth: int, width: int) -> np.ndarray:
    """Panels of a filter with R x S taps of `depth` inputs each, for `kernels.matmul.multiply`: see `prepared.form`."""
    size = layout.groups * round_up(layout.channels, width) * R * S * depth

    def write(panels: np.ndarray) -> None:
        matmul.pack_panels(weight.reshape(-1), arrays.record(layout), R, S, depth, width, panels, threads.workers(size))

    return prepared.form(weight, "panels", (layout, R, S, depth, width), size, write)


def padded_bias(bias: np.ndarray, channels: int, groups: int, width: int) -> np.ndarray:
    """A bias with the zeros that fill up the panels of each group; an empty one means zeros."""
    if bias.size == 0:
        return _zeros(groups * round_up(channels, width), bias.dtype)
    if channels % width == 0:
        return bias

    def write(padded: np.ndarray) -> None:
        rows = padded.reshape(groups, -1)
        rows[:, :channels] = bias.reshape(groups, channels)
        rows[:, channels:] = 0

    return prepared.form(bias, "bias", (groups, width), groups * round_up(channels, width), write)


@functools.lru_cache(maxsize=256)
def _zeros(size: int, dtype: np.dtype) -> np.ndarray:
    return np.zeros(size, dtype)


def column_sums(dy: np.ndarray, channels: int) -> np.ndarray:
    """Sum of dy over all axes but the last (channels,), in an order that depends on the shape alone."""
    rows = dy.size // channels
    fold = max(1, 64 // channels)
    chunks = max(1, min(32, rows // 64))
    partial = arrays.empty((chunks * fold, channels), dy.dtype)
    matmul.sum_rows(dy.reshape(-1), rows, channels, fold, chunks, partial.reshape(-1), threads.workers(dy.size))
    return partial.sum(axis=0)
