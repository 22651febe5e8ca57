"""Runs of whole pixels: loops over lanes, a multiple of the channels, are long where channels are few."""

from .jit.compile import kernel
from .vector.scalar import unsigned


@kernel
def repeat(lanes, start, width, C):
    """Copy the first C of `width` lanes from `start` on to all others."""
    read = unsigned(start)
    for first in range(start + C, start + width, C):
        goal = unsigned(first)
        for i in range(unsigned(C)):
            lanes[goal + i] = lanes[read + i]


@kernel
def fold(sums, start, width, C):
    """Add all of `width` lanes from `start` on to the first C of them."""
    goal = unsigned(start)
    for first in range(start + C, start + width, C):
        read = unsigned(first)
        for i in range(unsigned(C)):
            sums[goal + i] += sums[read + i]
