# Written by `python -m tests.stubs`.
from typing import Any
import math
import numpy as np
from .activation import largest, named, row, sum_of_exp
from .elementary import exp_or_zero, exp_to_one, log1p_unit, log_from_one, sigmoid
from .jit.compile import inline_kernel, parallel_kernel
from .vector.rows import column_pick, rows_at, rows_fill, rows_load, rows_spread, rows_store, rows_sum, rows_together, rows_weigh
from .vector.scalar import HALF, ONE, TWO, ZERO, positions, unsigned
from .vector.simd import lanes_of, lanes_store
CHUNK: int
def cross_entropy_of_labels(logits, labels, ignored, weight, smoothing, scale, losses, dlogits, workers) -> None: ...
def cross_entropy_of_probabilities(logits, target, weight, smoothing, scale, losses, dlogits, workers) -> None: ...
mse_loss: Any
binary_cross_entropy: Any
l1_loss: Any
huber_loss: Any
def nll_loss(log_probabilities, labels, ignored, weight, scale, losses, gradient, workers) -> None: ...
def hinge_loss(scores, labels, K, margin, scale, losses, gradient, workers) -> None: ...
def l2_penalty(parameter, gradient, weight, workers) -> None: ...
