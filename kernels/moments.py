"""Moments of each channel for batch norm: sums over chunks, whose size follows from the shape of the array.

Differences from the first pixel of a chunk are summed: the variance stays exact where the mean is large. Sums are float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .arguments import Floats
from .jit.compile import kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.planes import lines_load, lines_zeros
from .vector.scalar import unsigned
from .vector.simd import VECTOR_BYTES, lanes_of
from .vector.tile import doubles_add, doubles_load, tile_doubles, tile_prefetch


class Moments(NamedTuple):
    """Sums of each channel over chunks of an array (..., C)."""

    values: Floats  # (chunks, 3, width), float64: in the first C lanes the first pixel, and sums of differences and squares
    chunks: int
    size: int  # elements of a chunk
    rows: int  # of C elements, in all
    C: int


ONE, LINE = (0,), (0,) * (64 // VECTOR_BYTES)  # a row of as many vectors as a cache line has
RUNS = 8  # whose numbers are added up in registers before their sums go to memory


@kernel
def _add(x, shift, first, begin, end, sums):
    """Add x - shift and its square, of a run from x[first] on, to the two sums of the lanes from begin to end."""
    read, squares = unsigned(first), unsigned(len(shift))
    for lane in range(unsigned(begin), unsigned(end)):
        value = np.float64(x[read + lane]) - shift[lane]
        sums[lane] += value
        sums[squares + lane] += value * value


@kernel
def _add_lines(x, shift, first, runs, lanes, sums):
    """The same of so many runs, for as many of the first lanes as are whole cache lines."""
    width = len(shift)
    for lane in range(0, lanes, len(LINE) * lanes_of(x)):
        total = tile_doubles(lines_zeros(x, ONE, LINE))
        centre, squares = doubles_load(shift, lane, total), total
        for i in range(first + lane, first + lane + runs * width, width):
            tile_prefetch(x, (i + RUNS * width,), 0)
            value = tile_doubles(lines_load(x, i, ONE, LINE)) - centre
            total = total + value
            squares = squares + value * value
        doubles_add(total, sums, lane)
        doubles_add(squares, sums, width + lane)


@kernel
def sum_differences(x, shift, begin, end, sums):
    """sums (2, width) = sum of x - shift and of its square over whole pixels from begin to end."""
    width = len(shift)
    for i in range(unsigned(2 * width)):
        sums[i] = 0
    lines, whole = width - width % (len(LINE) * lanes_of(x)), end - (end - begin) % width
    for first in range(begin, whole, RUNS * width):
        runs = min(RUNS, (whole - first) // width)
        _add_lines(x, shift, first, runs, lines, sums)
        if lines < width:
            for i in range(first, first + runs * width, width):
                _add(x, shift, i, lines, width, sums)
    _add(x, shift, whole, 0, end - whole, sums)


@kernel
def _sum_chunk(x, moments, chunk):
    """Write the moments of a chunk."""
    C, width = moments.C, len(moments.values) // (3 * moments.chunks)
    own, begin = 3 * chunk * width, chunk * moments.size
    shift, sums = moments.values[own:own + width], moments.values[own + width:own + 3 * width]
    for channel in range(unsigned(C)):
        shift[channel] = x[unsigned(begin) + channel]
    repeat(shift, 0, width, C)
    sum_differences(x, shift, begin, min(begin + moments.size, len(x)), sums)
    fold(sums, 0, width, C)
    fold(sums, width, width, C)


@parallel_kernel
def sum_moments(x: Floats, moments: Moments, worker: int, workers: int) -> None:
    """Write the moments of x; each of as many workers as there are chunks sums one."""
    for chunk in range(moments.chunks * worker // workers, moments.chunks * (worker + 1) // workers):
        _sum_chunk(x, moments, chunk)
