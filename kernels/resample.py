"""Padding, upsampling and adaptive averages: each row and each column of the result is a weighted sum of some of x's.

Tables for rows and for columns say which these are. The gradient is the same with the tables transposed. Whole rows are
added up first, then columns.
"""

from __future__ import annotations

from typing import NamedTuple

from .arguments import Floats, Integers
from .jit.compile import kernel, parallel_kernel
from .vector.scalar import unsigned
from .vector.simd import lanes_load, lanes_of, lanes_store, lanes_zero


class Table(NamedTuple):
    """Along one axis of `inputs` elements: sources and weights of output p lie from starts[p] to starts[p + 1].

    An output without sources is `fill`.
    """

    starts: Integers
    sources: Integers
    weights: Floats
    inputs: int
    fill: float = 0.0


@kernel
def _sum_of_rows(x, image, size, rows, p, line, start):
    """line (size,) = the sum of the rows of output row p, each times its weight."""
    goal = unsigned(start)
    for i in range(goal, goal + unsigned(size)):
        line[i] = 0
    for r in range(rows.starts[p], rows.starts[p + 1]):
        source, factor = unsigned(image + rows.sources[r] * size), x.dtype.type(rows.weights[r])
        for i in range(unsigned(size)):
            line[goal + i] += factor * x[source + i]


@kernel
def _fill(y, start, count, value):
    rest = y.dtype.type(value)
    for i in range(unsigned(start), unsigned(start + count)):
        y[i] = rest


@kernel
def _sums_of_narrow_pixels(line, start, C, columns, y, target):
    """y (Q, C) = sums of the pixels of a line, each times its weight. C is up to one vector."""
    starts = columns.starts
    for q in range(len(starts) - 1):
        if starts[q] == starts[q + 1]:
            _fill(y, target + q * C, C, columns.fill)
        else:
            total = lanes_zero(y)
            for s in range(starts[q], starts[q + 1]):
                pixel = lanes_load(line, start + columns.sources[s] * C, C)
                total = total + y.dtype.type(columns.weights[s]) * pixel
            lanes_store(total, y, target + q * C, C)


@kernel
def _sums_of_pixels(line, start, C, columns, y, target):
    """The same for any number of channels."""
    starts = columns.starts
    for q in range(len(starts) - 1):
        first, last, goal = starts[q], starts[q + 1], unsigned(target + q * C)
        if first == last:
            _fill(y, target + q * C, C, columns.fill)
        else:
            for i in range(unsigned(C)):
                y[goal + i] = 0
            for s in range(first, last):
                source, factor = unsigned(start + columns.sources[s] * C), y.dtype.type(columns.weights[s])
                for i in range(unsigned(C)):
                    y[goal + i] += factor * line[source + i]


@parallel_kernel
def resample(x: Floats, C: int, rows: Table, columns: Table, workspace: Floats, y: Floats, worker: int,
             workers: int) -> None:
    """y (N, P, Q, C) from x (N, H, W, C). Workspace: a line (W, C) of each worker."""
    P, Q, size = len(rows.starts) - 1, len(columns.starts) - 1, columns.inputs * C
    count = len(y) // (Q * C)
    for row in range(count * worker // workers, count * (worker + 1) // workers):
        n, p = divmod(row, P)
        image, target, first, last = n * rows.inputs * size, row * Q * C, rows.starts[p], rows.starts[p + 1]
        if first == last:
            _fill(y, target, Q * C, rows.fill)
        else:
            line, start = x, image + rows.sources[first] * size
            if last - first > 1 or rows.weights[first] != 1:
                line, start = workspace, worker * size
                _sum_of_rows(x, image, size, rows, p, line, start)
            if lanes_of(x) >= C:
                _sums_of_narrow_pixels(line, start, C, columns, y, target)
            else:
                _sums_of_pixels(line, start, C, columns, y, target)
