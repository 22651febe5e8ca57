# Written by `python -m tests.stubs`.
from typing import Any
import math
from typing import NamedTuple
import numpy as np
from .activation import largest, named, row, sum_of_exp
from .arguments import Floats, Integers
from .elementary import exp_or_zero, exp_to_one, log1p_unit, log_from_one, sigmoid
from .jit.compile import inline_kernel, parallel_kernel
from .vector.rows import column_load, rows_at, rows_fill, rows_load, rows_spread, rows_store, rows_sum, rows_together
from .vector.scalar import HALF, ONE, TWO, ZERO, positions, unsigned
from .vector.simd import lanes_of, lanes_store, where
CHUNK: int
class Classes(NamedTuple):
    weight: Floats
    smoothing: float
    ignored: int
def cross_entropy_of_labels(logits: Floats, labels: Integers, classes: Classes, scale: float, losses: Floats, dlogits: Floats, workers: int) -> None: ...
def cross_entropy_of_probabilities(logits: Floats, target: Floats, classes: Classes, scale: float, losses: Floats, dlogits: Floats, workers: int) -> None: ...
mse_loss: Any
binary_cross_entropy: Any
l1_loss: Any
huber_loss: Any
def nll_loss(log_probabilities: Floats, labels: Integers, classes: Classes, scale: float, losses: Floats, gradient: Floats, workers: int) -> None: ...
def hinge_loss(scores: Floats, labels: Integers, margin: float, scale: float, losses: Floats, gradient: Floats, workers: int) -> None: ...
def l2_penalty(parameter: Floats, gradient: Floats, weight: float, workers: int) -> None: ...
