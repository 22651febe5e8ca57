"""What convolution and linear layers share: widths of tiles, packed weights, and sums over rows."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from ...kernels import arithmetic
from ...kernels.conv import products as kernels
from ...kernels.jit import threads
from ...kernels.vector import simd
from ...runtime import buffers, packed
from ...shapes import Window
from .. import arrays

GRAIN = 1 << 20  # multiply-adds that are worth another thread
# Speed of tiles of one to four vectors, in units of the fastest (measured).
_SPEED = {1: 0.80, 2: 0.93, 3: 0.98, 4: 1.0}


class Layout(NamedTuple):
    """Where the elements of a filter lie: first element and distances (see `kernels.conv.products.pack_panels`)."""

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


@functools.lru_cache(maxsize=1024)
def width_for(channels: int, itemsize: int) -> tuple[int, ...]:
    """The tile width for so many output channels: a tuple with an element for each vector, its lanes."""
    lanes = simd.VECTOR_BYTES // itemsize
    vectors = min(simd.ROWS, key=lambda count: round_up(channels, count * lanes) / _SPEED[count])
    return (lanes,) * vectors


def add_to(y: np.ndarray, addend: np.ndarray, relu: bool = False) -> None:
    """Add a flat array, which may be empty, to y where it lies, and replace y by max(y, 0) with `relu`."""
    if len(addend):
        flat = y.reshape(-1)
        arithmetic.add(flat, addend, bool(relu), flat, threads.workers(y.size))


@dataclasses.dataclass(frozen=True, eq=False)
class Packing:
    """How a filter becomes panels."""

    layout: np.ndarray  # a record
    R: int
    S: int
    depth: int
    width: int
    size: int


def packing(layout: Layout, R: int, S: int, depth: int, width: int) -> Packing:
    """How a filter with R x S taps of `depth` inputs each becomes panels of `width` channels."""
    size = layout.groups * round_up(layout.channels, width) * R * S * depth
    return Packing(arrays.record(layout), R, S, depth, width, size)


def pack(weight: np.ndarray, p: Packing) -> np.ndarray:
    """Panels of a filter for `kernels.conv.products.multiply`: see `packed.form`."""

    def write(panels: np.ndarray) -> None:
        kernels.pack_panels(weight.ravel(), p.layout, p.R, p.S, p.depth, p.width, panels, threads.workers(p.size))

    return packed.form(weight, "panels", p, p.size, write)


@functools.lru_cache(maxsize=1024)
def _sums(rows: int, channels: int) -> tuple[int, int, int]:
    """How many rows are added side by side and how many chunks apart, and how many sums that makes."""
    fold = min(max(1, 64 // channels), rows)
    chunks = max(1, min(32, rows // 64))
    return fold, chunks, chunks * fold * channels


def column_sums(dy: np.ndarray, sums: np.ndarray) -> None:
    """Write the sum of dy over all axes but the last to sums (channels,), in an order that depends on the shape alone."""
    channels = sums.size
    rows = dy.size // channels
    fold, chunks, size = _sums(rows, channels)
    partial = sums if size == channels else buffers.workspace("sums", size, dy.dtype)
    kernels.sum_rows(dy.ravel(), rows, channels, fold, chunks, partial, threads.workers(dy.size))
    if partial is not sums:
        np.add.reduce(partial[:size].reshape(-1, channels), axis=0, out=sums)
