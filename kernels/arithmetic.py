"""Sums of arrays, and arrays side by side: where the branches of a network meet."""

from .jit.compile import parallel_kernel
from .vector.scalar import ZERO, positions, runs, unsigned


@parallel_kernel
def add(a, b, floor, y, worker, workers):
    """y = a + b, but not below the floor; NaN is no floor."""
    lowest = a.dtype.type(floor)
    for i in positions(len(y), worker, workers):
        total = a[i] + b[i]
        y[i] = lowest if total < lowest else total


@parallel_kernel
def begin(addend, y, worker, workers):
    """y = addend, or zeros where that is empty."""
    for i in positions(len(y), worker, workers):
        y[i] = addend[i] if len(addend) else ZERO


@parallel_kernel
def add_to_channels(y, offset, worker, workers):
    """y += offset (width,), which repeats those of the channels along runs of whole pixels."""
    width = len(offset)
    begin, end = runs(len(y), width, worker, workers)
    for first in range(begin, end, width):
        start = unsigned(first)
        for lane in range(unsigned(min(width, end - first))):
            y[start + lane] += offset[lane]


@parallel_kernel
def copy_channels(x, x_channels, x_first, y, y_channels, y_first, count, worker, workers):
    """y[..., y_first:] = x[..., x_first:] for `count` channels of x (rows, x_channels) and y (rows, y_channels)."""
    rows = len(x) // x_channels
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        source, goal = unsigned(row * x_channels + x_first), unsigned(row * y_channels + y_first)
        for i in range(unsigned(count)):
            y[goal + i] = x[source + i]
