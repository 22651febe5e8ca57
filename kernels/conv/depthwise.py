"""Depthwise convolution: each channel has its own filter, and vectors run over channels.

Howard et al., "MobileNets", 2017, section 3.1. One kernel makes the result and the gradient of the input. Tables (see
functional/depthwise.py) cut a row of the target into runs of pixels that meet the same filter elements, and list where
these lie in the source and in the filter. Sums stay in registers: those of PIXELS neighbouring pixels, or those of TAPS
elements of the gradient of the weight, which is summed over chunks of rows in a fixed order. What the next row needs is
fetched ahead: the hardware alone does not keep up (measured, 10%).
"""

from ..jit.compile import kernel, parallel_kernel
from ..vector.scalar import unsigned
from ..vector.simd import PIXELS, TAPS, lanes_load, lanes_of, lanes_store
from ..vector.strips import (
    lanes_multiply_add,
    pixels_multiply_add,
    pixels_multiply_add_3,
    pixels_prefetch,
    pixels_start,
    pixels_store,
    taps_load,
    taps_multiply_add,
    taps_multiply_add_3,
    taps_store,
)

BAND = 16  # rows through which a run is followed, so that the rows it reads stay in the nearest cache
CHANNELS = 256  # of such a run


@kernel
def _pixels(x, start, ahead, run, offsets, numbers, first, last, begin, end, weight, tap, bias, y, target):
    """PIXELS pixels or more of a row: channels `begin` to `end`, a vector or more. The last of both may be made twice."""
    lanes = lanes_of(x)
    for number in range(0, run.pixels, PIXELS):
        pixel = min(number, run.pixels - PIXELS)
        for channel in range(begin, end, lanes):
            c = min(channel, end - lanes)
            at = start + pixel * run.step + c
            pixels_prefetch(x, at + ahead, run.step)
            tile = pixels_start(bias, c)
            if run.together:
                for t in range(first, last, 3):
                    tile = pixels_multiply_add_3(tile, x, at, run.step, offsets, weight, tap + c, numbers, t)
            else:
                for t in range(first, last):
                    tile = pixels_multiply_add(tile, x, at, run.step, offsets, weight, tap + c, numbers, t)
            pixels_store(tile, y, target + pixel * run.target_step + c, run.target_step)


@kernel
def _pixel(x, start, offsets, numbers, first, last, begin, end, weight, tap, bias, y, target):
    """One pixel."""
    for c in range(begin, end, lanes_of(x)):
        total = lanes_load(bias, c, end - c)
        for t in range(first, last):
            total = lanes_multiply_add(total, x, start + offsets[t] + c, weight, tap + numbers[t] + c, end - c)
        lanes_store(total, y, target + c, end - c)


@kernel
def _run(x, image, rows, run, offsets, numbers, first_row, last_row, begin, end, weight, bias, y, target, target_row):
    """A run in the rows from `first_row` to `last_row`: channels `begin` to `end`."""
    for i in range(first_row, last_row):
        row = rows[i]
        first, last = unsigned(run.list + row.first * run.taps), unsigned(run.list + row.last * run.taps)
        start = image + row.source + run.source
        goal = target + i * target_row + run.target
        if run.pixels >= PIXELS and end - begin >= lanes_of(x) and first < last:
            ahead = rows[min(i + 1, len(rows) - 1)].source - row.source + offsets[last - unsigned(1)]
            _pixels(x, start, ahead, run, offsets, numbers, first, last, begin, end, weight, row.weight, bias, y, goal)
        else:
            for j in range(run.pixels):
                _pixel(x, start + j * run.step, offsets, numbers, first, last, begin, end, weight, row.weight, bias, y,
                       goal + j * run.target_step)


@parallel_kernel
def convolve(x, rows, runs, offsets, numbers, N, C, weight, bias, y, worker, workers):
    """y[n, i, j, c] = bias[c] + the sum over the taps that meet of x[n, row, column, c] * weight[tap, c]."""
    height = len(rows)
    target_row, image = len(y) // (N * height), len(x) // N
    number, stop = N * height * worker // workers, N * height * (worker + 1) // workers
    while number < stop:
        n, i = divmod(number, height)
        last = min(i + BAND, height, i + stop - number)
        for k in range(len(runs)):
            for c in range(0, C, CHANNELS):
                _run(x, n * image, rows, runs[k], offsets, numbers, i, last, c, min(C, c + CHANNELS), weight, bias,
                     y, n * height * target_row, target_row)
        number += last - i


@kernel
def _add_run(x, image, rows, run, offsets, numbers, first_row, last_row, first, last, dy, target, dy_row, partial, base,
             begin, end, count):
    """Add the products of a run of pixels to the sums of its taps: channels from `begin` to `end`.

    `count` is None for whole vectors of channels, else the number of channels.
    """
    together = run.pixels // PIXELS * PIXELS if run.together and count is None else 0
    for t in range(first, last, TAPS):
        for c in range(begin, end, lanes_of(x)):
            tile = taps_load(partial, base + c, numbers, t, last, count)
            for i in range(first_row, last_row):
                start, dy_start = image + rows[i].source + run.source + c, target + i * dy_row + run.target + c
                ahead = rows[min(i + 1, len(rows) - 1)].source - rows[i].source + offsets[last - 1]
                if count is None:  # otherwise it is not even compiled
                    for j in range(0, together, PIXELS):
                        at, dy_at = start + j * run.step, dy_start + j * run.target_step
                        pixels_prefetch(x, at + ahead, run.step)
                        pixels_prefetch(dy, dy_at + dy_row, run.target_step)
                        tile = taps_multiply_add_3(tile, x, at, run.step, offsets, t, last, dy, dy_at, run.target_step)
                for j in range(together, run.pixels):
                    tile = taps_multiply_add(tile, x, start + j * run.step, offsets, t, last,
                                             dy, dy_start + j * run.target_step, count)
            taps_store(tile, partial, base + c, numbers, t, last, count)


@kernel
def _add_band(x, image, rows, run, offsets, numbers, i, last_row, C, dy, target, dy_row, partial, base):
    """Add the products of a run in the rows from `i` to `last_row`, those together that meet the same rows of the filter."""
    full = C - C % lanes_of(x)
    while i < last_row:
        end = i + 1
        while end < last_row and rows[end].first == rows[i].first and rows[end].last == rows[i].last:
            end += 1
        first, last = run.list + rows[i].first * run.taps, run.list + rows[i].last * run.taps
        _add_run(x, image, rows, run, offsets, numbers, i, end, first, last, dy, target, dy_row, partial, base,
                 0, full, None)
        if full < C:
            _add_run(x, image, rows, run, offsets, numbers, i, end, first, last, dy, target, dy_row, partial, base,
                     full, C, C - full)
        i = end


@parallel_kernel
def backward_weight(x, rows, runs, offsets, numbers, N, C, dy, partial, chunks, worker, workers):
    """partial[chunk, r, s, c] = sum over the chunk's rows of dy of x[n, row, column, c] * dy[n, p, q, c]."""
    height, size = len(rows), len(partial) // chunks
    dy_row, image = len(dy) // (N * height), len(x) // N
    for chunk in range(worker, chunks, workers):
        base = chunk * size
        for i in range(unsigned(base), unsigned(base + size)):
            partial[i] = 0
        number, stop = N * height * chunk // chunks, N * height * (chunk + 1) // chunks
        while number < stop:
            n, i = divmod(number, height)
            last = min(i + BAND, height, i + stop - number)
            for k in range(len(runs)):
                _add_band(x, n * image, rows, runs[k], offsets, numbers, i, last, C, dy, n * height * dy_row, dy_row,
                          partial, base)
            number += last - i
