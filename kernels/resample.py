"""Padding, upsampling and adaptive averages: each row and each column of the result is a weighted sum of some of x's.

Which these are is told by tables for rows and for columns: sources and weights of output p lie from starts[p] to
starts[p + 1]. The gradient is the same with the tables transposed.
"""

from ._jit import parallel_kernel
from .scalar import natural


@parallel_kernel
def resample(x, H, W, C, row_starts, row_sources, row_weights, column_starts, column_sources, column_weights, fill, y,
             worker, workers):
    """y (N, P, Q, C) from x (N, H, W, C); `fill` where a row or a column has no sources."""
    P, Q = len(row_starts) - 1, len(column_starts) - 1
    rows = len(x) // (H * W * C) * P
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, P)
        for q in range(Q):
            goal = natural((row * Q + q) * C)
            empty = row_starts[p] == row_starts[p + 1] or column_starts[q] == column_starts[q + 1]
            start = x.dtype.type(fill if empty else 0.0)
            for i in range(natural(C)):
                y[goal + i] = start
            for r in range(row_starts[p], row_starts[p + 1]):
                for s in range(column_starts[q], column_starts[q + 1]):
                    source = natural(((n * H + row_sources[r]) * W + column_sources[s]) * C)
                    factor = x.dtype.type(row_weights[r] * column_weights[s])
                    for i in range(natural(C)):
                        y[goal + i] += factor * x[source + i]
