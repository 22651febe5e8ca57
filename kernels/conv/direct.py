"""Direct convolution on the register tile: forward, gradient of the input, gradient of the weight.

The output rows of all images stand one below the other, and a task makes a band of them. Where the filter leaves the image,
the input rows of a band are copied with their padding; elsewhere they are read where they lie. For an output row that begins
at `origin`, filter element d = (r, s, c) meets for pixel q the input

    x[origin + q * step + offsets[d]],    offsets[r, s, c] = r * dilation * pitch + s * dilation * C + c

so that stride and dilation cost nothing, and a tile may hold any filter elements.

The gradient of the input is a convolution of dy with the transposed, flipped filter; with a stride, one such convolution for
each of the input's row and column phases (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
section 4). Or else the products of each pixel of dy with the whole filter are added where they belong. The gradient of the
weight reduces over the same bands. Linear layers and 1x1 convolutions have R = S = 1.
"""

from __future__ import annotations

from typing import NamedTuple

from ..arguments import Epilogue, Floats, Geometry, Integers, Width, Workspace
from ..follow import follow
from ..jit.compile import kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.planes import lines_add, lines_zeros
from ..vector.scalar import unsigned
from ..vector.simd import MOST_ROWS, lanes_of
from ..vector.strips import pixels_at
from ..vector.tile import Target, tile_multiply_add
from .products import (
    Inputs,
    Kept,
    Pixels,
    Walk,
    add_columns,
    copy_run,
    copy_run_padded,
    correlate,
    multiply,
    pack_gradients,
    zero,
    zero_run,
)

NONE, ROWS, PIXELS = range(3)  # what of the input is copied: rows with their padding, or the pixels that are needed
PAIR = (0, 0)  # pixels of dy whose products are made together


class Bands(NamedTuple):
    """How a window is cut into bands of output rows, and how these are walked: behind the window in its record."""

    copies: int  # what of a band's input is copied: NONE, ROWS or PIXELS
    depth: int  # input channels that are taken together, all those of a group or a part of them
    columns: int  # input columns that an output row needs
    pixel: int  # elements from an input pixel to the next
    pitch: int  # elements from an input row to the next
    step: int  # elements from what one output pixel needs to what the next one needs
    weights: int  # filter elements of a channel
    rows: int = 1  # output rows of a band, of all images one below the other
    parts: int = 1  # tasks that share the panels
    chunks: int = 1  # partial sums of the weight gradient
    floats: int = 0  # working memory of each worker: a band and, where panels of gradients are made,
    panel: int = 0  # where these, or sums that are kept, begin in it,
    integers: int = 0  # and positions
    y_start: int = 0  # where output pixel (0, 0) of image 0 lies in y, and the distances between
    y_image: int = 0  # images,
    y_row: int = 0  # output rows,
    y_step: int = 0  # and output pixels


class Scatter(NamedTuple):
    """How `conv2d_backward_input_scatter` walks a window, in elements: behind the window in its record."""

    rows: int  # rows of dx in a band
    above: int  # rows of working memory before those of a band, which other bands have
    columns: int  # of working memory, with those in the padding
    depth: int  # output channels that are summed in registers
    floats: int  # working memory of each worker


class ScatterWalk(NamedTuple):
    """How the kernel goes through the window, by vectors of filter elements."""

    geometry: Geometry  # the Window and its Scatter
    places: Integers  # where each vector is added, behind the input pixel that the first filter element meets
    wanted: Floats  # its elements: one, or zero where the vector is longer than the filter
    run: Width  # vectors of a tile, for each of two pixels


@kernel
def _copy_row(x, w, n, h, channel, band, start):
    """band[start + column * w.pixel + c] = x[n, h, column - left, channel + c] for a row's columns, zero outside.

    Whole vectors are written: what comes behind the row is overwritten by the next one, or never read.
    """
    first = min(max(0, w.left), w.columns) if 0 <= h < w.H else w.columns
    last = max(first, min(w.W + w.left, w.columns))
    zero_run(band, start, first * w.pixel)
    source = ((n * w.H + h) * w.W + first - w.left) * w.C + channel
    if w.pixel == w.C:
        copy_run_padded(x, source, band, start + first * w.pixel, (last - first) * w.pixel)
    else:
        for column in range(first, last):
            copy_run_padded(x, source, band, start + column * w.pixel, w.depth)
            source += w.C
    zero_run(band, start + last * w.pixel, (w.columns - last) * w.pixel)


@kernel
def _copy_rows(x, w, channel, first, rows, workspace, worker):
    """Copy what the output rows first to first + rows need; origins[i] is where output row first + i begins in the copy."""
    reach = (w.R - 1) * w.dilation_rows + 1
    n, p = divmod(first, w.P)
    h_next = p * w.stride_rows - w.top
    image = worker * w.floats - h_next * w.pitch  # where row 0 of this image would lie
    origins = worker * w.integers
    for i in range(rows):
        if p == w.P:
            n, p = n + 1, 0
            image += (h_next + w.top) * w.pitch
            h_next = -w.top
        h_first = p * w.stride_rows - w.top
        for h in range(max(h_next, h_first), h_first + reach):
            _copy_row(x, w, n, h, channel, workspace.floats, image + h * w.pitch)
        h_next = h_first + reach
        workspace.integers[origins + i] = image + h_first * w.pitch
        p += 1


@kernel
def _origins(w, channel, first, rows, origins, at):
    """origins[at + i] = where output row first + i begins in x itself."""
    n, p = divmod(first, w.P)
    for i in range(rows):
        if p == w.P:
            n, p = n + 1, 0
        origins[at + i] = ((n * w.H + p * w.stride_rows - w.top) * w.W - w.left) * w.C + channel
        p += 1


@kernel
def _copy_pixels(x, w, channel, first, rows, workspace, worker):
    """The same for a filter of one element that stays inside the image, which needs one pixel for each of the output."""
    _origins(w, channel, first, rows, workspace.integers, worker * w.integers)
    target = worker * w.floats
    for i in range(rows):
        source = workspace.integers[worker * w.integers + i]
        workspace.integers[worker * w.integers + i] = target
        for _ in range(w.Q):
            copy_run_padded(x, source, workspace.floats, target, w.depth)
            source += w.stride_columns * w.C
            target += w.step


@kernel
def _prepare_band(x, w, channel, first, rows, workspace, worker):
    """Find, or copy, the inputs of the output rows first to first + rows, from a channel on.

    The worker's integers begin with their origins.
    """
    if w.copies == PIXELS:
        _copy_pixels(x, w, channel, first, rows, workspace, worker)
    elif w.copies == ROWS:
        _copy_rows(x, w, channel, first, rows, workspace, worker)
    else:
        _origins(w, channel, first, rows, workspace.integers, worker * w.integers)


@kernel
def _progression(start, step, count, table, at):
    """table[at + i] = start + i * step."""
    for i in range(unsigned(at), unsigned(at + count)):
        table[i] = start
        start += step


@kernel
def _positions(w, first, rows, positions, origins, sources, targets):
    """Where each pixel of a band begins in the input, for whole tiles, and in y."""
    n, p = divmod(first, w.P)
    for row in range(rows):
        _progression(positions[origins + row], w.step, w.Q, positions, sources + row * w.Q)
        _progression(w.y_start + n * w.y_image + p * w.y_row, w.y_step, w.Q, positions, targets + row * w.Q)
        p += 1
        if p == w.P:
            n, p = n + 1, 0
    pixels = rows * w.Q
    _progression(positions[sources + pixels - 1], 0, MOST_ROWS, positions, sources + pixels)


@parallel_kernel
def conv2d_forward(x: Floats, panels: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Workspace, worker: int,
                   workers: int) -> None:
    """y[n, p, q, k] = sum over r, s, c of x[n, p + r, q + s, c] * w[r, s, c, k], strided, dilated, padded; and the epilogue.

    x and y are flat; `panels` come from `pack_panels`; the record of the walk is a Window and its Bands.
    """
    w = walk.geometry[0]
    depth, channels, rows_in_all = w.C // w.groups, w.K // w.groups, w.N * w.P
    lanes = len(walk.width) * lanes_of(panels)
    blocks = (channels + lanes - 1) // lanes
    size = w.R * w.S * depth * lanes  # of one panel
    tasks = (rows_in_all + w.rows - 1) // w.rows
    source, positions = workspace.floats if w.copies else x, workspace.integers
    origins = worker * w.integers
    sources = origins + w.rows
    targets = sources + w.rows * w.Q + MOST_ROWS
    task = next_task(workspace.counter)
    while task < w.parts * w.groups * tasks:
        part_group, number = divmod(task, tasks)
        part, group = divmod(part_group, w.groups)
        first = number * w.rows
        rows = min(w.rows, rows_in_all - first)
        first_block, last_block = blocks * part // w.parts, blocks * (part + 1) // w.parts
        for channel in range(0, depth, w.depth):
            _prepare_band(x, w, group * depth + channel, first, rows, workspace, worker)
            _positions(w, first, rows, positions, origins, sources, targets)
            inputs = Inputs(source, positions[sources:], walk.offsets, w.R * w.S == 1 and not w.copies)
            kept = worker * w.floats + w.panel
            for block in range(first_block, last_block):
                k, panel = block * lanes, (group * blocks + block) * size + w.R * w.S * channel * lanes
                target = Target(y, positions[targets:], group * channels + k, channels - k)
                multiply(inputs, rows * w.Q, panels, panel, epilogue, target,
                         Kept(workspace.floats, kept, channel == 0, channel + w.depth == depth), walk.width)
                kept += (rows * w.Q + MOST_ROWS) * lanes
        follow(y, epilogue.follower, rows_in_all * w.Q, w.parts * w.groups, first * w.Q, (first + rows) * w.Q)
        task = next_task(workspace.counter)


@kernel
def _scatter_row(dy, pixel, panel, sums, at, walk):
    """Add the products of one row of dy with the filter to where they belong, for two pixels half a row apart at once.

    `panel` is the panels of a group's weights and their beginning; `pixel` and `at` are the first pixel of dy and what its
    first filter element meets.
    """
    w, (panels, weights) = walk.geometry[0], panel
    channels, size, half = w.K // w.groups, len(walk.run) * lanes_of(dy), (w.Q + 1) // 2
    step = w.stride_columns * (w.C // w.groups)
    for first in range(0, len(walk.places), len(walk.run)):
        for k in range(0, channels, w.depth):
            last = min(channels, k + w.depth)
            for q in range(half):
                source, target = pixel + q * w.K, at + q * step
                rows = 2 if q + half < w.Q else 1
                pixels = pixels_at(source, (rows - 1) * half * w.K, PAIR)
                tile, weight = lines_zeros(dy, PAIR, walk.run), weights
                for channel in range(unsigned(k), unsigned(last)):
                    tile = tile_multiply_add(tile, dy, pixels, channel, panels, weight)
                    weight += size
                lines_add(tile, sums, pixels_at(target, half * step, PAIR), rows, walk.places, walk.wanted, first)
            weights += (last - k) * size


@kernel
def _copy_sums(sums, start, w, n, group, rows, dx):
    """dx[n, h, column, c] = the sums of each pixel, for the rows of a band."""
    depth = w.C // w.groups
    for h in range(rows[0], rows[1]):
        source = start + ((h - rows[0] + w.above) * w.columns + w.left) * depth
        target = (n * w.H + h) * w.W * w.C + group * depth
        if w.groups == 1:
            copy_run(sums, source, dx, target, w.W * w.C)
        else:
            for _ in range(w.W):
                copy_run(sums, source, dx, target, depth)
                source += depth
                target += w.C


@parallel_kernel
def conv2d_backward_input_scatter(dy: Floats, panels: Floats, dx: Floats, walk: ScatterWalk, workspace: Floats, worker: int,
                                  workers: int) -> None:
    """dx[n, p + r, q + s, c] = sum over p, q, k of dy[n, p, q, k] * w[r, s, c, k], strided, dilated, padded.

    Lanes run over the filter elements that lie side by side in dx, (s, c) or c alone: each pixel of dy adds its products to
    those of others. `panels` (groups, tiles, K // groups, lanes of a tile) have the weights in this order.
    """
    w = walk.geometry[0]
    depth, channels, bands = w.C // w.groups, w.K // w.groups, (w.H + w.rows - 1) // w.rows
    group_size = len(walk.places) * lanes_of(dy) * channels
    start = worker * w.floats
    for task in range(worker, w.N * w.groups * bands, workers):
        image_group, band = divmod(task, bands)
        n, group = divmod(image_group, w.groups)
        first, last = band * w.rows, min(band * w.rows + w.rows, w.H)
        zero_run(workspace, start, w.floats)
        p_first = max(0, (first + w.top - (w.R - 1) * w.dilation_rows + w.stride_rows - 1) // w.stride_rows)
        for p in range(p_first, min(w.P, (last - 1 + w.top) // w.stride_rows + 1)):
            row = p * w.stride_rows - w.top - first + w.above
            _scatter_row(dy, (n * w.P + p) * w.Q * w.K + group * channels, (panels, group * group_size), workspace,
                         start + row * w.columns * depth, walk)
        _copy_sums(workspace, start, w, n, group, (first, last), dx)


@kernel
def _weight_task(x, dy, partial, sums, walk, workspace, worker, task):
    """Sums over a chunk of output rows, for one group and a part of its output channels, whole panels of them."""
    w, width = walk.geometry[0], walk.width
    lanes, weights = len(width) * lanes_of(dy), len(walk.offsets)
    channels, rows_in_all = w.K // w.groups, w.N * w.P
    blocks = (channels + lanes - 1) // lanes
    chunk_group, part = divmod(task, w.parts)
    chunk, group = divmod(chunk_group, w.groups)
    k_first, k_last = blocks * part // w.parts * lanes, min(blocks * (part + 1) // w.parts * lanes, channels)
    start = (chunk_group * blocks * lanes + k_first) * weights
    zero(partial, start, (k_last - k_first + lanes - 1) // lanes * lanes * weights)
    first_sum = chunk * w.K + group * channels + k_first
    zero(sums, first_sum, k_last - k_first if len(sums) > 0 else 0)
    source, origins = workspace.floats if w.copies else x, workspace.integers[worker * w.integers:]
    panels, last = worker * w.floats + w.panel, rows_in_all * (chunk + 1) // w.chunks
    for top in range(rows_in_all * chunk // w.chunks, last, w.rows):
        rows = min(w.rows, last - top)
        _prepare_band(x, w, group * w.depth, top, rows, workspace, worker)
        pixels = Pixels(source, origins, rows, w.Q, w.step)
        gradients = top * w.Q * w.K + group * channels + k_first
        if len(sums) > 0:
            add_columns(dy, gradients, w.K, rows * w.Q, k_last - k_first, sums, first_sum)
        if lanes == w.K and w.groups == 1:  # dy is a panel
            correlate(pixels, walk.offsets, w.weights, dy[gradients:], partial, start, width)
            continue
        pack_gradients(dy, gradients, w.K, rows * w.Q, k_last - k_first, workspace.floats, panels, width)
        for k in range(0, k_last - k_first, lanes):
            correlate(pixels, walk.offsets, w.weights, workspace.floats[panels + k * rows * w.Q:], partial,
                      start + k * weights, width)


@parallel_kernel
def conv2d_backward_weight(x: Floats, dy: Floats, partial: Floats, sums: Floats, walk: Walk, workspace: Workspace,
                           worker: int, workers: int) -> None:
    """partial[chunk, group, panel, d, k] = sum over the chunk's pixels of x * dy; `sum_chunks` adds the chunks.

    And sums[chunk, group, k] = sum over these pixels of dy, unless it is empty. The working memory of a worker is a band of
    x and, behind it, panels of dy.
    """
    w = walk.geometry[0]
    task = next_task(workspace.counter)
    while task < w.chunks * w.groups * w.parts:
        _weight_task(x, dy, partial, sums, walk, workspace, worker, task)
        task = next_task(workspace.counter)
