"""Winograd convolution F(4x4, 3x3) and F(2x2, 5x5), stride 1: a quarter of the multiplications, or nine of twenty-five.

A block of outputs comes from a 6x6 block of inputs d and a filter g as A^T [(G g G^T) * (B^T d B)] A, with `*` element by
element (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.3). Summed over channels,
each of the 36 elements becomes a matrix product of (blocks, C) with (C, K) on the register tile. The gradient of the input
is the same convolution with the filter flipped and transposed, that of the filter G^T [sum of (B^T d B) * (A dy A^T)] G.

Both take polynomials at the same six points, 0, 1, -1, 2, -2 and infinity: B is one matrix, while G has as many columns as
the filter has taps, and A one for each output of a block, together seven. Compiled code tells the two apart by lengths of
tuples, which are part of their types: a condition on one leaves nothing to decide at run time.

Vectors run over channels. Inputs outside the image are loaded as zeros and outputs outside are not stored, so any height
and width will do, and nothing is copied beforehand. A transform takes the columns of a block and then the rows of what that
gives, which lies in the nearest cache in between: 36 vectors are more than the registers hold.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arguments import Epilogue, Floats, Geometry, Width, Workspace
from ..follow import follow
from ..jit.compile import inline_kernel, kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.scalar import unsigned
from ..vector.simd import lanes_copy_all, lanes_copy_padded, lanes_load, lanes_of, lanes_store, lanes_zero, where
from ..vector.strided import strided_load, strided_store
from ..vector.strips import pixels_at
from ..vector.tile import (
    LINE,
    rows_of,
    tile_load,
    tile_multiply_add,
    tile_prefetch,
    tile_store,
    tile_strided,
    tile_zeros,
)
from .products import copy_run

ELEMENTS = 36
POINTS = (0,) * 6  # a tuple of as many elements as points: its length is all that counts
GAP = 16  # a tile of inputs may reach so far into what follows
AHEAD = 2  # blocks: how far before its transform the pixels of one are asked for; memory takes as long as about two
STRIP = 4  # output blocks, or input channels of a filter, that are transformed at a time


class Bands(NamedTuple):
    """How output blocks are cut into bands, transformed and multiplied together: behind the window in its record."""

    lanes: int  # channels of a panel
    floats: int  # working memory of each worker
    band: int = 0  # output blocks of a band, whole tiles of them
    depth: int = 0  # of a weight gradient: input channels, whole tiles of them,
    chunks: int = 1  # partial sums of output blocks,
    parts: int = 1  # and tasks that share the panels


class Size(NamedTuple):
    """How large filters and blocks are: lengths of tuples, known when a kernel is compiled."""

    taps: Width  # 3 or 5 rows and columns of a filter,
    outputs: Width  # and 4 or 2 of a block


class Blocks(NamedTuple):
    """The output blocks of a window."""

    w: Any  # the window and its Bands, a record
    size: Size


class Walk(NamedTuple):
    """How the kernels with tiles go through a window."""

    geometry: Geometry  # the window and its Bands
    width: Width
    size: Size


class Stage(NamedTuple):
    """Output blocks that are transformed, multiplied and transformed back by a kernel each, and what lies in between."""

    first: int
    count: int
    columns: Floats  # a grid of their transformed inputs, C channels
    column_row: int  # distance of its rows
    products: Floats  # and one of products for each panel
    product_row: int


class Grid(NamedTuple):
    """Vectors in rows and columns: (i, j) begins at array[at + i * row + j * step].

    Blocks of 6x6 lie side by side, block t in the columns 6 t to 6 t + 5.
    """

    array: Floats
    at: int
    row: int
    step: int


class Image(NamedTuple):
    """One image: channel c of pixel (h, w) lies at array[at + (h * W + w) * C + c]."""

    array: Floats
    at: int
    H: int
    W: int
    C: int


@inline_kernel
def _input_column(d):
    """B^T d for a column of six."""
    d0, d1, d2, d3, d4, d5 = d
    even, odd, even2, odd2 = d4 - 4.0 * d2, d3 - 4.0 * d1, d4 - d2, 2.0 * (d3 - d1)
    return 4.0 * d0 - 5.0 * d2 + d4, even + odd, even - odd, even2 + odd2, even2 - odd2, 4.0 * d1 - 5.0 * d3 + d5


@inline_kernel
def _output_column(m, outputs):
    """A^T m for a column of six: as many numbers as `outputs` has elements."""
    m0, m1, m2, m3, m4, m5 = m
    sum1, difference1, sum2, difference2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    o0, o1 = m0 + sum1 + sum2, difference1 + 2.0 * difference2
    if len(outputs) == 2:
        return o0, o1 + m5
    return o0, o1, sum1 + 4.0 * sum2, difference1 + 8.0 * difference2 + m5


@inline_kernel
def _values(d):
    """What the polynomial with these coefficients, two to five, is at the six points: A d for as many outputs."""
    if len(d) == 2:
        even, odd, even4, odd2 = d[0], d[1], d[0], 2.0 * d[1]
    elif len(d) == 3:
        even, odd, even4, odd2 = d[0] + d[2], d[1], d[0] + 4.0 * d[2], 2.0 * d[1]
    elif len(d) == 4:
        even, odd, even4, odd2 = d[0] + d[2], d[1] + d[3], d[0] + 4.0 * d[2], 2.0 * d[1] + 8.0 * d[3]
    else:
        even, odd = d[0] + d[2] + d[4], d[1] + d[3]
        even4, odd2 = d[0] + 4.0 * d[2] + 16.0 * d[4], 2.0 * d[1] + 8.0 * d[3]
    return d[0], even + odd, even - odd, even4 + odd2, even4 - odd2, d[-1]


@inline_kernel
def _filter_column(g):
    """G g for a column of three or of five."""
    v0, v1, v2, v3, v4, v5 = _values(g)
    return (1 / 4) * v0, (-1 / 6) * v1, (-1 / 6) * v2, (1 / 24) * v3, (1 / 24) * v4, v5


@inline_kernel
def _filter_gradient_column(s, taps):
    """G^T s for a column of six: as many numbers as `taps` has elements."""
    s0, s1, s2, s3, s4, s5 = s
    sum1, difference1, sum2, difference2 = s1 + s2, s2 - s1, s3 + s4, s3 - s4
    g0 = (1 / 4) * s0 - (1 / 6) * sum1 + (1 / 24) * sum2
    g1, g2 = (1 / 6) * difference1 + (1 / 12) * difference2, (1 / 6) * (sum2 - sum1)
    if len(taps) == 3:
        return g0, g1, g2 + s5
    return g0, g1, g2, (1 / 6) * difference1 + (1 / 3) * difference2, (2 / 3) * sum2 - (1 / 6) * sum1 + s5


@inline_kernel
def _from(grid, i, j, channel):
    """The grid that begins with vector (i, j), at a channel of it."""
    return Grid(grid.array, grid.at + i * grid.row + j * grid.step + channel, grid.row, grid.step)


@inline_kernel
def _load(grid, j, count, like):
    """Column j of as many rows as `like` has elements."""
    return strided_load(grid.array, grid.at + j * grid.step, grid.row, count, like)


@inline_kernel
def _store(values, grid, i, count):
    """Write row i, one vector to each column."""
    strided_store(values, grid.array, grid.at + i * grid.row, grid.step, count)


@kernel
def _transform_block(pixels, half, target, count):
    """target = B^T d B for 6x6 pixels d, one vector of channels; the columns of B^T d become the rows of `half`."""
    lanes = lanes_of(half.array)
    for j in range(6):
        _store(_input_column(_load(pixels, j, count, POINTS)), half, j, lanes)
    for i in range(6):
        _store(_input_column(_load(half, i, lanes, POINTS)), target, i, count)


@kernel
def _clear(target):
    """A block of 36 vectors of zeros."""
    lanes = lanes_of(target.array)
    for i in range(ELEMENTS):
        lanes_store(lanes_zero(target.array), target.array, target.at + i * lanes, lanes)


@kernel
def _copy_pixels(size, image, h, column, c, target):
    """target = those of size x size pixels from (h, column) on that lie in the image, one vector of channels from c on.

    In place of the others are zeros already.
    """
    lanes, rest = lanes_of(target.array), image.C - c
    for i in range(max(0, -h), min(size, image.H - h)):
        at, to = image.at + ((h + i) * image.W + column) * image.C + c, target.at + 6 * i * lanes
        for j in range(max(0, -column), min(size, image.W - column)):
            if rest >= lanes:
                lanes_copy_all(target.array, to + j * lanes, image.array, at + j * image.C, lanes)
            else:
                lanes_copy_padded(target.array, to + j * lanes, image.array, at + j * image.C, rest)


@kernel
def _total(blocks):
    """Number of output blocks of all images."""
    w, edge = blocks.w, len(blocks.size.outputs)
    return w.N * ((w.P + edge - 1) // edge) * ((w.Q + edge - 1) // edge)


@kernel
def _position(blocks, number):
    """Image, row and column of the first output of a block."""
    w, edge = blocks.w, len(blocks.size.outputs)
    across = (w.Q + edge - 1) // edge
    n, in_image = divmod(number, (w.P + edge - 1) // edge * across)
    return n, in_image // across * edge, in_image % across * edge


@kernel
def _prefetch(image, h, column, channels, like):
    """Ask for the cache lines of a block of pixels from (h, column) on: as many rows and columns as `like` has elements."""
    for i in range(len(like)):
        pixels = pixels_at(image.at + ((h + i) * image.W + column) * image.C, image.C, like)
        for c in range(0, channels, LINE):
            tile_prefetch(image.array, pixels, c)


@kernel
def _transform_inputs(x, blocks, first, count, columns, work):
    """columns = B^T d B, all channels, for the output blocks first to first + count; `work` holds two blocks."""
    w, half, outputs = blocks.w, _from(work, 6, 0, 0), blocks.size.outputs
    overlap = 6 - len(outputs)
    for t in range(count):
        n, p, q = _position(blocks, first + min(t + AHEAD, count - 1))
        _prefetch(Image(x, n * w.H * w.W * w.C, w.H, w.W, w.C), p - w.top + overlap, q - w.left + overlap, w.C, outputs)
        n, p, q = _position(blocks, first + t)
        image, h, column = Image(x, n * w.H * w.W * w.C, w.H, w.W, w.C), p - w.top, q - w.left
        interior = 0 <= h <= w.H - 6 and 0 <= column <= w.W - 6
        if not interior:
            _clear(work)
        for c in range(0, w.C, lanes_of(x)):
            target = _from(columns, 0, 6 * t, c)
            if interior:
                pixels = Grid(x, image.at + (h * w.W + column) * w.C + c, w.W * w.C, w.C)
                _transform_block(pixels, half, target, w.C - c)
            else:
                _copy_pixels(6, image, h, column, c, work)
                _transform_block(work, half, target, w.C - c)


@kernel
def _product(columns, count, panels, panel, products, width):
    """products[t, k] = sum over c of columns[t, c] * filter[c, k]: one of the 36 elements, one panel of channels."""
    C, lanes = columns.step, len(width) * lanes_of(panels)
    for first in range(0, count, rows_of(width)):
        positions = tile_strided(columns.at + 6 * first * C, 6 * C, width)
        tile = tile_zeros(products.array, width)
        w = panel
        for c in range(C):
            tile = tile_multiply_add(tile, columns.array, positions, c, panels, w)
            w += lanes
        tile_store(tile, products.array, products.at + 6 * first * lanes, 6 * lanes)


@inline_kernel
def _store_pair(o0, o1, residual, lowest, pixels, columns, count):
    """Write two output pixels of a row, nothing below the lowest: so many columns there are, and channels in a vector.

    The residual may be empty; NaN is below nothing.
    """
    at, next_at = pixels.at, pixels.at + pixels.step
    count0, count1 = count if columns > 0 else 0, count if columns > 1 else 0
    if len(residual) > 0:
        o0, o1 = o0 + lanes_load(residual, at, count0), o1 + lanes_load(residual, next_at, count1)
    lanes_store(where(o0 < lowest, lowest, o0), pixels.array, at, count0)
    lanes_store(where(o1 < lowest, lowest, o1), pixels.array, next_at, count1)


@inline_kernel
def _store_outputs(outputs, shift, residual, lowest, pixels, columns, count):
    """Write a row of two or four output pixels; see `_store_pair`."""
    _store_pair(outputs[0] + shift, outputs[1] + shift, residual, lowest, pixels, columns, count)
    if len(outputs) == 4:
        _store_pair(outputs[2] + shift, outputs[3] + shift, residual, lowest, _from(pixels, 0, 2, 0), columns - 2, count)


@kernel
def _output_block(products, half, shift, residual, lowest, pixels, extent, outputs):
    """Output pixels A^T m A + shift + residual, for one vector of channels; see `_store_pair`.

    `extent` is the rows, columns and channels there are.
    """
    lanes = lanes_of(half.array)
    rows, columns, channels = extent
    for j in range(6):
        _store(_output_column(_load(products, j, lanes, POINTS), outputs), half, j, lanes)
    for i in range(len(outputs)):
        _store_outputs(_output_column(_load(half, i, lanes, POINTS), outputs), shift, residual, lowest,
                       _from(pixels, i, 0, 0), columns, channels if rows > i else 0)


@kernel
def _transform_outputs(blocks, first, count, k, products, epilogue, y, half):
    """y = A^T m A and the epilogue, for the output blocks first to first + count and one panel of channels from k on."""
    w, lanes, bias, outputs = blocks.w, lanes_of(y), epilogue.bias, blocks.size.outputs
    lowest = 0.0 if epilogue.relu else math.nan
    for t in range(count):
        n, p, q = _position(blocks, first + min(t + AHEAD, count - 1))
        _prefetch(Image(y, n * w.P * w.Q * w.K + k, w.P, w.Q, w.K), p, q, min(products.step, w.K - k), outputs)
        n, p, q = _position(blocks, first + t)
        for lane in range(0, min(products.step, w.K - k), lanes):
            channels = w.K - k - lane
            shift = lanes_load(bias, k + lane, channels if len(bias) > 0 else 0)
            pixels = Grid(y, ((n * w.P + p) * w.Q + q) * w.K + k + lane, w.Q * w.K, w.K)
            _output_block(_from(products, 0, 6 * t, lane), half, shift, epilogue.residual, lowest, pixels,
                          (w.P - p, w.Q - q, channels), outputs)


@parallel_kernel
def winograd_forward(x: Floats, panels: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Workspace, worker: int,
                     workers: int) -> None:
    """y = convolution of x with stride 1, and the epilogue; `panels` come from `winograd_filter`.

    A task transforms and multiplies a band of output blocks, which stay in the L2 cache.
    """
    w, floats = walk.geometry[0], workspace.floats
    blocks, vector, lanes = Blocks(w, walk.size), lanes_of(x), len(walk.width) * lanes_of(x)
    columns = Grid(floats, worker * w.floats, 6 * w.band * w.C, w.C)
    in_place = lanes == w.C and lanes >= w.K  # the only panel of products fits where its inputs were: half the cache
    behind = columns.at if in_place else columns.at + ELEMENTS * w.band * w.C
    products = Grid(floats, behind, 6 * w.band * lanes, lanes)
    work = Grid(floats, behind + ELEMENTS * w.band * lanes, 6 * vector, vector)
    distance = (w.K + lanes - 1) // lanes * lanes * w.C
    total = _total(blocks)
    task = next_task(workspace.counter)
    while task * w.band < total:
        first = task * w.band
        count = min(w.band, total - first)
        _transform_inputs(x, blocks, first, count, columns, work)
        for k in range(0, w.K, lanes):
            for e in range(ELEMENTS):
                _product(_from(columns, e // 6, e % 6, 0), count, panels, k * w.C + e * distance,
                         _from(products, e // 6, e % 6, 0), walk.width)
            _transform_outputs(blocks, first, count, k, products, epilogue, y, work)
        follow(y, epilogue.follower, total, 1, first, first + count)
        task = next_task(workspace.counter)


@parallel_kernel
def winograd_inputs(x: Floats, geometry: Geometry, size: Size, stage: Stage, workspace: Workspace, worker: int,
                    workers: int) -> None:
    """The stage's columns = B^T d B."""
    w, lanes = geometry[0], lanes_of(x)
    blocks = Blocks(w, size)
    columns = Grid(stage.columns, 0, stage.column_row, w.C)
    work = Grid(workspace.floats, worker * w.floats, 6 * lanes, lanes)
    task = next_task(workspace.counter) * STRIP
    while task < stage.count:
        count = min(STRIP, stage.count - task)
        _transform_inputs(x, blocks, stage.first + task, count, _from(columns, 0, 6 * task, 0), work)
        task = next_task(workspace.counter) * STRIP


@parallel_kernel
def winograd_products(panels: Floats, geometry: Geometry, width: Width, stage: Stage, workspace: Workspace, worker: int,
                      workers: int) -> None:
    """The stage's products = sum over c of columns[i, j, c] * panels[6 i + j, panel, c, k], for each panel."""
    w, lanes = geometry[0], len(width) * lanes_of(panels)
    blocks = (w.K + lanes - 1) // lanes
    columns = Grid(stage.columns, 0, stage.column_row, w.C)
    task = next_task(workspace.counter)
    while task < blocks * ELEMENTS:
        block, e = divmod(task, ELEMENTS)
        products = Grid(stage.products, block * 6 * stage.product_row, stage.product_row, lanes)
        _product(_from(columns, e // 6, e % 6, 0), stage.count, panels, (e * blocks + block) * w.C * lanes,
                 _from(products, e // 6, e % 6, 0), width)
        task = next_task(workspace.counter)


@parallel_kernel
def winograd_outputs(epilogue: Epilogue, y: Floats, geometry: Geometry, size: Size, stage: Stage, workspace: Workspace,
                     worker: int, workers: int) -> None:
    """y = A^T m A and the epilogue, for the stage's products m."""
    w, vector = geometry[0], lanes_of(y)
    blocks = Blocks(w, size)
    half = Grid(workspace.floats, worker * w.floats, 6 * vector, vector)
    task = next_task(workspace.counter) * STRIP
    while task < stage.count:
        count = min(STRIP, stage.count - task)
        for k in range(0, w.K, w.lanes):
            products = Grid(stage.products, k // w.lanes * 6 * stage.product_row, stage.product_row, w.lanes)
            _transform_outputs(blocks, stage.first + task, count, k, _from(products, 0, 6 * task, 0), epilogue, y, half)
        first = stage.first + task
        follow(y, epilogue.follower, _total(blocks), 1, first, first + count)
        task = next_task(workspace.counter) * STRIP


@kernel
def _transform_filter(g, half, target, count, taps):
    """target = G g G^T for one input channel and `count` output channels of a vector."""
    lanes = lanes_of(half.array)
    for s in range(len(taps)):
        _store(_filter_column(_load(g, s, count, taps)), half, s, lanes)
    for i in range(6):
        _store(_filter_column(_load(half, i, lanes, taps)), target, i, lanes)


@kernel
def _gather_filter(g, distance, count, target, taps):
    """target = a vector of `count` output channels, `distance` elements apart, for each element of g, then zeros."""
    lanes = lanes_of(target.array)
    for r in range(len(taps)):
        for s in range(len(taps)):
            tap = unsigned(g.at + r * g.row + s * g.step)
            to = unsigned(target.at + r * target.row + s * target.step)
            for k in range(unsigned(min(count, lanes))):
                target.array[to + k] = g.array[tap + k * unsigned(distance)]
            for k in range(unsigned(min(count, lanes)), unsigned(lanes)):
                target.array[to + k] = 0


@parallel_kernel
def winograd_filter(weight: Floats, layouts: Geometry, size: Size, panels: Floats, workspace: Workspace, worker: int,
                    workers: int) -> None:
    """Panels [e, panel, input channel, output channel] of G g G^T; `layouts` is a `products.Layout`.

    STRIP input channels of a panel are transformed in the caches and then copied, 36 long runs instead of single vectors.
    """
    layout, floats, lanes = layouts[0], workspace.floats, lanes_of(panels)
    depth, width, taps = layout.inputs, layout.width, size.taps
    blocks, strips = (layout.channels + width - 1) // width, (depth + STRIP - 1) // STRIP
    distance = STRIP * width + lanes
    gathered_size, half_size = len(taps) * len(taps) * lanes, len(taps) * 6 * lanes
    at = worker * (gathered_size + half_size + ELEMENTS * distance)
    gathered, half = Grid(floats, at, len(taps) * lanes, lanes), Grid(floats, at + gathered_size, 6 * lanes, lanes)
    strip = Grid(floats, half.at + half_size, 6 * distance, distance)
    task = next_task(workspace.counter)
    while task < blocks * strips:
        block, number = divmod(task, strips)
        first = number * STRIP
        count = min(STRIP, depth - first)
        for c in range(count):
            for k in range(block * width, block * width + width, lanes):
                g = Grid(weight, layout.start + (first + c) * layout.depth + k * layout.K, layout.R, layout.S)
                target, channels = _from(strip, 0, 0, c * width + k - block * width), max(0, layout.channels - k)
                if layout.K == 1:
                    _transform_filter(g, half, target, channels, taps)
                else:
                    _gather_filter(g, layout.K, channels, gathered, taps)
                    _transform_filter(gathered, half, target, lanes, taps)
        for e in range(ELEMENTS):
            copy_run(floats, strip.at + e * distance, panels, ((e * blocks + block) * depth + first) * width, count * width)
        task = next_task(workspace.counter)


@kernel
def _gradient_block(pixels, half, target, count, outputs):
    """target = A dy A^T for a block of pixels dy, `count` channels of a vector, then zeros."""
    lanes = lanes_of(half.array)
    for j in range(len(outputs)):
        _store(_values(_load(pixels, j, count, outputs)), half, j, lanes)
    for i in range(6):
        _store(_values(_load(half, i, lanes, outputs)), target, i, lanes)


@kernel
def _transform_gradients(dy, blocks, first, count, k, gradients, work):
    """gradients = A dy A^T for the output blocks first to first + count, one panel from k on; `work` holds two blocks."""
    w, outputs, half = blocks.w, blocks.size.outputs, _from(work, 6, 0, 0)
    edge = len(outputs)
    for t in range(count):
        n, p, q = _position(blocks, first + min(t + AHEAD, count - 1))
        _prefetch(Image(dy, n * w.P * w.Q * w.K + k, w.P, w.Q, w.K), p, q, min(gradients.step, w.K - k), outputs)
        n, p, q = _position(blocks, first + t)
        image, interior = Image(dy, n * w.P * w.Q * w.K, w.P, w.Q, w.K), p + edge <= w.P and q + edge <= w.Q
        if not interior:
            _clear(work)
        for lane in range(0, gradients.step, lanes_of(dy)):
            target = _from(gradients, 0, 6 * t, lane)
            if interior:
                pixels = Grid(dy, image.at + (p * w.Q + q) * w.K + k + lane, w.Q * w.K, w.K)
                _gradient_block(pixels, half, target, w.K - k - lane, outputs)
            else:
                _copy_pixels(edge, image, p, q, k + lane, work)
                _gradient_block(work, half, target, lanes_of(dy), outputs)


@kernel
def _correlations(columns, gradients, count, partial, start, width):
    """partial[e, c, k] += sum over t of columns[e, t, c] * gradients[e, t, k], for one panel of output channels.

    Both grids lie in one array: read from two, the sums of a tile leave their registers (measured: 1.2 times slower).
    """
    floats, C, lanes = columns.array, columns.step, len(width) * lanes_of(partial)
    for e in range(ELEMENTS):
        dy = gradients.at + e // 6 * gradients.row + e % 6 * lanes
        for c in range(0, C, rows_of(width)):
            tile = tile_load(partial, start, width)
            x = columns.at + e // 6 * columns.row + e % 6 * C + c
            for t in range(count):
                tile = tile_multiply_add(tile, floats, x, 6 * t * C, floats, dy + 6 * t * lanes)
            tile_store(tile, partial, start, lanes)
            start += rows_of(width) * lanes


@kernel
def _weight_task(x, dy, partial, walk, workspace, worker, task):
    """Sums over a chunk of output blocks, for a part of the output channels, whole panels of them."""
    w, floats = walk.geometry[0], workspace.floats
    blocks = Blocks(w, walk.size)
    vector, lanes, total = lanes_of(x), len(walk.width) * lanes_of(x), _total(blocks)
    panels, sums = (w.K + lanes - 1) // lanes, w.depth * ELEMENTS  # of an output channel
    chunk, part = divmod(task, w.parts)
    k_first, k_last = panels * part // w.parts * lanes, panels * (part + 1) // w.parts * lanes
    base = chunk * panels * lanes * sums
    for i in range(unsigned(base + k_first * sums), unsigned(base + k_last * sums)):
        partial[i] = 0
    columns = Grid(floats, worker * w.floats, 6 * w.band * w.C, w.C)
    gradients = Grid(floats, columns.at + ELEMENTS * w.band * w.C + GAP, 6 * w.band * lanes, lanes)
    work = Grid(floats, gradients.at + ELEMENTS * w.band * lanes, 6 * vector, vector)
    last = total * (chunk + 1) // w.chunks
    for first in range(total * chunk // w.chunks, last, w.band):
        count = min(w.band, last - first)
        _transform_inputs(x, blocks, first, count, columns, work)
        for k in range(k_first, k_last, lanes):
            _transform_gradients(dy, blocks, first, count, k, gradients, work)
            _correlations(columns, gradients, count, partial, base + k * sums, walk.width)


@parallel_kernel
def winograd_backward_weight(x: Floats, dy: Floats, partial: Floats, walk: Walk, workspace: Workspace, worker: int,
                             workers: int) -> None:
    """partial[chunk, panel, e, c, k] = sum over the chunk's output blocks; `winograd_filter_gradient` adds the chunks."""
    w = walk.geometry[0]
    task = next_task(workspace.counter)
    while task < w.chunks * w.parts:
        _weight_task(x, dy, partial, walk, workspace, worker, task)
        task = next_task(workspace.counter)


@kernel
def _sum_chunks(partial, start, distance, chunks, chunk_distance, target):
    """target = sum over chunks, in order, of one vector of partial sums for each element."""
    lanes = lanes_of(partial)
    for e in range(ELEMENTS):
        total = lanes_load(partial, start + e * distance, lanes)
        for chunk in range(1, chunks):
            total = total + lanes_load(partial, start + e * distance + chunk * chunk_distance, lanes)
        lanes_store(total, target.array, target.at + e * lanes, lanes)


@kernel
def _transform_sums(sums, half, target, count, taps):
    """target = G^T S G for one input channel and `count` output channels of a vector."""
    lanes = lanes_of(half.array)
    for j in range(6):
        _store(_filter_gradient_column(_load(sums, j, lanes, POINTS), taps), half, j, lanes)
    for i in range(len(taps)):
        _store(_filter_gradient_column(_load(half, i, lanes, POINTS), taps), target, i, count)


@parallel_kernel
def winograd_filter_gradient(partial: Floats, dw: Floats, geometry: Geometry, size: Size, workspace: Workspace, worker: int,
                             workers: int) -> None:
    """dw[r, s, c, k] = G^T S G for the sums S over all chunks."""
    w, lanes, taps = geometry[0], lanes_of(partial), size.taps
    chunk_distance = ELEMENTS * w.depth * ((w.K + w.lanes - 1) // w.lanes * w.lanes)
    sums = Grid(workspace.floats, worker * w.floats, 6 * lanes, lanes)
    for c in range(worker, w.C, workers):
        for k in range(0, w.K, lanes):
            panel = k // w.lanes * w.lanes
            start = panel * w.depth * ELEMENTS + c * w.lanes + k - panel
            _sum_chunks(partial, start, w.depth * w.lanes, w.chunks, chunk_distance, sums)
            target = Grid(dw, c * w.K + k, len(taps) * w.C * w.K, w.C * w.K)
            _transform_sums(sums, _from(sums, 6, 0, 0), target, w.K - k, taps)
