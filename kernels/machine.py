"""What this machine can do at best: multiply-adds in registers, and copies of memory."""

from __future__ import annotations

from numba import int64

from .arguments import Floats, Width
from .jit.compile import parallel_kernel
from .vector.scalar import positions
from .vector.simd import lanes_of
from .vector.tile import rows_of, tile_multiply_add, tile_store, tile_strided, tile_zeros

STEPS = 64  # outer products of one round


@parallel_kernel
def multiply_add(x: Floats, w: Floats, y: Floats, rounds: int, width: Width, worker: int, workers: int) -> None:
    """Add `rounds` * STEPS outer products of x (rows of STEPS) and w (STEPS, one tile row) to a tile, which y receives."""
    lanes = len(width) * lanes_of(w)
    positions = tile_strided(int64(0), int64(STEPS), width)
    tile = tile_zeros(w, width)
    for _ in range(rounds):
        for step in range(STEPS):
            tile = tile_multiply_add(tile, x, positions, step, w, step * lanes)
    tile_store(tile, y, worker * rows_of(width) * lanes, lanes)


@parallel_kernel
def negate(x: Floats, y: Floats, worker: int, workers: int) -> None:
    """y = -x: for a plain copy the compiler would call the C library, whose way around the caches is slower (measured)."""
    for i in positions(len(x), worker, workers):
        y[i] = -x[i]
