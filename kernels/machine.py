"""What this machine can do at best: multiply-adds in registers, and copies of memory."""

from ._jit import parallel_kernel
from .scalar import positions
from .simd import ROWS, VECTORS, lanes_of, tile_multiply_add, tile_rows, tile_store

STEPS = 64  # outer products of one round


@parallel_kernel
def multiply_add(x, w, y, rounds, worker, workers):
    """Add `rounds` * STEPS outer products of x (ROWS * STEPS) and w (STEPS, one tile row) to a tile, which y receives."""
    width = VECTORS * lanes_of(w)
    tile = tile_rows(w, 0, VECTORS)
    for _ in range(rounds):
        for step in range(STEPS):
            tile = tile_multiply_add(tile, x, step, STEPS, w, step * width)
    tile_store(tile, y, worker * ROWS * width, width)


@parallel_kernel
def negate(x, y, worker, workers):
    """y = -x: for a plain copy the compiler would call the C library, whose way around the caches is slower (measured)."""
    for i in positions(len(x), worker, workers):
        y[i] = -x[i]
