"""Winograd convolution F(4x4, 3x3): a 3x3 filter with stride 1 in a quarter of the multiplications.

A 4x4 block of outputs comes from a 6x6 block of inputs d and a filter g as A^T [(G g G^T) * (B^T d B)] A, with `*` element
by element (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.3). Summed over channels,
each of the 36 elements becomes a matrix product of (blocks, C) with (C, K) on the register tile. The gradient of the input
is the same convolution with the filter flipped and transposed, that of the filter G^T [sum of (B^T d B) * (A dy A^T)] G.

Vectors run over channels. Inputs outside the image are loaded as zeros and outputs outside are not stored, so any height
and width will do, and nothing is copied beforehand. A transform takes the columns of a block and then the rows of what that
gives, which lies in the nearest cache in between: 36 vectors are more than the registers hold.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..arguments import Epilogue, Floats, Geometry, Width, Workspace
from ..jit.compile import inline_kernel, kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.scalar import unsigned
from ..vector.simd import lanes_load, lanes_of, lanes_store, where
from ..vector.tile import rows_of, tile_load, tile_multiply_add, tile_store, tile_strided, tile_zeros
from .products import copy_run

ELEMENTS = 36
GAP = 16  # a tile of inputs may reach so far into what follows
STRIP = 4  # output blocks, or input channels of a filter, that are transformed at a time


class Bands(NamedTuple):
    """How output blocks are cut into bands, transformed and multiplied together: behind the window in its record."""

    lanes: int  # channels of a panel
    floats: int  # working memory of each worker
    band: int = 0  # output blocks of a band, whole tiles of them
    depth: int = 0  # of a weight gradient: input channels, whole tiles of them,
    chunks: int = 1  # partial sums of output blocks,
    parts: int = 1  # and tasks that share the panels


class Walk(NamedTuple):
    """How the kernels with tiles go through a window."""

    geometry: Geometry  # the window and its Bands
    width: Width


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
def _output_column(m):
    """A^T m for a column of six."""
    m0, m1, m2, m3, m4, m5 = m
    sum1, difference1, sum2, difference2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (m0 + sum1 + sum2, difference1 + 2.0 * difference2, sum1 + 4.0 * sum2,
            difference1 + 8.0 * difference2 + m5)


@inline_kernel
def _gradient_column(d):
    """A d for a column of four."""
    d0, d1, d2, d3 = d
    even, odd, even4, odd2 = d0 + d2, d1 + d3, d0 + 4.0 * d2, 2.0 * d1 + 8.0 * d3
    return d0, even + odd, even - odd, even4 + odd2, even4 - odd2, d3


@inline_kernel
def _filter_column(g):
    """G g for a column of three."""
    g0, g1, g2 = g
    even, even4, odd2 = g0 + g2, g0 + 4.0 * g2, 2.0 * g1
    return ((1 / 4) * g0, (-1 / 6) * (even + g1), (-1 / 6) * (even - g1), (1 / 24) * (even4 + odd2),
            (1 / 24) * (even4 - odd2), g2)


@inline_kernel
def _filter_gradient_column(s):
    """G^T s for a column of six."""
    s0, s1, s2, s3, s4, s5 = s
    sum1, difference1, sum2, difference2 = s1 + s2, s2 - s1, s3 + s4, s3 - s4
    return ((1 / 4) * s0 - (1 / 6) * sum1 + (1 / 24) * sum2, (1 / 6) * difference1 + (1 / 12) * difference2,
            (1 / 6) * (sum2 - sum1) + s5)


@inline_kernel
def _from(grid, i, j, channel):
    """The grid that begins with vector (i, j), at a channel of it."""
    return Grid(grid.array, grid.at + i * grid.row + j * grid.step + channel, grid.row, grid.step)


@inline_kernel
def _load3(grid, j, count):
    """Column j of three rows."""
    array, at, row = grid.array, grid.at + j * grid.step, grid.row
    return lanes_load(array, at, count), lanes_load(array, at + row, count), lanes_load(array, at + 2 * row, count)


@inline_kernel
def _load4(grid, j, count):
    """Column j of four rows."""
    array, at, row = grid.array, grid.at + j * grid.step, grid.row
    return (lanes_load(array, at, count), lanes_load(array, at + row, count),
            lanes_load(array, at + 2 * row, count), lanes_load(array, at + 3 * row, count))


@inline_kernel
def _load6(grid, j, count):
    """Column j of six rows."""
    array, at, row = grid.array, grid.at + j * grid.step, grid.row
    return (lanes_load(array, at, count), lanes_load(array, at + row, count),
            lanes_load(array, at + 2 * row, count), lanes_load(array, at + 3 * row, count),
            lanes_load(array, at + 4 * row, count), lanes_load(array, at + 5 * row, count))


@inline_kernel
def _store3(values, grid, i, count):
    """Write row i of three columns."""
    array, at, step = grid.array, grid.at + i * grid.row, grid.step
    lanes_store(values[0], array, at, count)
    lanes_store(values[1], array, at + step, count)
    lanes_store(values[2], array, at + 2 * step, count)


@inline_kernel
def _store4(values, grid, i, count):
    """Write row i of four columns."""
    array, at, step = grid.array, grid.at + i * grid.row, grid.step
    lanes_store(values[0], array, at, count)
    lanes_store(values[1], array, at + step, count)
    lanes_store(values[2], array, at + 2 * step, count)
    lanes_store(values[3], array, at + 3 * step, count)


@inline_kernel
def _store6(values, grid, i, count):
    """Write row i of six columns."""
    array, at, step = grid.array, grid.at + i * grid.row, grid.step
    lanes_store(values[0], array, at, count)
    lanes_store(values[1], array, at + step, count)
    lanes_store(values[2], array, at + 2 * step, count)
    lanes_store(values[3], array, at + 3 * step, count)
    lanes_store(values[4], array, at + 4 * step, count)
    lanes_store(values[5], array, at + 5 * step, count)


@kernel
def _load_pixel(image, h, column, c):
    """Channels from c on of one pixel, or zeros outside the image."""
    inside = 0 <= h < image.H and 0 <= column < image.W
    return lanes_load(image.array, image.at + (h * image.W + column) * image.C + c, image.C - c if inside else 0)


@kernel
def _transform_block(pixels, half, target, count):
    """target = B^T d B for 6x6 pixels d, one vector of channels; the columns of B^T d become the rows of `half`."""
    lanes = lanes_of(half.array)
    for j in range(6):
        _store6(_input_column(_load6(pixels, j, count)), half, j, lanes)
    for i in range(6):
        _store6(_input_column(_load6(half, i, lanes)), target, i, count)


@inline_kernel
def _copy_pixels(size, image, h, column, c, target):
    """target = size x size pixels from (h, column) on, one vector of channels from c on, zeros outside the image."""
    lanes = lanes_of(target.array)
    for i in range(size):
        for j in range(size):
            lanes_store(_load_pixel(image, h + i, column + j, c), target.array, target.at + (6 * i + j) * lanes, lanes)


@kernel
def _blocks(w):
    """Number of output blocks of all images."""
    return w.N * ((w.P + 3) // 4) * ((w.Q + 3) // 4)


@kernel
def _block_position(w, number):
    """Image, row and column of the first output of a block."""
    across = (w.Q + 3) // 4
    n, in_image = divmod(number, (w.P + 3) // 4 * across)
    return n, in_image // across * 4, in_image % across * 4


@kernel
def _transform_inputs(x, w, first, count, columns, work):
    """columns = B^T d B, all channels, for the output blocks first to first + count; `work` holds two blocks."""
    half = _from(work, 6, 0, 0)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        image, h, column = Image(x, n * w.H * w.W * w.C, w.H, w.W, w.C), p - w.top, q - w.left
        interior = 0 <= h <= w.H - 6 and 0 <= column <= w.W - 6
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
def _store_outputs(m, i, shift, residual, lowest, pixels, extent):
    """Write row i of four output pixels, nothing below the lowest: `extent` is the rows, columns and channels there are.

    The residual may be empty; NaN is below nothing.
    """
    rows, columns, channels = extent
    o0, o1, o2, o3 = _output_column(m)
    o0, o1, o2, o3 = o0 + shift, o1 + shift, o2 + shift, o3 + shift
    at, K, count = pixels.at + i * pixels.row, pixels.step, channels if rows > i else 0
    count1, count2, count3 = count if columns > 1 else 0, count if columns > 2 else 0, count if columns > 3 else 0
    if len(residual) > 0:
        o0, o1 = o0 + lanes_load(residual, at, count), o1 + lanes_load(residual, at + K, count1)
        o2, o3 = o2 + lanes_load(residual, at + 2 * K, count2), o3 + lanes_load(residual, at + 3 * K, count3)
    lanes_store(where(o0 < lowest, lowest, o0), pixels.array, at, count)
    lanes_store(where(o1 < lowest, lowest, o1), pixels.array, at + K, count1)
    lanes_store(where(o2 < lowest, lowest, o2), pixels.array, at + 2 * K, count2)
    lanes_store(where(o3 < lowest, lowest, o3), pixels.array, at + 3 * K, count3)


@kernel
def _output_block(products, half, shift, residual, lowest, pixels, extent):
    """4x4 output pixels A^T m A + shift + residual, for one vector of channels; see `_store_outputs`."""
    lanes = lanes_of(half.array)
    for j in range(6):
        _store4(_output_column(_load6(products, j, lanes)), half, j, lanes)
    for i in range(4):
        _store_outputs(_load6(half, i, lanes), i, shift, residual, lowest, pixels, extent)


@kernel
def _transform_outputs(w, first, count, k, products, epilogue, y, half):
    """y = A^T m A and the epilogue, for the output blocks first to first + count and one panel of channels from k on."""
    lanes, bias = lanes_of(y), epilogue.bias
    lowest = 0.0 if epilogue.relu else math.nan
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        for lane in range(0, min(products.step, w.K - k), lanes):
            channels = w.K - k - lane
            shift = lanes_load(bias, k + lane, channels if len(bias) > 0 else 0)
            pixels = Grid(y, ((n * w.P + p) * w.Q + q) * w.K + k + lane, w.Q * w.K, w.K)
            _output_block(_from(products, 0, 6 * t, lane), half, shift, epilogue.residual, lowest, pixels,
                          (w.P - p, w.Q - q, channels))


@parallel_kernel
def winograd_forward(x: Floats, panels: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Workspace, worker: int,
                     workers: int) -> None:
    """y = 3x3 convolution of x with stride 1, and the epilogue; `panels` come from `winograd_filter`.

    A task transforms and multiplies a band of output blocks, which stay in the L2 cache.
    """
    w, floats = walk.geometry[0], workspace.floats
    vector, lanes = lanes_of(x), len(walk.width) * lanes_of(x)
    columns = Grid(floats, worker * w.floats, 6 * w.band * w.C, w.C)
    in_place = lanes == w.C and lanes >= w.K  # the only panel of products fits where its inputs were: half the cache
    behind = columns.at if in_place else columns.at + ELEMENTS * w.band * w.C
    products = Grid(floats, behind, 6 * w.band * lanes, lanes)
    work = Grid(floats, behind + ELEMENTS * w.band * lanes, 6 * vector, vector)
    distance = (w.K + lanes - 1) // lanes * lanes * w.C
    total = _blocks(w)
    task = next_task(workspace.counter)
    while task * w.band < total:
        first = task * w.band
        count = min(w.band, total - first)
        _transform_inputs(x, w, first, count, columns, work)
        for k in range(0, w.K, lanes):
            for e in range(ELEMENTS):
                _product(_from(columns, e // 6, e % 6, 0), count, panels, k * w.C + e * distance,
                         _from(products, e // 6, e % 6, 0), walk.width)
            _transform_outputs(w, first, count, k, products, epilogue, y, work)
        task = next_task(workspace.counter)


@parallel_kernel
def winograd_inputs(x: Floats, geometry: Geometry, stage: Stage, workspace: Workspace, worker: int, workers: int) -> None:
    """The stage's columns = B^T d B."""
    w, lanes = geometry[0], lanes_of(x)
    columns = Grid(stage.columns, 0, stage.column_row, w.C)
    work = Grid(workspace.floats, worker * w.floats, 6 * lanes, lanes)
    task = next_task(workspace.counter) * STRIP
    while task < stage.count:
        _transform_inputs(x, w, stage.first + task, min(STRIP, stage.count - task), _from(columns, 0, 6 * task, 0), work)
        task = next_task(workspace.counter) * STRIP


@parallel_kernel
def winograd_products(panels: Floats, walk: Walk, stage: Stage, workspace: Workspace, worker: int, workers: int) -> None:
    """The stage's products = sum over c of columns[i, j, c] * panels[6 i + j, panel, c, k], for each panel."""
    w, lanes = walk.geometry[0], len(walk.width) * lanes_of(panels)
    blocks = (w.K + lanes - 1) // lanes
    columns = Grid(stage.columns, 0, stage.column_row, w.C)
    task = next_task(workspace.counter)
    while task < blocks * ELEMENTS:
        block, e = divmod(task, ELEMENTS)
        products = Grid(stage.products, block * 6 * stage.product_row, stage.product_row, lanes)
        _product(_from(columns, e // 6, e % 6, 0), stage.count, panels, (e * blocks + block) * w.C * lanes,
                 _from(products, e // 6, e % 6, 0), walk.width)
        task = next_task(workspace.counter)


@parallel_kernel
def winograd_outputs(epilogue: Epilogue, y: Floats, geometry: Geometry, stage: Stage, workspace: Workspace, worker: int,
                     workers: int) -> None:
    """y = A^T m A and the epilogue, for the stage's products m."""
    w, vector = geometry[0], lanes_of(y)
    half = Grid(workspace.floats, worker * w.floats, 6 * vector, vector)
    task = next_task(workspace.counter) * STRIP
    while task < stage.count:
        for k in range(0, w.K, w.lanes):
            products = Grid(stage.products, k // w.lanes * 6 * stage.product_row, stage.product_row, w.lanes)
            _transform_outputs(w, stage.first + task, min(STRIP, stage.count - task), k, _from(products, 0, 6 * task, 0),
                               epilogue, y, half)
        task = next_task(workspace.counter) * STRIP


@kernel
def _transform_filter(g, half, target, count):
    """target = G g G^T for one input channel and `count` output channels of a vector; g is 3x3."""
    lanes = lanes_of(half.array)
    for s in range(3):
        _store6(_filter_column(_load3(g, s, count)), half, s, lanes)
    for i in range(6):
        _store6(_filter_column(_load3(half, i, lanes)), target, i, lanes)


@kernel
def _gather_filter(g, distance, count, target):
    """target = a vector of `count` output channels, `distance` elements apart, for each of the 3x3 of g, then zeros."""
    lanes = lanes_of(target.array)
    for r in range(3):
        for s in range(3):
            tap = unsigned(g.at + r * g.row + s * g.step)
            to = unsigned(target.at + r * target.row + s * target.step)
            for k in range(unsigned(min(count, lanes))):
                target.array[to + k] = g.array[tap + k * unsigned(distance)]
            for k in range(unsigned(min(count, lanes)), unsigned(lanes)):
                target.array[to + k] = 0


@parallel_kernel
def winograd_filter(weight: Floats, layouts: Geometry, panels: Floats, workspace: Workspace, worker: int,
                    workers: int) -> None:
    """Panels [e, panel, input channel, output channel] of G g G^T; `layouts` is a `products.Layout`.

    STRIP input channels of a panel are transformed in the caches and then copied, 36 long runs instead of single vectors.
    """
    layout, floats, lanes = layouts[0], workspace.floats, lanes_of(panels)
    depth, width = layout.inputs, layout.width
    blocks, strips = (layout.channels + width - 1) // width, (depth + STRIP - 1) // STRIP
    distance = STRIP * width + lanes
    at = worker * (27 * lanes + ELEMENTS * distance)
    gathered, half = Grid(floats, at, 3 * lanes, lanes), Grid(floats, at + 9 * lanes, 6 * lanes, lanes)
    strip = Grid(floats, at + 27 * lanes, 6 * distance, distance)
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
                    _transform_filter(g, half, target, channels)
                else:
                    _gather_filter(g, layout.K, channels, gathered)
                    _transform_filter(gathered, half, target, lanes)
        for e in range(ELEMENTS):
            copy_run(floats, strip.at + e * distance, panels, ((e * blocks + block) * depth + first) * width, count * width)
        task = next_task(workspace.counter)


@kernel
def _gradient_block(pixels, half, target, count):
    """target = A dy A^T for 4x4 pixels dy, `count` channels of a vector, then zeros."""
    lanes = lanes_of(half.array)
    for j in range(4):
        _store6(_gradient_column(_load4(pixels, j, count)), half, j, lanes)
    for i in range(6):
        _store6(_gradient_column(_load4(half, i, lanes)), target, i, lanes)


@kernel
def _transform_gradients(dy, w, first, count, k, gradients, work):
    """gradients = A dy A^T for the output blocks first to first + count, one panel from k on; `work` holds two blocks."""
    half = _from(work, 6, 0, 0)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        image = Image(dy, n * w.P * w.Q * w.K, w.P, w.Q, w.K)
        for lane in range(0, gradients.step, lanes_of(dy)):
            target = _from(gradients, 0, 6 * t, lane)
            if p + 4 <= w.P and q + 4 <= w.Q:
                pixels = Grid(dy, image.at + (p * w.Q + q) * w.K + k + lane, w.Q * w.K, w.K)
                _gradient_block(pixels, half, target, w.K - k - lane)
            else:
                _copy_pixels(4, image, p, q, k + lane, work)
                _gradient_block(work, half, target, lanes_of(dy))


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
    vector, lanes, total = lanes_of(x), len(walk.width) * lanes_of(x), _blocks(w)
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
        _transform_inputs(x, w, first, count, columns, work)
        for k in range(k_first, k_last, lanes):
            _transform_gradients(dy, w, first, count, k, gradients, work)
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
def _transform_sums(sums, half, target, count):
    """target = G^T S G for one input channel and `count` output channels of a vector."""
    lanes = lanes_of(half.array)
    for j in range(6):
        _store3(_filter_gradient_column(_load6(sums, j, lanes)), half, j, lanes)
    for i in range(3):
        _store3(_filter_gradient_column(_load6(half, i, lanes)), target, i, count)


@parallel_kernel
def winograd_filter_gradient(partial: Floats, dw: Floats, geometry: Geometry, workspace: Workspace, worker: int,
                             workers: int) -> None:
    """dw[r, s, c, k] = G^T S G for the sums S over all chunks."""
    w, lanes = geometry[0], lanes_of(partial)
    chunk_distance = ELEMENTS * w.depth * ((w.K + w.lanes - 1) // w.lanes * w.lanes)
    sums = Grid(workspace.floats, worker * w.floats, 6 * lanes, lanes)
    for c in range(worker, w.C, workers):
        for k in range(0, w.K, lanes):
            panel = k // w.lanes * w.lanes
            start = panel * w.depth * ELEMENTS + c * w.lanes + k - panel
            _sum_chunks(partial, start, w.depth * w.lanes, w.chunks, chunk_distance, sums)
            _transform_sums(sums, _from(sums, 6, 0, 0), Grid(dw, c * w.K + k, 3 * w.C * w.K, w.C * w.K), w.K - k)
