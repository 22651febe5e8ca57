# Written by `python -m tests.stubs`.
from typing import Any
import math
import numpy as np
from . import elementary
from .elementary import exp, exp_or_zero, exp_to_one, log1p_unit, log_from_one, normal_density, normal_distribution
from .jit.compile import inline_kernel, interleaved_kernel, kernel, parallel_kernel
from .vector.rows import rows_at, rows_fill, rows_largest, rows_load, rows_spread, rows_store, rows_sum, rows_together
from .vector.scalar import HALF, ONE, TWO, ZERO, at_least, constant, positions, quotient, runs, unsigned
from .vector.simd import lanes_of
THREE: Any
SIX: Any
named: Any
relu: Any
def rectify(y, workers) -> None: ...
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
def softplus(x, y, beta, threshold, workers) -> None: ...
def softplus_backward(dy, x, dx, beta, threshold, workers) -> None: ...
def prelu(x, slope, y, workers) -> None: ...
def prelu_backward(dy, x, slope, dx, sums, chunks, workers) -> None: ...
row: Any
largest: Any
def softmax(x, y, K, workers) -> None: ...
def softmax_backward(dy, y, dx, K, workers) -> None: ...
sum_of_exp: Any
def log_softmax(x, y, K, workers) -> None: ...
def log_softmax_backward(dy, y, dx, K, workers) -> None: ...
