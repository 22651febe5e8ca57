"""Dropout with counter-based random numbers: element and seed alone decide, whatever the number of workers.

Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
"""

from __future__ import annotations

from .arguments import Booleans, Floats, Integers
from .jit.compile import inline_kernel, parallel_kernel
from .vector.scalar import ZERO, positions, unsigned

_ROUNDS = 10
_LOW, _HALF = unsigned(0xFFFFFFFF), unsigned(32)
_MULTIPLIER0, _MULTIPLIER1 = unsigned(0xD2511F53), unsigned(0xCD9E8D57)
_KEY_STEP0, _KEY_STEP1 = unsigned(0x9E3779B9), unsigned(0xBB67AE85)
_BLOCK = unsigned(4)


@inline_kernel
def philox(block, key0, key1):
    """Four random words of 32 bits for a counter of 64 bits and a key of two words."""
    c0, c1, c2, c3 = block & _LOW, block >> _HALF, unsigned(0), unsigned(0)
    for _ in range(_ROUNDS):
        first, second = _MULTIPLIER0 * c0, _MULTIPLIER1 * c2
        c0, c1 = (second >> _HALF) ^ c1 ^ key0, second & _LOW
        c2, c3 = (first >> _HALF) ^ c3 ^ key1, first & _LOW
        key0, key1 = (key0 + _KEY_STEP0) & _LOW, (key1 + _KEY_STEP1) & _LOW
    return c0, c1, c2, c3


@parallel_kernel
def dropout_mask(mask: Booleans, key: Integers, threshold: int, worker: int, workers: int) -> None:
    """mask[i] = word i % 4 of block i // 4 is at least `threshold`; mask is as long as whole blocks.

    The two words of the key lie in an array, so that the same launch gives another mask with another key.
    """
    word0, word1, limit = unsigned(key[0]), unsigned(key[1]), unsigned(threshold)
    for block in positions(len(mask) // 4, worker, workers):
        c0, c1, c2, c3 = philox(block, word0, word1)
        i = block * _BLOCK
        mask[i] = c0 >= limit
        mask[i + unsigned(1)] = c1 >= limit
        mask[i + unsigned(2)] = c2 >= limit
        mask[i + unsigned(3)] = c3 >= limit


@parallel_kernel
def dropout(x: Floats, mask: Booleans, scale: float, y: Floats, worker: int, workers: int) -> None:
    """y = x * scale where the mask kept the element, else 0: forward and, with dy for x, backward."""
    factor = x.dtype.type(scale)
    for i in positions(len(x), worker, workers):
        y[i] = x[i] * factor if mask[i] else ZERO


@parallel_kernel
def dropout2d(x: Floats, pixels: int, C: int, mask: Booleans, scale: float, y: Floats, worker: int, workers: int) -> None:
    """y = x * scale where mask (N, C) kept the channel of x (N, pixels, C), else 0."""
    factor = x.dtype.type(scale)
    rows = len(x) // C
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        start, kept = unsigned(row * C), unsigned(row // pixels * C)
        for i in range(unsigned(C)):
            y[start + i] = x[start + i] * factor if mask[kept + i] else ZERO
