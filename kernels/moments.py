"""Moments of each channel for batch norm: of a whole array, or of what a convolution has just written.

Chunks of an array, whose size follows from its shape, are summed apart. A convolution counts what it has written of each:
the worker that writes the last of a chunk sums it, as a pass of its own would, but while it is in the caches. Differences
from the first pixel of a chunk are summed: the variance stays exact where the mean is large. Sums are float64.
"""

from __future__ import annotations

import numpy as np

from .arguments import Floats, Moments
from .jit.compile import kernel, parallel_kernel
from .jit.launch import add_to_counter
from .lanes import fold, repeat
from .vector.scalar import unsigned
from .vector.strips import pixels_at
from .vector.tile import LINE, tile_prefetch

_LINES = (0,) * 8  # cache lines that are asked for together


@kernel
def _prefetch(array, first, count):
    """Ask for the cache lines of array[first : first + count]."""
    for i in range(first, min(first + count, len(array)), len(_LINES) * LINE):
        tile_prefetch(array, pixels_at(i, LINE, _LINES), 0)


@kernel
def _add(x, shift, first, count, sums):
    """Add x - shift and its square to the two sums of `count` lanes."""
    read, squares = unsigned(first), unsigned(len(shift))
    for lane in range(unsigned(count)):
        value = np.float64(x[read + lane]) - shift[lane]
        sums[lane] += value
        sums[squares + lane] += value * value


@kernel
def _add_four(x, shift, first, sums):
    """The same for four runs of all lanes, so that the sums go to memory once for all of them."""
    width, read = unsigned(len(shift)), unsigned(first)
    for lane in range(width):
        at, centre = read + lane, shift[lane]
        a, b = np.float64(x[at]) - centre, np.float64(x[at + width]) - centre
        c, d = np.float64(x[at + width + width]) - centre, np.float64(x[at + width + width + width]) - centre
        sums[lane] += (a + b) + (c + d)
        sums[width + lane] += (a * a + b * b) + (c * c + d * d)


@kernel
def sum_differences(x, shift, begin, end, sums):
    """sums (2, width) = sum of x - shift and of its square over whole pixels from begin to end."""
    width = len(shift)
    for i in range(unsigned(2 * width)):
        sums[i] = 0
    fours = begin + (end - begin) // (4 * width) * (4 * width)
    for first in range(begin, fours, 4 * width):
        _prefetch(x, first + 4 * width, 4 * width)
        _add_four(x, shift, first, sums)
    for first in range(fours, end, width):
        _add(x, shift, first, min(width, end - first), sums)


@kernel
def _sum_chunk(x, moments, chunk, worker):
    """Write the moments of a chunk."""
    width, C = moments.width, len(moments.values) // (3 * len(moments.written))
    own = 3 * worker * width
    shift, sums = moments.lanes[own:own + width], moments.lanes[own + width:own + 3 * width]
    begin, write = chunk * moments.size, unsigned(3 * chunk * C)
    for channel in range(unsigned(C)):
        shift[channel] = x[unsigned(begin) + channel]
    repeat(shift, 0, width, C)
    sum_differences(x, shift, begin, min(begin + moments.size, len(x)), sums)
    fold(sums, 0, width, C)
    fold(sums, width, width, C)
    for channel in range(unsigned(C)):
        moments.values[write + channel] = shift[channel]
        moments.values[write + unsigned(C) + channel] = sums[channel]
        moments.values[write + unsigned(2 * C) + channel] = sums[unsigned(width) + channel]


@parallel_kernel
def sum_moments(x: Floats, moments: Moments, worker: int, workers: int) -> None:
    """Write the moments of x."""
    chunks = len(moments.written)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        _sum_chunk(x, moments, chunk, worker)


@kernel
def sum_written(y, moments, units, times, first, last, worker):
    """Sum the chunks of y that are complete with what a task has written: units from `first` to `last`.

    All of y are so many units, in order, each of which is written by `times` tasks.
    """
    if len(moments.written) > 0:
        each = units * moments.size // len(y)
        for chunk in range(first // each, (last - 1) // each + 1):
            begin, end = chunk * each, min((chunk + 1) * each, units)
            new = min(last, end) - max(first, begin)
            if add_to_counter(moments.written, chunk, new) + new == (end - begin) * times:
                _sum_chunk(y, moments, chunk, worker)
