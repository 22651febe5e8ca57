# Written by `python -m tests.stubs`.
from typing import Any
int64: Any
from .arguments import Floats, Width
from .jit.compile import parallel_kernel
from .vector.planes import lines_zeros
from .vector.scalar import positions
from .vector.simd import lanes_of
from .vector.strips import pixels_at
from .vector.tile import tile_multiply_add, tile_store
STEPS: int
def multiply_add(x: Floats, w: Floats, y: Floats, rounds: int, height: Width, width: Width, workers: int) -> None: ...
def negate(x: Floats, y: Floats, workers: int) -> None: ...
