"""Depthwise convolution: each channel has its own filter, and vectors run over channels.

Howard et al., "MobileNets", 2017, section 3.1. One kernel makes the result and the gradient of the input. Tables (see
functional/conv/depthwise.py) cut a row of the target into runs of pixels that meet the same filter elements, and list where
these lie in the source and in the filter. Sums stay in registers: those of a strip of neighbouring pixels, or those of TAPS
elements of the gradient of the weight, which is summed over chunks of rows in a fixed order. What the next row needs is
prefetched, and where the next pixels are written: the hardware alone does not keep up (measured: inputs 10 % with stride 1
and 40 % with stride 2, outputs 20 to 35 % from 64 channels on).
"""

from __future__ import annotations

from typing import NamedTuple

from ..arguments import Epilogue, Floats, Geometry, Integers
from ..follow import follow
from ..jit.compile import kernel, parallel_kernel, rolled_kernel
from ..kinds import KIND
from ..vector.rows import rows_load, rows_store
from ..vector.scalar import unsigned
from ..vector.simd import TAPS, lanes_add, lanes_load, lanes_of, lanes_store, lanes_zero, where
from ..vector.strips import entries, pixels_at, pixels_multiply_add, pixels_start, taps_at, taps_multiply_add
from ..vector.tile import tile_prefetch

PIXELS, GRADIENT_PIXELS = KIND.strip, KIND.gradient_strip  # neighbouring pixels that are computed together,
STRIP, GRADIENT_STRIP = (0,) * PIXELS, (0,) * GRADIENT_PIXELS  # as tuples with an element for each
BESIDE = 0, 0  # and pixels that taps side by side meet beyond them
BAND = 16  # rows through which a run is followed, so that the rows it reads stay in the nearest cache
CHANNELS = 256  # of such a run
THREE = (0, 0, 0)  # taps


class Sizes(NamedTuple):
    """Numbers of a geometry, behind the window in its record."""

    image: int  # elements of an image of the source
    row: int  # elements of a row of the target
    chunks: int = 1  # of output rows whose products are summed apart, for the gradient of the weight


class Row(NamedTuple):
    """A row of the target: where its tap 0 lies in the source and in the filter, and which of its taps lie inside."""

    source: int
    weight: int
    first: int
    last: int


class Run(NamedTuple):
    """Pixels of a row, `target_step` apart from `target` on, and what they meet: `taps` columns of the filter.

    The first pixel's inputs begin at `source`, those of each further one `step` later. Where taps lie, for one row of the
    filter after the other, is listed from `list` on.
    """

    target: int
    target_step: int
    pixels: int
    source: int
    step: int
    list: int
    taps: int
    together: int  # 1 where taps come in threes, of which each lies one step after the one before


class Walk(NamedTuple):
    """How the kernels go through a window, from its output to its input or the other way."""

    geometry: Geometry  # the Window and its Sizes
    rows: Geometry  # a Row for each row of the target
    runs: Geometry  # each a Run, the same in all rows
    offsets: Integers  # where taps lie in the source,
    numbers: Integers  # and in the filter
    fresh: Integers  # where pixels begin that a row is the first to meet, behind the last tap: empty where taps share pixels


class Operands(NamedTuple):
    """Arrays of a convolution."""

    x: Floats
    weight: Floats
    epilogue: Epilogue
    y: Floats


class Gradients(NamedTuple):
    """Arrays of a gradient of the weight."""

    x: Floats
    dy: Floats
    partial: Floats


class Band(NamedTuple):
    """Rows `first` to `last` of the target, in one image."""

    image: int
    first: int
    last: int


class Taps(NamedTuple):
    """Elements `first` to `last` of the two lists of a walk."""

    offsets: Integers
    numbers: Integers
    first: int
    last: int


class Place(NamedTuple):
    """Where channel 0 of a pixel lies."""

    source: int
    weight: int
    target: int


@kernel
def _pixels(o, run, taps, at, ahead, fresh, begin, end):
    """A strip or more of a row's pixels: channels `begin` to `end`, a vector or more. The last of both may be made twice."""
    lanes, bias, residual = lanes_of(o.x), o.epilogue.bias, o.epilogue.residual
    for number in range(0, run.pixels, PIXELS):
        pixel = min(number, run.pixels - PIXELS)
        for channel in range(begin, end, lanes):
            c = min(channel, end - lanes)
            sources = pixels_at(at.source + pixel * run.step + c, run.step, STRIP + BESIDE)
            tile = pixels_start(lanes_load(bias, c, lanes) if len(bias) > 0 else lanes_zero(o.x), STRIP)
            if run.together:
                tile_prefetch(o.x, sources[:PIXELS], ahead)
                for t in range(taps.first, taps.last, 3):
                    numbers = entries(taps.numbers, t, THREE)
                    tile = pixels_multiply_add(tile, o.x, sources, taps.offsets[t], o.weight, at.weight + c, numbers)
            else:
                for distance in fresh:
                    tile_prefetch(o.x, sources[:PIXELS], ahead + distance)
                for t in range(taps.first, taps.last):
                    numbers = (taps.numbers[t],)
                    tile = pixels_multiply_add(tile, o.x, sources, taps.offsets[t], o.weight, at.weight + c, numbers)
            targets = pixels_at(at.target + pixel * run.target_step + c, run.target_step, STRIP)
            tile_prefetch(o.y, targets[:PIXELS], PIXELS * run.target_step)
            if len(residual) > 0:
                tile = tile + rows_load(residual, targets, 0, None, 0)
            if o.epilogue.relu:
                tile = where(tile < 0.0, 0.0, tile)
            rows_store(tile, o.y, targets, 0, None)


@kernel
def _vector(o, taps, at, c, count):
    """One vector of one pixel: `count` channels from c on."""
    bias, residual = o.epilogue.bias, o.epilogue.residual
    total = lanes_load(bias, c, count) if len(bias) > 0 else lanes_zero(o.x)
    for t in range(taps.first, taps.last):
        x, weight = at.source + taps.offsets[t] + c, at.weight + taps.numbers[t] + c
        total = total + lanes_load(o.x, x, count) * lanes_load(o.weight, weight, count)
    if len(residual) > 0:
        total = lanes_add(total, residual, at.target + c, count)
    if o.epilogue.relu:
        total = where(total < 0.0, 0.0, total)
    lanes_store(total, o.y, at.target + c, count)


@kernel
def _pixel(o, taps, at, begin, end):
    """One pixel: whole vectors, which need no masks, and then the rest."""
    lanes = lanes_of(o.x)
    whole = end - (end - begin) % lanes
    for c in range(begin, whole, lanes):
        _vector(o, taps, at, c, lanes)
    if whole < end:
        _vector(o, taps, at, whole, end - whole)


@kernel
def _run(o, walk, run, band, begin, end):
    """A run in the rows of a band: channels `begin` to `end`."""
    sizes, rows = walk.geometry[0], walk.rows
    for i in range(band.first, band.last):
        row = rows[i]
        first, last = unsigned(run.list + row.first * run.taps), unsigned(run.list + row.last * run.taps)
        taps = Taps(walk.offsets, walk.numbers, first, last)
        at = Place(band.image * sizes.image + row.source + run.source, row.weight,
                   (band.image * len(rows) + i) * sizes.row + run.target)
        if run.pixels >= PIXELS and end - begin >= lanes_of(o.x) and first < last:
            ahead = rows[min(i + 1, len(rows) - 1)].source - row.source + walk.offsets[last - unsigned(1)]
            _pixels(o, run, taps, at, ahead, walk.fresh, begin, end)
        else:
            for j in range(run.pixels):
                _pixel(o, taps, Place(at.source + j * run.step, at.weight, at.target + j * run.target_step), begin, end)


@parallel_kernel
def convolve(x: Floats, weight: Floats, epilogue: Epilogue, y: Floats, walk: Walk, worker: int, workers: int) -> None:
    """y[n, i, j, c] = the sum over the taps inside of x[n, row, column, c] * weight[tap, c], and the epilogue."""
    w, height = walk.geometry[0], len(walk.rows)
    operands = Operands(x, weight, epilogue, y)
    number, stop = w.N * height * worker // workers, w.N * height * (worker + 1) // workers
    while number < stop:
        n, i = divmod(number, height)
        last = min(i + BAND, height, i + stop - number)
        for k in range(len(walk.runs)):
            for c in range(0, w.C, CHANNELS):
                _run(operands, walk, walk.runs[k], Band(n, i, last), c, min(w.C, c + CHANNELS))
        follow(y, epilogue.follower, w.N * height, 1, number, number + last - i)
        number += last - i


@rolled_kernel
def _add_run(g, walk, run, band, base, count):
    """Add the products of a run of pixels in the rows of a band, which meet the same taps, to the sums of these.

    `count` is None for the channels that fill whole vectors, else the number of the channels behind them.
    """
    w, rows, lanes = walk.geometry[0], walk.rows, lanes_of(g.x)
    whole = w.C - w.C % lanes
    if count is None:  # otherwise it is not even compiled
        begin, end, wanted, together = 0, whole, lanes, run.pixels - run.pixels % GRADIENT_PIXELS if run.together else 0
    else:
        begin, end, wanted, together = whole, w.C, count, 0
    row = rows[band.first]
    first, last = run.list + row.first * run.taps, run.list + row.last * run.taps
    for t in range(first, last, TAPS):
        numbers, offsets = taps_at(walk.numbers, t, last), taps_at(walk.offsets, t, last)
        for c in range(begin, end, lanes):
            tile = rows_load(g.partial, numbers, base + c, count, 0)
            for i in range(band.first, band.last):
                source = band.image * w.image + rows[i].source + run.source + c
                target = (band.image * len(rows) + i) * w.row + run.target + c
                ahead = rows[min(i + 1, len(rows) - 1)].source - rows[i].source + walk.offsets[last - 1]
                if count is None:
                    for j in range(0, together, GRADIENT_PIXELS):
                        sources = pixels_at(source + j * run.step, run.step, GRADIENT_STRIP + BESIDE)
                        targets = pixels_at(target + j * run.target_step, run.target_step, GRADIENT_STRIP)
                        tile_prefetch(g.x, sources[:GRADIENT_PIXELS], ahead)
                        tile_prefetch(g.dy, targets, w.row)
                        gradients = rows_load(g.dy, targets, 0, None, 0)
                        tile = taps_multiply_add(tile, g.x, sources, offsets, gradients, count)
                for j in range(together, run.pixels):
                    gradient = lanes_load(g.dy, target + j * run.target_step, wanted)
                    tile = taps_multiply_add(tile, g.x, (source + j * run.step,), offsets, gradient, count)
            rows_store(tile, g.partial, numbers, base + c, count)


@kernel
def _add_band(g, walk, run, band, base):
    """Add the products of a run in the rows of a band, those together that meet the same rows of the filter."""
    rows, C = walk.rows, walk.geometry[0].C
    i = band.first
    while i < band.last:
        end = i + 1
        while end < band.last and rows[end].first == rows[i].first and rows[end].last == rows[i].last:
            end += 1
        _add_run(g, walk, run, Band(band.image, i, end), base, None)
        if C % lanes_of(g.x) > 0:
            _add_run(g, walk, run, Band(band.image, i, end), base, C % lanes_of(g.x))
        i = end


@parallel_kernel
def backward_weight(x: Floats, dy: Floats, partial: Floats, walk: Walk, worker: int, workers: int) -> None:
    """partial[chunk, r, s, c] = sum over the chunk's rows of dy of x[n, row, column, c] * dy[n, p, q, c]."""
    w, height = walk.geometry[0], len(walk.rows)
    size = len(partial) // w.chunks
    for chunk in range(worker, w.chunks, workers):
        base = chunk * size
        for i in range(unsigned(base), unsigned(base + size)):
            partial[i] = 0
        number, stop = w.N * height * chunk // w.chunks, w.N * height * (chunk + 1) // w.chunks
        while number < stop:
            n, i = divmod(number, height)
            last = min(i + BAND, height, i + stop - number)
            for k in range(len(walk.runs)):
                _add_band(Gradients(x, dy, partial), walk, walk.runs[k], Band(n, i, last), base)
            number += last - i
