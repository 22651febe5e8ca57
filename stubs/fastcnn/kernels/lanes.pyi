# Written by `python -m tests.stubs`.
from typing import Any
from .arguments import Floats
from .jit.compile import kernel, parallel_kernel
from .vector.scalar import unsigned
repeat: Any
def spread(values: Floats, C: int, lanes: Floats, workers: int) -> None: ...
fold: Any
def totals(sums: Floats, values: Floats, workers: int) -> None: ...
