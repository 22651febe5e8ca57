# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
import numpy as np
from .arguments import Floats, Geometry, Indices
from .jit.compile import inline_kernel, kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.rows import rows_load, rows_store
from .vector.scalar import ZERO, quotient, unsigned
from .vector.simd import integers_fill, integers_load, lanes_fill, lanes_load, lanes_of, lanes_store, lanes_zero, where
from .vector.strips import pixels_at
STRIP: Any
class Maxima(NamedTuple):
    y: Floats
    argmax: Indices
    relu: bool
class Grid(NamedTuple):
    first: int
    rows: int
    columns: int
    down: int
    right: int
def max_pool2d(x: Floats, window: Geometry, relu: bool, y: Floats, argmax: Indices, workers: int) -> None: ...
def adaptive_max_pool2d(x: Floats, parts: Geometry, y: Floats, argmax: Indices, workers: int) -> None: ...
def max_pool2d_backward(dy: Floats, maxima: Maxima, pixels: int, C: int, dx: Floats, workers: int) -> None: ...
def max_pool2d_backward_disjoint(dy: Floats, maxima: Maxima, window: Geometry, dx: Floats, workers: int) -> None: ...
def avg_pool2d(x: Floats, window: Geometry, count_padding: bool, y: Floats, workers: int) -> None: ...
def avg_pool2d_backward(dy: Floats, window: Geometry, count_padding: bool, workspace: Floats, dx: Floats, workers: int) -> None: ...
def global_avg_pool2d(x: Floats, N: int, pixels: int, C: int, lanes: Floats, y: Floats, workers: int) -> None: ...
def global_avg_pool2d_backward(dy: Floats, N: int, pixels: int, C: int, lanes: Floats, dx: Floats, workers: int) -> None: ...
