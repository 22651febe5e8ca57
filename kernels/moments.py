"""Moments of each channel for batch norm: sums over chunks, whose size follows from the shape of the array.

Differences from the first pixel of a chunk are summed: the variance stays exact where the mean is large. Sums are float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .arguments import Floats
from .jit.compile import kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.scalar import unsigned
from .vector.strips import pixels_at
from .vector.tile import LINE, tile_prefetch

_LINES = (0,) * 8  # cache lines that are asked for together


class Moments(NamedTuple):
    """Sums of each channel over chunks of an array (..., C)."""

    values: Floats  # (chunks, 3, width), float64: in the first C lanes the first pixel, and sums of differences and squares
    chunks: int
    size: int  # elements of a chunk
    rows: int  # of C elements, in all
    C: int


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
