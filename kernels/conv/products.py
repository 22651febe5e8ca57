"""The two products that convolution and linear layers are made of, on the register tile.

`multiply` makes output pixels: rows of a tile are pixels, lanes are output channels, the sum runs over the filter.
`correlate` makes weight gradients: rows are the weights of an output channel, lanes are output channels, the sum runs over
pixels. Both read weights or gradients from panels, matrices of as many channels as a tile has lanes, padded with zeros:
`width` is a tuple with an element for each vector of a tile, and chooses among tiles of one to four vectors.

Each sum is taken in one order that depends on the shape alone.
"""

from __future__ import annotations

from typing import NamedTuple

from ..arguments import Floats, Geometry, Integers, Width
from ..jit.compile import kernel, parallel_kernel, share
from ..vector.scalar import unsigned
from ..vector.simd import lanes_add, lanes_copy, lanes_copy_all, lanes_copy_padded, lanes_of, lanes_store, lanes_zero
from ..vector.strided import square_transpose
from ..vector.tile import (
    LINE,
    row_copy,
    rows_of,
    tile_load,
    tile_multiply_add,
    tile_positions,
    tile_prefetch,
    tile_rows,
    tile_scatter,
    tile_store,
)


class Inputs(NamedTuple):
    """Where output pixels find their inputs: pixel i and filter element d meet in x[positions[i] + offsets[d]]."""

    x: Floats
    positions: Integers  # for whole tiles of pixels
    offsets: Integers
    fresh: bool  # whether each tile reads other inputs than the one before, which are then prefetched


class Pixels(NamedTuple):
    """Input pixels in rows and columns: pixel (row, column) begins at x[origins[row] + column * step]."""

    x: Floats
    origins: Integers
    rows: int
    columns: int
    step: int


class Walk(NamedTuple):
    """How the kernels of a convolution on the register tile go through its window."""

    geometry: Geometry  # the window, and the numbers of the kernel that is meant
    offsets: Integers  # of filter elements: see `Inputs`
    width: Width


class Chunked(NamedTuple):
    """Sums of weight gradients over chunks of pixels, each taken apart."""

    chunks: int
    weights: int  # of an output channel,
    rows: int  # the same in whole tiles
    K: int  # output channels
    groups: int


class Kept(NamedTuple):
    """Sums of tiles that are kept, tile after tile, while the products go on with other input channels."""

    sums: Floats
    start: int
    begin: bool  # whether sums begin with the bias, rather than with those that were kept
    end: bool  # whether they go to the target, rather than being kept


class Layout(NamedTuple):
    """Where the elements of a filter lie, and the panels to be made of it.

    Element (r, s, d, k) of group g lies at start + g * group + r * R + s * S + d * depth + k * K.
    """

    start: int
    group: int
    R: int
    S: int
    depth: int
    K: int
    channels: int  # output channels of a group
    groups: int
    rows: int = 1  # of the filter,
    columns: int = 1
    inputs: int = 1  # and input channels of a group,
    depth_of_part: int = 1  # and of a part of it
    width: int = 1  # channels of a panel


@kernel
def multiply(inputs, pixels, panels, panel, epilogue, target, kept, width):
    """y[i, k] = sum over d of x[positions[i] + offsets[d]] * w[d, k], and the epilogue, for one panel of channels k.

    The panel of w begins at panels[panel]. The bias of its first channel lies at bias[target.channel].
    """
    step, rows, offsets = len(width) * lanes_of(panels), rows_of(width), inputs.offsets
    channels = target.channels if len(epilogue.bias) > 0 else 0
    for first in range(0, pixels, rows):
        positions = tile_positions(inputs.positions, first, width)
        following = tile_positions(inputs.positions, min(first + rows, pixels - 1), width)
        if kept.begin:
            tile = tile_rows(epilogue.bias, target.channel, channels, width)
        else:
            tile = tile_load(kept.sums, kept.start + first * step, width)
        w = panel
        for d in range(0, len(offsets), LINE):
            if inputs.fresh:
                tile_prefetch(inputs.x, following, offsets[d])
            for i in range(unsigned(d), unsigned(min(d + LINE, len(offsets)))):
                tile = tile_multiply_add(tile, inputs.x, positions, offsets[i], panels, w)
                w += step
        if kept.end:
            tile_scatter(tile, target, first, pixels - first, epilogue)
        else:
            tile_store(tile, kept.sums, kept.start + first * step, step)


@kernel
def correlate(pixels, offsets, weights, panel, partial, start, width):
    """partial[d, k] += sum over pixels of x[pixel + offsets[d]] * dy[pixel, k].

    `offsets` and `partial`, from `start` on, hold whole tiles of weights d; one panel of dy begins at panel[0].
    """
    lanes = len(width) * lanes_of(panel)
    for d in range(0, weights, rows_of(width)):
        positions = tile_positions(offsets, d, width)
        tile = tile_load(partial, start + d * lanes, width)
        dy = 0
        for row in range(pixels.rows):
            at = pixels.origins[row]
            for _ in range(pixels.columns):
                tile = tile_multiply_add(tile, pixels.x, positions, at, panel, dy)
                at += pixels.step
                dy += lanes
        tile_store(tile, partial, start + d * lanes, lanes)


@kernel
def copy_run(x, source, target, start, count):
    """target[start : start + count] = x[source : source + count], one vector at a time."""
    lanes = lanes_of(x)
    whole = count // lanes * lanes
    for i in range(0, whole, lanes):
        lanes_copy_all(target, start + i, x, source + i, lanes)
    if whole < count:
        lanes_copy(target, start + whole, x, source + whole, count - whole)


@kernel
def copy_run_padded(x, source, target, start, count):
    """The same in whole vectors: zeros follow what is copied, up to a whole one."""
    lanes = lanes_of(x)
    whole = count // lanes * lanes
    for i in range(0, whole, lanes):
        lanes_copy_all(target, start + i, x, source + i, lanes)
    if whole < count:
        lanes_copy_padded(target, start + whole, x, source + whole, count - whole)


@kernel
def zero(target, start, count):
    """target[start : start + count] = 0."""
    for i in range(unsigned(start), unsigned(start + count)):
        target[i] = 0


@kernel
def zero_run(target, start, count):
    """target[start : start + count] = 0, and more up to a whole vector."""
    lanes = lanes_of(target)
    for i in range(start, start + count, lanes):
        lanes_store(lanes_zero(target), target, i, lanes)


@kernel
def add_columns(dy, source, step, rows, count, sums, start):
    """sums[start + k] += dy[source + row * step + k], for so many rows and k: every fourth row, then these four sums."""
    whole = rows // 4 * 4
    for k in range(0, count, lanes_of(dy)):
        rest, at, last = count - k, source + k, source + k + whole * step
        first, second, third, fourth = lanes_zero(dy), lanes_zero(dy), lanes_zero(dy), lanes_zero(dy)
        while at < last:
            first = lanes_add(first, dy, at, rest)
            second = lanes_add(second, dy, at + step, rest)
            third = lanes_add(third, dy, at + 2 * step, rest)
            fourth = lanes_add(fourth, dy, at + 3 * step, rest)
            at += 4 * step
        for _ in range(rows - whole):
            first = lanes_add(first, dy, at, rest)
            at += step
        lanes_store(lanes_add((first + second) + (third + fourth), sums, start + k, rest), sums, start + k, rest)


@kernel
def pack_gradients(dy, source, step, pixels, channels, panels, panel, width):
    """panels[panel + k // lanes * pixels * lanes + pixel * lanes + k % lanes] = dy[source + pixel * step + k]."""
    lanes = len(width) * lanes_of(dy)
    whole = channels // lanes * lanes
    for pixel in range(pixels):
        target = panel + pixel * lanes
        for k in range(0, whole, lanes):
            row_copy(panels, target, dy, source + k, width)
            target += pixels * lanes
        if whole < channels:
            for k in range(0, lanes, lanes_of(dy)):
                lanes_copy_padded(panels, target + k, dy, source + whole + k, channels - whole - k)
        source += step


@kernel
def pack_rows(w, source, step, rows, count, panels, start, width):
    """panels[start + row * width + k] = w[source + row * step + k] for k below `count`, then zeros up to `width`."""
    lanes = lanes_of(panels)
    whole = min(count, width) // lanes * lanes
    for _ in range(rows):
        for k in range(0, whole, lanes):
            lanes_copy_all(panels, start + k, w, source + k, lanes)
        for k in range(whole, width, lanes):
            lanes_copy_padded(panels, start + k, w, source + k, count - k)
        source += step
        start += width


@kernel
def _pack_transposed(w, layout, source, panels, start, count):
    """panels[start + d * width + k] = w[source + d * layout.depth + k * layout.K] for `count` channels, then zeros.

    Whole squares of vectors where elements d lie side by side, which they do in every filter, and the rest one by one.
    """
    inputs, width, lanes = layout.depth_of_part, layout.width, lanes_of(panels)
    squares = inputs // lanes * lanes if layout.depth == 1 else 0
    for k in range(0, width, lanes):
        whole = squares if k + lanes <= count else 0
        at, target = source + k * layout.K, start + k
        for d in range(0, whole, lanes):
            square_transpose(panels, target + d * width, width, w, at + d, layout.K)
        for d in range(whole, inputs):
            for lane in range(lanes):
                value = w[at + d * layout.depth + lane * layout.K] if k + lane < count else 0
                panels[target + d * width + lane] = value


@kernel
def _pack_panel(w, layout, source, panels, start, count):
    """One panel: panels[start + ((r * S + s) * inputs + d) * width + k] = w[r, s, d, k] for `count` channels, then zeros.

    Such an array follows the other for each part of the input channels.
    """
    inputs = layout.depth_of_part
    for first in range(0, layout.inputs, inputs):
        for r in range(layout.rows):
            for s in range(layout.columns):
                tap = source + r * layout.R + s * layout.S + first * layout.depth
                if layout.K == 1:
                    pack_rows(w, tap, layout.depth, inputs, count, panels, start, layout.width)
                else:
                    _pack_transposed(w, layout, tap, panels, start, count)
                start += inputs * layout.width


@parallel_kernel
def pack_panels(w: Floats, layouts: Geometry, panels: Floats, worker: int, workers: int) -> None:
    """Panels of a filter for `multiply`: w[r, s, d, k] of each group, `width` channels at a time; `layouts` is a Layout."""
    layout = layouts[0]
    blocks = (layout.channels + layout.width - 1) // layout.width
    size = layout.rows * layout.columns * layout.inputs * layout.width
    for task in range(worker, layout.groups * blocks, workers):
        group, block = divmod(task, blocks)
        k = block * layout.width
        source = layout.start + group * layout.group + k * layout.K
        _pack_panel(w, layout, source, panels, task * size, min(layout.channels - k, layout.width))


@parallel_kernel
def pick(w: Floats, index: Integers, panels: Floats, worker: int, workers: int) -> None:
    """panels[i] = w[index[i]], or 0 where the index is negative."""
    start, stop = share(len(panels), worker, workers)
    for i in range(unsigned(start), unsigned(stop)):
        panels[i] = w[unsigned(index[i])] if index[i] >= 0 else 0


@kernel
def _sum_panels(partial, start, distance, chunks, panel, channels, dw, target):
    """dw[target + k] = sum over chunks, in order, of one weight's row in the panels; a panel is (rows, lanes) elements."""
    rows, lanes = panel
    for k in range(0, channels, lanes):
        wanted, to, at = unsigned(min(lanes, channels - k)), unsigned(target + k), unsigned(start + k * rows)
        for lane in range(wanted):
            dw[to + lane] = partial[at + lane]
        for _ in range(1, chunks):
            at += unsigned(distance)
            for lane in range(wanted):
                dw[to + lane] += partial[at + lane]


@parallel_kernel
def sum_chunks(partial: Floats, chunked: Geometry, width: Width, dw: Floats, worker: int, workers: int) -> None:
    """dw[d, group, k] = sum over chunks, in order, of partial[chunk, group, panel, d, k]; the record is a Chunked."""
    w = chunked[0]
    lanes, channels = len(width) * lanes_of(partial), w.K // w.groups
    group_size = (channels + lanes - 1) // lanes * lanes * w.rows
    for d in range(worker, w.weights, workers):
        for group in range(w.groups):
            _sum_panels(partial, group * group_size + d * lanes, w.groups * group_size, w.chunks, (w.rows, lanes), channels,
                        dw, (d * w.groups + group) * channels)


@kernel
def _sum_rows(dy, first, last, channels, fold, partial, start):
    """partial[start + i] = sum of every `fold`-th of the rows first to last; i runs over `fold` rows side by side."""
    width = fold * channels
    sums = unsigned(start)
    for i in range(unsigned(width)):
        partial[sums + i] = 0
    for row in range(first, last, fold):
        source = unsigned(row * channels)
        for i in range(unsigned(min(width, (last - row) * channels))):
            partial[sums + i] += dy[source + i]


@parallel_kernel
def sum_rows(dy: Floats, rows: int, channels: int, fold: int, chunks: int, partial: Floats, worker: int,
             workers: int) -> None:
    """partial[chunk, f, k] = sum over the chunk's rows of dy (rows, channels), `fold` rows side by side for long vectors."""
    for chunk in range(worker, chunks, workers):
        _sum_rows(dy, rows * chunk // chunks, rows * (chunk + 1) // chunks, channels, fold,
                  partial, chunk * fold * channels)
