# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
import numpy as np
from .arguments import Floats
from .jit.compile import kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.scalar import unsigned
from .vector.strips import pixels_at
from .vector.tile import LINE, tile_prefetch
class Moments(NamedTuple):
    values: Floats
    chunks: int
    size: int
    rows: int
    C: int
sum_differences: Any
def sum_moments(x: Floats, moments: Moments, workers: int) -> None: ...
