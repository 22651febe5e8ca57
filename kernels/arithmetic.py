"""Sums of arrays: where the branches of a network meet."""

from ._jit import parallel_kernel
from .scalar import positions


@parallel_kernel
def add(a, b, y, worker, workers):
    """y = a + b."""
    for i in positions(len(y), worker, workers):
        y[i] = a[i] + b[i]
