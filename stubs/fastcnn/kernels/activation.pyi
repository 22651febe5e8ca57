# Written by `python -m tests.stubs`.
from typing import Any
import math
import numpy as np
from . import elementary
from .arguments import Floats
from .elementary import exp, exp_or_zero, exp_to_one, log1p_unit, log_from_one, normal_density, normal_distribution
from .jit.compile import inline_kernel, interleaved_kernel, kernel, parallel_kernel
from .vector.rows import rows_at, rows_fill, rows_largest, rows_load, rows_spread, rows_store, rows_sum, rows_together
from .vector.scalar import HALF, ONE, TWO, ZERO, at_least, constant, positions, quotient, runs, unsigned
from .vector.simd import lanes_of
THREE: Any
SIX: Any
named: Any
relu: Any
def rectify(y: Floats, workers: int) -> None: ...
relu_backward: Any
leaky_relu: Any
leaky_relu_backward: Any
sigmoid: Any
sigmoid_backward: Any
tanh: Any
tanh_backward: Any
softsign: Any
softsign_backward: Any
elu: Any
elu_backward: Any
gelu: Any
gelu_backward: Any
silu: Any
silu_backward: Any
selu: Any
selu_backward: Any
hardswish: Any
hardswish_backward: Any
mish: Any
mish_backward: Any
def softplus(x: Floats, y: Floats, beta: float, threshold: float, workers: int) -> None: ...
def softplus_backward(dy: Floats, x: Floats, dx: Floats, beta: float, threshold: float, workers: int) -> None: ...
def prelu(x: Floats, slope: Floats, y: Floats, workers: int) -> None: ...
def prelu_backward(dy: Floats, x: Floats, slope: Floats, dx: Floats, sums: Floats, chunks: int, workers: int) -> None: ...
row: Any
largest: Any
def softmax(x: Floats, y: Floats, K: int, workers: int) -> None: ...
def softmax_backward(dy: Floats, y: Floats, dx: Floats, K: int, workers: int) -> None: ...
sum_of_exp: Any
def log_softmax(x: Floats, y: Floats, K: int, workers: int) -> None: ...
def log_softmax_backward(dy: Floats, y: Floats, dx: Floats, K: int, workers: int) -> None: ...
