"""What convolution and linear layers share: widths of tiles, packed weights, and sums over rows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable

import numpy as np

from ...kernels import arithmetic
from ...kernels.arguments import Epilogue, Floats, Integers, Width
from ...kernels.conv import products as kernels
from ...kernels.conv.products import Layout
from ...kernels.jit import threads
from ...kernels.kinds import KIND
from ...kernels.vector import simd
from ...runtime import buffers, packed
from .. import arrays


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below `value`."""
    return -(-value // multiple) * multiple


def tile_for(channels: int) -> tuple[int, int, float]:
    """Vectors, rows, and share of the best speed, of the tile for so many output channels in float32."""
    vectors = len(width_for(channels, 4))
    return vectors, KIND.rows[vectors], KIND.speeds[vectors]


@functools.lru_cache(maxsize=1024)
def width_for(channels: int, itemsize: int) -> Width:
    """The tile width for so many output channels: a tuple with an element for each vector, its lanes."""
    lanes = simd.VECTOR_BYTES // itemsize
    vectors = min(KIND.rows, key=lambda count: round_up(channels, count * lanes) / KIND.speeds[count])
    return (lanes,) * vectors


def finish(y: np.ndarray, epilogue: Epilogue) -> None:
    """Add a flat residual, which may be empty, to y where it lies, and replace y by max(y, 0) with ReLU."""
    if len(epilogue.residual):
        flat = y.reshape(-1)
        arithmetic.add(flat, epilogue.residual, epilogue.relu, flat, threads.workers(y.size))


@dataclasses.dataclass(frozen=True, eq=False)
class Packing:
    """How a filter becomes panels."""

    layout: np.ndarray  # a record
    size: int  # elements of all panels


def packing(layout: Layout) -> Packing:
    """How a filter of this layout becomes panels."""
    size = layout.groups * round_up(layout.channels, layout.width) * layout.rows * layout.columns * layout.inputs
    return Packing(arrays.record(layout), size)


def pack(weight: Floats, p: Packing) -> Floats:
    """Panels of a filter for `kernels.conv.products.multiply`: see `packed.form`."""

    def write(panels: np.ndarray) -> None:
        kernels.pack_panels(weight.ravel(), p.layout, panels, threads.workers(p.size))

    return packed.form(weight, "panels", p, p.size, write)


def picked(weight: Floats, key: Hashable, index: Integers) -> Floats:
    """Panels of a filter's elements at these places, zeros where an index is negative: see `packed.form`."""

    def write(panels: np.ndarray) -> None:
        kernels.pick(weight.ravel(), index, panels, threads.workers(index.size))

    return packed.form(weight, "panels", key, index.size, write)


def room_for_sums(chunks: int, sums: np.ndarray) -> np.ndarray:
    """Working memory for so many arrays of the size of `sums`."""
    size = chunks * sums.size
    return buffers.workspace("sums", size, sums.dtype)[:size]


def add_sums(parts: np.ndarray, sums: np.ndarray) -> None:
    """Write what parts of the size of `sums` come to, added in order, to sums; nothing where it is empty."""
    if sums.size:
        kernels.sum_rows(parts, parts.size // sums.size, sums.size, 1, 1, sums, 1)


@functools.lru_cache(maxsize=1024)
def _sums(rows: int, channels: int) -> tuple[int, int, int]:
    """How many rows are added side by side and how many chunks apart, and how many sums that makes."""
    fold = min(max(1, 64 // channels), rows)
    chunks = max(1, min(32, rows // 64))
    return fold, chunks, chunks * fold * channels


def column_sums(dy: np.ndarray, sums: np.ndarray) -> None:
    """Write the sum of dy over all axes but the last to sums (channels,), in an order that depends on the shape alone.

    Nothing where `sums` is empty.
    """
    if not (channels := sums.size):
        return
    rows = dy.size // channels
    fold, chunks, size = _sums(rows, channels)
    partial = sums if size == channels else room_for_sums(size // channels, sums)
    kernels.sum_rows(dy.ravel(), rows, channels, fold, chunks, partial, threads.workers(dy.size))
    if partial is not sums:
        add_sums(partial, sums)
