"""Sums of arrays: where the branches of a network meet."""

from ._jit import parallel_kernel
from .scalar import positions


@parallel_kernel
def add(a, b, floor, y, worker, workers):
    """y = a + b, but not below the floor; NaN is no floor."""
    lowest = a.dtype.type(floor)
    for i in positions(len(y), worker, workers):
        total = a[i] + b[i]
        y[i] = lowest if total < lowest else total
