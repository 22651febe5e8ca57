"""Runs of whole pixels: loops over lanes, a multiple of the channels, are long where channels are few."""

from .jit.compile import kernel
from .vector.scalar import natural


@kernel
def repeat(lanes, start, width, C):
    """Copy the first C of `width` lanes from `start` on to all others."""
    read = natural(start)
    for first in range(start + C, start + width, C):
        goal = natural(first)
        for i in range(natural(C)):
            lanes[goal + i] = lanes[read + i]


@kernel
def fold(sums, start, width, C):
    """Add all of `width` lanes from `start` on to the first C of them."""
    goal = natural(start)
    for first in range(start + C, start + width, C):
        read = natural(first)
        for i in range(natural(C)):
            sums[goal + i] += sums[read + i]
