# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
from .arguments import Floats, Integers
from .jit.compile import kernel, parallel_kernel
from .vector.scalar import unsigned
from .vector.simd import lanes_load, lanes_of, lanes_store, lanes_zero
class Table(NamedTuple):
    starts: Integers
    sources: Integers
    weights: Floats
    inputs: int
    fill: float = ...
def resample(x: Floats, C: int, rows: Table, columns: Table, workspace: Floats, y: Floats, workers: int) -> None: ...
