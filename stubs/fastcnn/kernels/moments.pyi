# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
import numpy as np
from .arguments import Floats
from .jit.compile import kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.planes import lines_load, lines_zeros
from .vector.scalar import unsigned
from .vector.simd import VECTOR_BYTES, lanes_of
from .vector.tile import doubles_add, doubles_load, tile_doubles, tile_prefetch
class Moments(NamedTuple):
    values: Floats
    chunks: int
    size: int
    rows: int
    C: int
ONE: Any
LINE: Any
RUNS: int
sum_differences: Any
def sum_moments(x: Floats, moments: Moments, workers: int) -> None: ...
