"""Sums of arrays, and arrays side by side: where the branches of a network meet."""

from __future__ import annotations

import math

from .arguments import Floats
from .jit.compile import parallel_kernel
from .vector.scalar import ZERO, positions, runs, unsigned


@parallel_kernel
def add(a: Floats, b: Floats, relu: bool, y: Floats, worker: int, workers: int) -> None:
    """y = a + b, or 0 where that is below 0 with `relu`; NaN stays NaN."""
    limit = a.dtype.type(0.0 if relu else math.nan)
    for i in positions(len(y), worker, workers):
        total = a[i] + b[i]
        y[i] = limit if total < limit else total


@parallel_kernel
def begin(residual: Floats, y: Floats, worker: int, workers: int) -> None:
    """y = residual, or zeros where that is empty."""
    for i in positions(len(y), worker, workers):
        y[i] = residual[i] if len(residual) else ZERO


@parallel_kernel
def add_to_channels(y: Floats, offset: Floats, worker: int, workers: int) -> None:
    """y += offset (width,), which repeats those of the channels along runs of whole pixels."""
    width = len(offset)
    begin, end = runs(len(y), width, worker, workers)
    for first in range(begin, end, width):
        start = unsigned(first)
        for lane in range(unsigned(min(width, end - first))):
            y[start + lane] += offset[lane]


@parallel_kernel
def copy_channels(x: Floats, x_channels: int, y: Floats, y_channels: int, count: int, worker: int, workers: int) -> None:
    """Copy the first `count` channels of each pixel of x (pixels, x_channels) to those of y (pixels, y_channels).

    Arrays that begin at a later channel of their first pixel, and so end before the last one does, copy from there on.
    """
    pixels = (len(x) + x_channels - 1) // x_channels
    for pixel in range(pixels * worker // workers, pixels * (worker + 1) // workers):
        source, goal = unsigned(pixel * x_channels), unsigned(pixel * y_channels)
        for i in range(unsigned(count)):
            y[goal + i] = x[source + i]
