"""Padding, upsampling and adaptive averages: each row and each column of the result is a weighted sum of some of x's.

Which these are is told by tables for rows and for columns: sources and weights of output p lie from starts[p] to
starts[p + 1]. The gradient is the same with the tables transposed. Rows are added up first, whole ones, then columns.
"""

from .jit.compile import kernel, parallel_kernel
from .vector.scalar import unsigned
from .vector.simd import lanes_load, lanes_of, lanes_store, lanes_zero


@kernel
def _sum_of_rows(x, image, size, sources, weights, first, last, line, start):
    """line (size,) = the sum of the rows that the table lists from `first` to `last`, each times its weight."""
    goal = unsigned(start)
    for i in range(goal, goal + unsigned(size)):
        line[i] = 0
    for r in range(first, last):
        source, factor = unsigned(image + sources[r] * size), x.dtype.type(weights[r])
        for i in range(unsigned(size)):
            line[goal + i] += factor * x[source + i]


@kernel
def _fill(y, start, count, value):
    for i in range(unsigned(start), unsigned(start + count)):
        y[i] = value


@kernel
def _sums_of_narrow_pixels(line, start, C, starts, sources, weights, fill, y, target):
    """y (Q, C) = sums of the pixels of a line, each times its weight; `fill` where there are none. C is up to one vector."""
    for q in range(len(starts) - 1):
        if starts[q] == starts[q + 1]:
            _fill(y, target + q * C, C, fill)
        else:
            total = lanes_zero(y)
            for s in range(starts[q], starts[q + 1]):
                total = total + y.dtype.type(weights[s]) * lanes_load(line, start + sources[s] * C, C)
            lanes_store(total, y, target + q * C, C)


@kernel
def _sums_of_pixels(line, start, C, starts, sources, weights, fill, y, target):
    """The same for any number of channels."""
    for q in range(len(starts) - 1):
        first, last, goal = starts[q], starts[q + 1], unsigned(target + q * C)
        if first == last:
            _fill(y, target + q * C, C, fill)
        else:
            for i in range(unsigned(C)):
                y[goal + i] = 0
            for s in range(first, last):
                source, factor = unsigned(start + sources[s] * C), y.dtype.type(weights[s])
                for i in range(unsigned(C)):
                    y[goal + i] += factor * line[source + i]


@parallel_kernel
def resample(x, H, W, C, row_starts, row_sources, row_weights, column_starts, column_sources, column_weights, fill, lines, y,
             worker, workers):
    """y (N, P, Q, C) from x (N, H, W, C); `fill` where a row or a column has no sources. Room: lines (workers, W, C)."""
    P, Q, size = len(row_starts) - 1, len(column_starts) - 1, W * C
    rows, rest = len(x) // (H * size) * P, x.dtype.type(fill)
    columns = column_starts, column_sources, column_weights
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, P)
        image, target, first, last = n * H * size, row * Q * C, row_starts[p], row_starts[p + 1]
        if first == last:
            _fill(y, target, Q * C, rest)
        else:
            line, start = x, image + row_sources[first] * size
            if last - first > 1 or row_weights[first] != 1:
                line, start = lines, worker * size
                _sum_of_rows(x, image, size, row_sources, row_weights, first, last, line, start)
            if lanes_of(x) >= C:
                _sums_of_narrow_pixels(line, start, C, *columns, rest, y, target)
            else:
                _sums_of_pixels(line, start, C, *columns, rest, y, target)
