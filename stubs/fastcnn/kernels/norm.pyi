# Written by `python -m tests.stubs`.
from typing import Any
import math
from typing import NamedTuple
import numpy as np
from .arguments import Floats
from .jit.compile import inline_kernel, kernel, ordered_kernel, parallel_kernel
from .lanes import fold, repeat
from .moments import Moments, sum_differences
from .vector.planes import lines_load, lines_zeros
from .vector.scalar import ZERO, runs, unsigned
from .vector.simd import lanes_fill, lanes_load, lanes_of, lanes_store, lanes_sum, lanes_zero, where
from .vector.tile import tile_add_doubles, tile_prefetch
ROW_ELEMENTS: Any
class Norm(NamedTuple):
    gamma: Floats
    beta: Floats
    eps: float
class Running(NamedTuple):
    mean: Floats
    var: Floats
    momentum: float
class Groups(NamedTuple):
    mean: Floats
    inverse_std: Floats
    count: int
class Forward(NamedTuple):
    x: Floats
    gamma: Floats
    mean: Floats
    inverse_std: Floats
    groups: int
class Sums(NamedTuple):
    centre: Floats
    values: Floats
    chunks: int
    rows: int
class Affine(NamedTuple):
    centre: Floats
    scale: Floats
    offset: Floats
class Slopes(NamedTuple):
    centre: Floats
    scale: Floats
    slope: Floats
    offset: Floats
class Passed(NamedTuple):
    dy: Floats
    source: Floats
    centre: Floats
    scale: Floats
    offset: Floats
    relu: bool
def products(x: Floats, passed: Passed, sums: Sums, workers: int) -> None: ...
def training(moments: Moments, norm: Norm, running: Running, mean: Floats, inverse_std: Floats, affine: Floats, workers: int) -> None: ...
def inference(norm: Norm, running_mean: Floats, running_var: Floats, mean: Floats, inverse_std: Floats, affine: Floats, workers: int) -> None: ...
def normalise(x: Floats, affine: Floats, residual: Floats, relu: bool, y: Floats, workers: int) -> None: ...
def coefficients(sums: Sums, gamma: Floats, inverse_std: Floats, dgamma: Floats, dbeta: Floats, slopes: Floats, workers: int) -> None: ...
def gradient(x: Floats, passed: Passed, centre: Floats, slopes: Floats, dx: Floats, workers: int) -> None: ...
def group_norm(x: Floats, norm: Norm, groups: Groups, sums: Floats, workspace: Floats, y: Floats, workers: int) -> None: ...
def group_norm_backward(dy: Floats, forward: Forward, sums: Floats, workspace: Floats, dx: Floats, products: Floats, workers: int) -> None: ...
def add_products(products: Floats, rows: int, dgamma: Floats, dbeta: Floats, workers: int) -> None: ...
def row_norm(x: Floats, norm: Norm, groups: Groups, y: Floats, workers: int) -> None: ...
def row_norm_backward(dy: Floats, forward: Forward, workspace: Floats, dx: Floats, sums: Floats, chunks: int, workers: int) -> None: ...
