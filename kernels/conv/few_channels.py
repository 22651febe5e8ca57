"""Convolution with few channels on both sides: vectors run over pixels, because channels would not fill one.

A worker splits a band of input rows into planes, one for each channel and column phase of the stride,

    planes[c, phase, i, j] = x[n, p * stride - top + i, j * stride - left + phase, c]

so that the inputs of neighbouring output pixels lie side by side. Tiles have a row for each of a few output channels and
vectors of pixels; the weights are broadcast. Results are transposed in registers on their way to memory. Where max pooling
of 2x2 pixels follows, it takes the tiles of two rows from the registers, and a quarter is transposed and written.

The gradient of the weight needs no planes: a vector holds the output channels of a pixel of dy, and the inputs that it meets
are broadcast. They lie side by side in a row of x, for one row of the filter after the other; the sums of up to 27 filter
elements stay in registers. With channels for half a vector at most, two pixels share one: rows are folded in the middle,

    folded[i, j, c] = x[i, j, c], x[i, j + half a row, c]

and these pairs are broadcast.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..arguments import Epilogue, Floats, Geometry, Integers, Maxima, Width
from ..follow import follow
from ..jit.compile import inline_kernel, kernel, parallel_kernel
from ..vector.planes import (
    PLANE_VECTORS,
    by_turns,
    filter_multiply_add,
    lines_load,
    planes_pool,
    planes_store,
    planes_tile,
    planes_winners,
    zip_vectors,
)
from ..vector.scalar import unsigned
from ..vector.simd import lanes_load, lanes_of
from ..vector.strips import entries
from ..vector.tile import tile_multiply_add, tile_prefetch, tile_store
from .products import add_columns, copy_run, zero, zero_run

VECTORS = (0,) * PLANE_VECTORS
AHEAD = 24  # pixels: how far ahead of its use dy is prefetched


class Planes(NamedTuple):
    """How `few_channels_forward` walks a window: behind the window in its record."""

    rows: int  # output rows of a band
    phases: int  # column phases of the stride that filter columns meet
    slots: int  # input rows in a band
    columns: int  # elements of a plane's row
    channels: int  # output channels, rounded up to whole tiles
    tiles: int  # where tiles of two rows begin in the working memory,
    floats: int  # of which each worker has so much


class Walk(NamedTuple):
    """How the kernel of the forward pass goes through a window."""

    geometry: Geometry  # the Window and its Planes
    taps: Integers  # [r, s, c]: where the inputs of a filter element begin in the planes
    channels: Width  # output channels of a tile


class Lines(NamedTuple):
    """How `few_channels_backward_weight` walks a window, in elements: behind the window in its record."""

    rows: int  # output rows of a band
    inputs: int  # elements of an input row that output pixels meet, from the padding on
    row: int  # distance between rows of the band
    pixels: int  # output pixels of a row, or of half of it where rows are folded
    folded: int  # where folded rows begin in the band,
    folded_row: int  # and their distance
    elements: int  # of a line of the filter: these lie side by side in a row of x
    filter_lines: int  # such lines, in whole tiles
    lines: int  # the same, where a line is cut into pieces for a tile
    run: int  # elements of such a piece
    fold: int  # pixels that share a vector
    chunks: int  # bands whose sums are taken apart
    floats: int  # working memory of each worker


class WeightWalk(NamedTuple):
    """How the kernel of the gradient of the weight goes through a window: on tiles of len(lines) x len(run) sums."""

    geometry: Geometry  # the Window and its Lines
    taps: Integers  # where lines of filter elements begin in a band
    lines: Width
    run: Width
    fold: Width  # pixels that share a vector


class Place(NamedTuple):
    """Where a block of output channels of a band lies."""

    x: int  # in working memory
    dy: int
    partial: int


@kernel
def _pack_planes(x, w, n, p, rows, planes, start):
    """Planes of the input rows that output rows p to p + rows of image n need."""
    for i in range((rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1):
        h = p * w.stride_rows - w.top + i
        for c in range(w.C):
            for phase in range(w.phases):
                target = start + ((c * w.phases + phase) * w.slots + i) * w.columns
                offset = phase * w.dilation_columns % w.stride_columns - w.left
                first = min(max(0, (w.stride_columns - 1 - offset) // w.stride_columns), w.columns)
                last = max(first, min(w.columns, (w.W - 1 - offset) // w.stride_columns + 1)) if 0 <= h < w.H else first
                for j in range(unsigned(target), unsigned(target + first)):
                    planes[j] = 0
                source = ((n * w.H + h) * w.W + offset) * w.C + c
                step = w.stride_columns * w.C
                if step == 1:
                    for j in range(unsigned(last - first)):
                        planes[unsigned(target + first) + j] = x[unsigned(source + first) + j]
                else:
                    for j in range(first, last):
                        planes[unsigned(target + j)] = x[unsigned(source + j * step)]
                for j in range(unsigned(target + last), unsigned(target + w.columns)):
                    planes[j] = 0


@inline_kernel
def _tile(walk, weight, bias, k, planes, start):
    """A tile of output pixels side by side, and of channels from k on, whose inputs begin at `start` in the planes."""
    w, taps = walk.geometry[0], walk.taps
    tile = planes_tile(bias, k, w.K - k if len(bias) > 0 else 0, walk.channels)
    for t in range(len(taps)):
        tile = tile_multiply_add(tile, weight, t * w.channels + k, 0, planes, start + taps[t])
    return tile


@kernel
def _forward_row(walk, weight, bias, k, source, target, lowest):
    """One row of output pixels, a tile's channels from k on; `source` is planes and a position, `target` y and one."""
    w, (planes, start), (y, y_start) = walk.geometry[0], source, target
    for q in range(0, w.Q, PLANE_VECTORS * lanes_of(y)):
        tile = _tile(walk, weight, bias, k, planes, start + q)
        planes_store(tile, y, y_start + q * w.K + k, w.K, w.Q - q, w.K - k, lowest)


@parallel_kernel
def few_channels_forward(x: Floats, weight: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Floats,
                         worker: int, workers: int) -> None:
    """y[n, p, q, k] = bias[k] + sum over r, s, c of x[n, p + r, q + s, c] * weight[r, s, c, k], strided, dilated, padded.

    `weight` (R, S, C, channels) is padded with zeros to whole tiles of channels. Where there is a residual, adding it, and
    ReLU, are left to the caller.
    """
    w = walk.geometry[0]
    lowest = 0.0 if epilogue.relu and len(epilogue.residual) == 0 else math.nan
    bands = (w.P + w.rows - 1) // w.rows
    start = worker * w.floats
    for task in range(worker, w.N * bands, workers):
        n, band = divmod(task, bands)
        first = band * w.rows
        rows = min(w.rows, w.P - first)
        _pack_planes(x, w, n, first, rows, workspace, start)
        for i in range(rows):
            source = workspace, start + i * w.stride_rows * w.columns
            target = y, (n * w.P + first + i) * w.Q * w.K
            for k in range(0, w.K, len(walk.channels)):
                _forward_row(walk, weight, epilogue.bias, k, source, target, lowest)
        follow(y, epilogue.follower, w.N * w.P, 1, n * w.P + first, n * w.P + first + rows)


@kernel
def _pooled_row(walk, weight, bias, k, source, row, maxima):
    """One row of 2x2 windows, a tile's channels from k on; `source` is planes, a position, and one for tiles of two rows.

    Both tiles lie in memory while the other is made: the registers hold one. `row` is the number of the row in those of all
    images.
    """
    w, (planes, start, first) = walk.geometry[0], source
    step, columns, lowest = PLANE_VECTORS * lanes_of(planes), w.Q // 2, maxima.y.dtype.type(0.0 if maxima.relu else math.nan)
    second = first + len(walk.channels) * step
    for q in range(0, 2 * columns, step):
        for r, kept in enumerate((first, second)):
            tile_store(_tile(walk, weight, bias, k, planes, start + r * w.stride_rows * w.columns + q), planes, kept, step)
        upper, lower = lines_load(planes, first, walk.channels, VECTORS), lines_load(planes, second, walk.channels, VECTORS)
        at, pixels, pixel = (row * columns + q // 2) * w.K + k, columns - q // 2, 2 * (row % (w.P // 2)) * w.Q + q
        planes_store(planes_pool(upper, lower), maxima.y, at, w.K, pixels, w.K - k, lowest)
        planes_store(planes_winners(upper, lower, pixel, w.Q), maxima.argmax, at, w.K, pixels, w.K - k, None)


@parallel_kernel
def few_channels_forward_pooled(x: Floats, weight: Floats, bias: Floats, maxima: Maxima, walk: Walk, workspace: Floats,
                                worker: int, workers: int) -> None:
    """The maxima of each 2x2 pixels of what `few_channels_forward` gives, which is not written itself.

    Rows of pixels are taken in pairs, and columns too: a last one that is alone has no part in it.
    """
    w = walk.geometry[0]
    windows, pairs = w.P // 2, w.rows // 2
    bands = (windows + pairs - 1) // pairs
    start = worker * w.floats
    for task in range(worker, w.N * bands, workers):
        n, band = divmod(task, bands)
        first = band * pairs
        count = min(pairs, windows - first)
        _pack_planes(x, w, n, 2 * first, 2 * count, workspace, start)
        for i in range(count):
            source = workspace, start + 2 * i * w.stride_rows * w.columns, start + w.tiles
            for k in range(0, w.K, len(walk.channels)):
                _pooled_row(walk, weight, bias, k, source, n * windows + first + i, maxima)


@kernel
def _copy_rows(x, w, n, first, rows, band, start):
    """band[i, j, c] = x[n, first + i, j - left, c], zero in the padding."""
    before = w.left * w.C
    inside = max(0, min(w.W * w.C, w.inputs - before))
    for i in range(rows):
        target, h = start + i * w.row, first + i
        if inside < w.row or not 0 <= h < w.H:
            zero_run(band, target, w.row)
        if 0 <= h < w.H:
            copy_run(x, (n * w.H + h) * w.W * w.C, band, target + before, inside)


@kernel
def _fold_rows(w, rows, band, start):
    """Behind the rows of a band: the same, with pairs of elements that lie half a row of output pixels apart."""
    half = w.pixels * w.stride_columns * w.C
    for i in range(rows):
        source, target = start + i * w.row, start + w.folded + i * w.folded_row
        for j in range(0, w.folded_row // 2, lanes_of(band)):
            zip_vectors(band, target + 2 * j, band, source + j, source + j + half)


@kernel
def _add_band(walk, band, dy, partial, at, rows, channels):
    """partial[line, element of its run, k, fold] += sum over the band's pixels of x * dy, for one vector of channels."""
    w, fold, sums = walk.geometry[0], len(walk.fold), at.partial
    size = len(walk.run) * lanes_of(partial)
    step, half = w.stride_columns * w.C * fold, w.pixels * w.K
    both = w.Q - (fold - 1) * w.pixels
    for t in range(0, len(walk.taps), len(walk.lines)):
        taps = entries(walk.taps, t, walk.lines)
        tile = lines_load(partial, sums, walk.lines, walk.run)
        for i in range(rows):
            x, pixel = at.x + i * w.stride_rows * w.folded_row, at.dy + i * w.Q * w.K
            for _ in range(both):
                tile_prefetch(dy, (pixel,), AHEAD * w.K)
                gradient = lanes_load(dy, pixel, channels) if fold == 1 else by_turns(
                    dy, pixel, channels, pixel + half, channels)
                tile = filter_multiply_add(tile, band, x, taps, gradient, walk.fold)
                x += step
                pixel += w.K
            if fold > 1 and both < w.pixels:  # the last one has no partner
                tile = filter_multiply_add(tile, band, x, taps, by_turns(dy, pixel, channels, pixel, 0), walk.fold)
        tile_store(tile, partial, sums, size)
        sums += len(walk.lines) * size


@parallel_kernel
def few_channels_backward_weight(x: Floats, dy: Floats, partial: Floats, totals: Floats, walk: WeightWalk, workspace: Floats,
                                 worker: int, workers: int) -> None:
    """partial[chunk, k block, line, element of its run, k, fold] = sums over the chunk's bands, for `few_channels_sum`.

    And totals[chunk, k] = sum over the bands of dy, unless it is empty.
    """
    w = walk.geometry[0]
    lanes, fold = lanes_of(x), len(walk.fold)
    bands, channels = (w.P + w.rows - 1) // w.rows, lanes // fold
    size = len(walk.taps) * len(walk.run) * lanes
    sums = (w.K + channels - 1) // channels * size
    start = worker * w.floats
    for chunk in range(worker, w.chunks, workers):
        zero_run(partial, chunk * sums, sums)
        zero(totals, chunk * w.K, w.K if len(totals) > 0 else 0)
        for task in range(w.N * bands * chunk // w.chunks, w.N * bands * (chunk + 1) // w.chunks):
            n, band = divmod(task, bands)
            first = band * w.rows
            rows = min(w.rows, w.P - first)
            inputs = (rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1
            _copy_rows(x, w, n, first * w.stride_rows - w.top, inputs, workspace, start)
            if fold > 1:
                _fold_rows(w, inputs, workspace, start)
            if len(totals) > 0:
                add_columns(dy, (n * w.P + first) * w.Q * w.K, w.K, rows * w.Q, w.K, totals, chunk * w.K)
            for block in range(sums // size):
                k = block * channels
                at = Place(start + w.folded, (n * w.P + first) * w.Q * w.K + k, chunk * sums + block * size)
                _add_band(walk, workspace, dy, partial, at, rows, w.K - k)


@parallel_kernel
def few_channels_sum(partial: Floats, dw: Floats, geometry: Geometry, worker: int, workers: int) -> None:
    """dw[r, s, c, k] = sum over chunks and the pixels that share a vector, in order."""
    w = geometry[0]
    lanes = lanes_of(partial)
    channels = lanes // w.fold
    size, distance = w.lines * w.run * lanes, len(partial) // w.chunks
    for weight in range(worker, w.R * w.S * w.C, workers):
        line, element = divmod(weight, w.elements)
        piece, element = divmod(element, w.run)
        at = ((piece * w.filter_lines + line) * w.run + element) * lanes
        for k in range(w.K):
            start = at + k // channels * size + k % channels * w.fold
            total = partial.dtype.type(0)
            for chunk in range(w.chunks):
                for pixel in range(w.fold):
                    total += partial[start + chunk * distance + pixel]
            dw[weight * w.K + k] = total
