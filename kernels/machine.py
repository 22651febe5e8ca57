"""What this machine can do at best: multiply-adds in registers, and copies of memory."""

from __future__ import annotations

from numba import int64

from .arguments import Floats, Width
from .jit.compile import parallel_kernel
from .vector.planes import lines_zeros
from .vector.scalar import positions
from .vector.simd import lanes_of
from .vector.strips import pixels_at
from .vector.tile import tile_multiply_add, tile_store

STEPS = 64  # outer products of one round


@parallel_kernel
def multiply_add(x: Floats, w: Floats, y: Floats, rounds: int, height: Width, width: Width, worker: int,
                 workers: int) -> None:
    """Add `rounds` * STEPS outer products of x (rows of STEPS) and w (STEPS, one tile row) to a tile, which y receives.

    The tile has a row for each element of `height` and a vector for each element of `width`.
    """
    lanes = len(width) * lanes_of(w)
    positions = pixels_at(int64(0), int64(STEPS), height)
    tile = lines_zeros(w, height, width)
    for _ in range(rounds):
        for step in range(STEPS):
            tile = tile_multiply_add(tile, x, positions, step, w, step * lanes)
    tile_store(tile, y, worker * len(height) * lanes, lanes)


@parallel_kernel
def negate(x: Floats, y: Floats, worker: int, workers: int) -> None:
    """y = -x: for a plain copy the compiler would call the C library, whose way around the caches is slower (measured)."""
    for i in positions(len(x), worker, workers):
        y[i] = -x[i]
