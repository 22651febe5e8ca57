"""Runs of whole pixels: loops over lanes, a multiple of the channels, are long where channels are few."""

from .arguments import Floats
from .jit.compile import kernel, parallel_kernel
from .vector.scalar import unsigned


@kernel
def repeat(lanes, start, width, C):
    """Copy the first C of `width` lanes from `start` on to all others."""
    read = unsigned(start)
    for first in range(start + C, start + width, C):
        goal = unsigned(first)
        for i in range(unsigned(C)):
            lanes[goal + i] = lanes[read + i]


@parallel_kernel
def spread(values: Floats, C: int, lanes: Floats, worker: int, workers: int) -> None:
    """lanes (width,) = the first C values, one run of them after the other."""
    for i in range(unsigned(C)):
        lanes[i] = values[i]
    repeat(lanes, 0, len(lanes), C)


@kernel
def fold(sums, start, width, C):
    """Add all of `width` lanes from `start` on to the first C of them."""
    goal = unsigned(start)
    for first in range(start + C, start + width, C):
        read = unsigned(first)
        for i in range(unsigned(C)):
            sums[goal + i] += sums[read + i]


@parallel_kernel
def totals(sums: Floats, values: Floats, worker: int, workers: int) -> None:
    """values (C,) = the sums of the channels over all lanes; they are added to the first C lanes."""
    C = len(values)
    fold(sums, 0, len(sums), C)
    for i in range(unsigned(C)):
        values[i] = sums[i]
