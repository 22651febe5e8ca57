"""Activations and their gradients, element by element; softmax and log-softmax, row by row.

An activation is written as a function of one element, which a decorator turns into a kernel for arrays (n,).
Formulas and sources: fastcnn/reference/activation.py.
"""

from __future__ import annotations

import math

import numpy as np

from . import elementary
from .arguments import Floats
from .elementary import exp, exp_or_zero, exp_to_one, log1p_unit, log_from_one, normal_density, normal_distribution
from .jit.compile import inline_kernel, interleaved_kernel, kernel, parallel_kernel
from .vector.rows import rows_at, rows_fill, rows_largest, rows_load, rows_spread, rows_store, rows_sum, rows_together
from .vector.scalar import HALF, ONE, TWO, ZERO, at_least, constant, positions, quotient, runs, unsigned
from .vector.simd import lanes_of

THREE, SIX = np.float32(3), np.float32(6)
_selu_scale = constant(1.0507009873554805, 1.0507009873554805)
_selu_scale_alpha = constant(1.0507009873554805 * 1.6732632423543772, 1.0507009873554805 * 1.6732632423543772)


def named(function, name):
    """Give a generated function its own name, by which the disk cache tells kernels apart."""
    function.__name__ = function.__qualname__ = name
    return function


def _forward(scalar):
    """Kernel y[i] = scalar(x[i], parameter)."""
    name = scalar.__name__
    of_element = inline_kernel(named(scalar, f"{name}_of_element"))

    def loop(x: Floats, y: Floats, parameter: float, worker: int, workers: int) -> None:
        constant = x.dtype.type(parameter)
        for i in positions(len(x), worker, workers):
            y[i] = of_element(x[i], constant)

    return interleaved_kernel(named(loop, name))


def _backward(scalar):
    """Kernel dx[i] = scalar(dy[i], saved[i], parameter), where saved is y or x."""
    name = scalar.__name__
    of_element = inline_kernel(named(scalar, f"{name}_of_element"))

    def loop(dy: Floats, saved: Floats, dx: Floats, parameter: float, worker: int, workers: int) -> None:
        constant = dy.dtype.type(parameter)
        for i in positions(len(dy), worker, workers):
            dx[i] = of_element(dy[i], saved[i], constant)

    return interleaved_kernel(named(loop, name))


@_forward
def relu(x, _):
    """max(x, 0); NaN stays NaN."""
    return ZERO if x < ZERO else x


@parallel_kernel
def rectify(y: Floats, worker: int, workers: int) -> None:
    """ReLU in place: with two names for one array, the loop of `relu` would not vectorise."""
    for i in positions(len(y), worker, workers):
        y[i] = ZERO if y[i] < ZERO else y[i]


@_backward
def relu_backward(dy, y, _):
    """Pass dy where y is above zero."""
    return ZERO if y <= ZERO else dy


@_forward
def leaky_relu(x, slope):
    """x above zero, else slope * x."""
    return x if x > ZERO else slope * x


@_backward
def leaky_relu_backward(dy, y, slope):
    """Pass dy where y is above zero, else slope * dy."""
    return dy if y > ZERO else slope * dy


@_forward
def sigmoid(x, _):
    """1 / (1 + exp(-x))."""
    return elementary.sigmoid(x)


@_backward
def sigmoid_backward(dy, y, _):
    """y' = y (1 - y)."""
    return dy * y * (ONE - y)


@_forward
def tanh(x, _):
    """Hyperbolic tangent."""
    return elementary.tanh(x)


@_backward
def tanh_backward(dy, y, _):
    """y' = 1 - y^2."""
    return dy * (ONE - y * y)


@_forward
def softsign(x, _):
    """x / (1 + |x|)."""
    return quotient(x, ONE + abs(x))


@_backward
def softsign_backward(dy, y, _):
    """y' = (1 - |y|)^2."""
    rest = ONE - abs(y)
    return dy * (rest * rest)


@_forward
def elu(x, alpha):
    """x above zero, else alpha (exp(x) - 1)."""
    return x if x > ZERO else alpha * elementary.expm1(ZERO if x > ZERO else x)


@_backward
def elu_backward(dy, y, alpha):
    """y' is 1 above zero, else y + alpha."""
    return dy * (y + alpha) if y <= ZERO else dy


@_forward
def gelu(x, _):
    """x times the probability of a standard normal number below x."""
    return x * normal_distribution(x)


@_backward
def gelu_backward(dy, x, _):
    """y' = distribution(x) + x density(x)."""
    return dy * (normal_distribution(x) + x * normal_density(x))


@_forward
def silu(x, _):
    """x sigmoid(x)."""
    return x * elementary.sigmoid(x)


@_backward
def silu_backward(dy, x, _):
    """y' = s (1 + x (1 - s)) with s = sigmoid(x)."""
    s = elementary.sigmoid(x)
    return dy * s * (ONE + x * (ONE - s))


@_forward
def selu(x, _):
    """x above zero, else alpha (exp(x) - 1), times a scale."""
    return _selu_scale(x) * x if x > ZERO else _selu_scale_alpha(x) * elementary.expm1(ZERO if x > ZERO else x)


@_backward
def selu_backward(dy, y, _):
    """y' is the scale above zero, else y + scale alpha."""
    return dy * (y + _selu_scale_alpha(y)) if y <= ZERO else dy * _selu_scale(y)


@_forward
def hardswish(x, _):
    """x times a line that rises from 0 at -3 to 1 at 3."""
    line = x + THREE
    line = ZERO if line < ZERO else line
    line = SIX if line > SIX else line
    return x * (line / SIX)


@_backward
def hardswish_backward(dy, x, _):
    """y' = x / 3 + 1 / 2 between -3 and 3, 0 below and 1 above."""
    inside = dy * (x / THREE + HALF) if x < THREE else dy
    return ZERO if x <= -THREE else inside


@inline_kernel
def _tanh_of_softplus(x):
    """(t, 1 - t^2) with t = tanh(log(1 + exp(x))), a ratio of polynomials of exp(-|x|): nothing cancels or overflows."""
    e = exp_to_one(-abs(x))
    above = ONE + TWO * e if x > ZERO else e * (e + TWO)
    rest = TWO * e * e if x > ZERO else TWO
    below = above + rest
    return above / below, (rest / below) * ((above + below) / below)


@_forward
def mish(x, _):
    """x tanh(softplus(x))."""
    return x * _tanh_of_softplus(x)[0]


@_backward
def mish_backward(dy, x, _):
    """y' = t + x (1 - t^2) sigmoid(x) with t = tanh(softplus(x))."""
    t, rest = _tanh_of_softplus(x)
    return dy * (t + x * rest * elementary.sigmoid(x))


@interleaved_kernel
def softplus(x: Floats, y: Floats, beta: float, threshold: float, worker: int, workers: int) -> None:
    """y = log(1 + exp(beta x)) / beta, and x where beta x is above the threshold."""
    factor, inverse, limit = x.dtype.type(beta), x.dtype.type(1 / beta), x.dtype.type(threshold)
    for i in positions(len(x), worker, workers):
        z = factor * x[i]
        smooth = ((ZERO if z < ZERO else z) + log1p_unit(exp_to_one(-abs(z)))) * inverse
        y[i] = x[i] if z > limit else smooth


@interleaved_kernel
def softplus_backward(dy: Floats, x: Floats, dx: Floats, beta: float, threshold: float,
                      worker: int, workers: int) -> None:
    """dx = dy sigmoid(beta x), and dy where beta x is above the threshold."""
    factor, limit = x.dtype.type(beta), x.dtype.type(threshold)
    for i in positions(len(x), worker, workers):
        z = factor * x[i]
        dx[i] = dy[i] if z > limit else dy[i] * elementary.sigmoid(z)


@parallel_kernel
def prelu(x: Floats, slope: Floats, y: Floats, worker: int, workers: int) -> None:
    """y = x above zero, else slope * x; slope (width,) repeats those of the channels along runs of whole pixels."""
    width = len(slope)
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        start = unsigned(first)
        for lane in range(unsigned(min(width, end - first))):
            value = x[start + lane]
            y[start + lane] = value if value > ZERO else slope[lane] * value


@parallel_kernel
def prelu_backward(dy: Floats, x: Floats, slope: Floats, dx: Floats, sums: Floats, chunks: int,
                   worker: int, workers: int) -> None:
    """dx = dy above zero, else slope * dy; sums (chunks, width) = sum of dy x below zero, for each lane."""
    width = len(slope)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        total = unsigned(chunk * width)
        for lane in range(unsigned(width)):
            sums[total + lane] = 0
        begin, end = runs(len(x), width, chunk, chunks)
        for first in range(begin, end, width):
            start = unsigned(first)
            for lane in range(unsigned(min(width, end - first))):
                value, slant = x[start + lane], dy[start + lane]
                dx[start + lane] = slant if value > ZERO else slope[lane] * slant
                sums[total + lane] += 0.0 if value > ZERO else np.float64(slant) * np.float64(value)


@kernel
def row(n, K):
    """Positions of row n of an array (N, K)."""
    return range(unsigned(n * K), unsigned((n + 1) * K))


@inline_kernel
def largest(x, rows, K):
    """Largest element of each row (see rows.py) of K elements; where one is NaN, another."""
    best, lanes = rows_fill(x, -math.inf), lanes_of(x)
    for i in range(0, K, lanes):
        best = at_least(best, rows_load(x, rows, i, K - i, -math.inf))
    return rows_largest(best)


@parallel_kernel
def softmax(x: Floats, y: Floats, K: int, worker: int, workers: int) -> None:
    """y = exp(x) / sum of exp(x) in each row of x, y (N, K), shifted by the row's maximum."""
    N, lanes = len(x) // K, lanes_of(x)
    begin, end = N * worker // workers, N * (worker + 1) // workers
    for first in range(begin, end, rows_together(x)):
        rows = rows_at(x, first, end - first, K)
        shift = rows_spread(x, largest(x, rows, K))
        total = rows_fill(x, ZERO)
        for i in range(0, K, lanes):
            power = exp_or_zero(rows_load(x, rows, i, K - i, -math.inf) - shift)
            total = total + power
            rows_store(power, y, rows, i, K - i)
        factor = rows_spread(x, ONE / rows_sum(total))
        for i in range(0, K, lanes):
            rows_store(rows_load(y, rows, i, K - i, ZERO) * factor, y, rows, i, K - i)


@parallel_kernel
def softmax_backward(dy: Floats, y: Floats, dx: Floats, K: int, worker: int, workers: int) -> None:
    """dx = y (dy - <dy, y>) in each row of dy, y, dx (N, K); little arithmetic, for which row after row is faster."""
    N = len(y) // K
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        product = y.dtype.type(0)
        for i in row(n, K):
            product += dy[i] * y[i]
        for i in row(n, K):
            dx[i] = y[i] * (dy[i] - product)


@inline_kernel
def sum_of_exp(x, rows, K, shift):
    """Sum of exp(x - shift) in each row of K elements: a column."""
    total, lanes = rows_fill(x, ZERO), lanes_of(x)
    for i in range(0, K, lanes):
        total = total + exp_or_zero(rows_load(x, rows, i, K - i, -math.inf) - shift)
    return rows_sum(total)


@parallel_kernel
def log_softmax(x: Floats, y: Floats, K: int, worker: int, workers: int) -> None:
    """y = x - log of the sum of exp(x) in each row of x, y (N, K), shifted by the row's maximum."""
    N, lanes = len(x) // K, lanes_of(x)
    begin, end = N * worker // workers, N * (worker + 1) // workers
    for first in range(begin, end, rows_together(x)):
        rows = rows_at(x, first, end - first, K)
        shift = rows_spread(x, largest(x, rows, K))
        total = rows_spread(x, log_from_one(sum_of_exp(x, rows, K, shift)))
        for i in range(0, K, lanes):
            rows_store(rows_load(x, rows, i, K - i, ZERO) - shift - total, y, rows, i, K - i)


@parallel_kernel
def log_softmax_backward(dy: Floats, y: Floats, dx: Floats, K: int, worker: int, workers: int) -> None:
    """dx = dy - exp(y) sum(dy) in each row of dy, y, dx (N, K)."""
    N, lanes = len(y) // K, lanes_of(y)
    begin, end = N * worker // workers, N * (worker + 1) // workers
    for first in range(begin, end, rows_together(y)):
        rows = rows_at(y, first, end - first, K)
        total = rows_fill(y, ZERO)
        for i in range(0, K, lanes):
            total = total + rows_load(dy, rows, i, K - i, ZERO)
        total = rows_spread(y, rows_sum(total))
        for i in range(0, K, lanes):
            slope = rows_load(dy, rows, i, K - i, ZERO) - exp(rows_load(y, rows, i, K - i, ZERO)) * total
            rows_store(slope, dx, rows, i, K - i)
