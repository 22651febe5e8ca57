# Written by `python -m tests.stubs`.
from typing import Any
from .jit.compile import kernel, parallel_kernel
from .vector.scalar import unsigned
from .vector.simd import lanes_load, lanes_of, lanes_store, lanes_zero
def resample(x, H, W, C, row_starts, row_sources, row_weights, column_starts, column_sources, column_weights, fill, lines, y, workers) -> None: ...
