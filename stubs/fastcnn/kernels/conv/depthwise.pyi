# Written by `python -m tests.stubs`.
from typing import Any
from ..jit.compile import kernel, parallel_kernel
from ..vector.scalar import unsigned
from ..vector.simd import PIXELS, TAPS, lanes_load, lanes_of, lanes_store
from ..vector.strips import lanes_multiply_add, pixels_multiply_add, pixels_multiply_add_3, pixels_prefetch, pixels_start, pixels_store, taps_load, taps_multiply_add, taps_multiply_add_3, taps_store
BAND: int
CHANNELS: int
def convolve(x, rows, runs, offsets, numbers, N, C, weight, bias, y, workers) -> None: ...
def backward_weight(x, rows, runs, offsets, numbers, N, C, dy, partial, chunks, workers) -> None: ...
