# Written by `python -m tests.stubs`.
from typing import Any
from ..jit.compile import kernel, parallel_kernel
from ..vector.planes import filter_multiply_add, filter_sums, planes_store, planes_tile, zip_vectors
from ..vector.scalar import unsigned
from ..vector.simd import PLANES, lanes_of
from ..vector.tile import tile_multiply_add, tile_prefetch, tile_store
from .products import copy_run, zero_run
AHEAD: int
def narrow_forward(x, window, plans, taps, weight, bias, floor, y, scratch, workers) -> None: ...
def narrow_backward_weight(x, window, plans, taps, dy, chunks, partial, lines, run, fold, scratch, workers) -> None: ...
def narrow_sum(partial, window, plans, chunks, fold, run, dw, workers) -> None: ...
