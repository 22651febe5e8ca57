# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
from .arguments import Floats, Moments
from .jit.compile import kernel, parallel_kernel
from .jit.launch import add_to_counter
from .lanes import fold, repeat
from .vector.scalar import unsigned
from .vector.strips import pixels_at
from .vector.tile import LINE, tile_prefetch
sum_differences: Any
def sum_moments(x: Floats, moments: Moments, workers: int) -> None: ...
sum_written: Any
