"""Activations and their gradients, element by element; softmax and log-softmax, row by row.

An activation is written as a function of one element, which a decorator turns into a kernel for arrays (n,).
Formulas and sources: fastcnn/reference/activation.py.
"""

import numpy as np

from . import elementary
from ._jit import inline_kernel, kernel, parallel_kernel
from .elementary import exp, log, log1p_unit, normal_density, normal_distribution
from .scalar import HALF, ONE, TWO, ZERO, constant, natural, positions, runs

THREE, SIX = np.float32(3), np.float32(6)
_selu_scale = constant(1.0507009873554805, 1.0507009873554805)
_selu_floor = constant(1.0507009873554805 * 1.6732632423543772, 1.0507009873554805 * 1.6732632423543772)


def named(function, name):
    """Give a generated function its own name, by which the disk cache tells kernels apart."""
    function.__name__ = function.__qualname__ = name
    return function


def _forward(scalar):
    """Kernel y[i] = scalar(x[i], parameter)."""
    name = scalar.__name__
    of_element = inline_kernel(named(scalar, f"{name}_of_element"))

    def loop(x, y, parameter, worker, workers):
        constant = x.dtype.type(parameter)
        for i in positions(len(x), worker, workers):
            y[i] = of_element(x[i], constant)

    return parallel_kernel(named(loop, name))


def _backward(scalar):
    """Kernel dx[i] = scalar(dy[i], saved[i], parameter), where saved is y or x."""
    name = scalar.__name__
    of_element = inline_kernel(named(scalar, f"{name}_of_element"))

    def loop(dy, saved, dx, parameter, worker, workers):
        constant = dy.dtype.type(parameter)
        for i in positions(len(dy), worker, workers):
            dx[i] = of_element(dy[i], saved[i], constant)

    return parallel_kernel(named(loop, name))


@_forward
def relu(x, _):
    """max(x, 0); NaN stays NaN."""
    return ZERO if x < ZERO else x


@parallel_kernel
def rectify(y, worker, workers):
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
    return _selu_scale(x) * x if x > ZERO else _selu_floor(x) * elementary.expm1(ZERO if x > ZERO else x)


@_backward
def selu_backward(dy, y, _):
    """y' is the scale above zero, else y + scale alpha."""
    return dy * (y + _selu_floor(y)) if y <= ZERO else dy * _selu_scale(y)


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
    e = exp(-abs(x))
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


@parallel_kernel
def softplus(x, y, beta, threshold, worker, workers):
    """y = log(1 + exp(beta x)) / beta, and x where beta x is above the threshold."""
    factor, inverse, limit = x.dtype.type(beta), x.dtype.type(1 / beta), x.dtype.type(threshold)
    for i in positions(len(x), worker, workers):
        z = factor * x[i]
        smooth = ((ZERO if z < ZERO else z) + log1p_unit(exp(-abs(z)))) * inverse
        y[i] = x[i] if z > limit else smooth


@parallel_kernel
def softplus_backward(dy, x, dx, beta, threshold, worker, workers):
    """dx = dy sigmoid(beta x), and dy where beta x is above the threshold."""
    factor, limit = x.dtype.type(beta), x.dtype.type(threshold)
    for i in positions(len(x), worker, workers):
        z = factor * x[i]
        dx[i] = dy[i] if z > limit else dy[i] * elementary.sigmoid(z)


@parallel_kernel
def prelu(x, slope, y, worker, workers):
    """y = x above zero, else slope * x; slope (width,) repeats those of the channels along runs of whole pixels."""
    width = len(slope)
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        start = natural(first)
        for lane in range(natural(min(width, end - first))):
            value = x[start + lane]
            y[start + lane] = value if value > ZERO else slope[lane] * value


@parallel_kernel
def prelu_backward(dy, x, slope, dx, sums, chunks, worker, workers):
    """dx = dy above zero, else slope * dy; sums (chunks, width) = sum of dy x below zero, for each lane."""
    width = len(slope)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        total = natural(chunk * width)
        for lane in range(natural(width)):
            sums[total + lane] = 0
        begin, end = runs(len(x), width, chunk, chunks)
        for first in range(begin, end, width):
            start = natural(first)
            for lane in range(natural(min(width, end - first))):
                value, slant = x[start + lane], dy[start + lane]
                dx[start + lane] = slant if value > ZERO else slope[lane] * slant
                sums[total + lane] += 0.0 if value > ZERO else float(slant) * float(value)


@kernel
def row(number, K):
    """Positions of row `number` of an array (rows, K)."""
    return range(natural(number * K), natural((number + 1) * K))


@kernel
def largest(x, number, K):
    """Largest element in row `number` of x (rows, K); four at a time, since each comparison waits for the one before."""
    first = natural(number * K)
    a = b = c = d = x[first]
    for i in range(natural(K // 4)):
        at = first + natural(4) * i
        a = x[at] if x[at] > a else a
        b = x[at + natural(1)] if x[at + natural(1)] > b else b
        c = x[at + natural(2)] if x[at + natural(2)] > c else c
        d = x[at + natural(3)] if x[at + natural(3)] > d else d
    for i in range(first + natural(K // 4 * 4), first + natural(K)):
        a = x[i] if x[i] > a else a
    a, c = b if b > a else a, d if d > c else c
    return c if c > a else a


@parallel_kernel
def softmax(x, y, K, worker, workers):
    """y = exp(x) / sum of exp(x) in each row of x, y (rows, K), shifted by the row's maximum."""
    rows = len(x) // K
    for number in range(rows * worker // workers, rows * (worker + 1) // workers):
        shift = largest(x, number, K)
        total = x.dtype.type(0)
        for i in row(number, K):
            y[i] = exp(x[i] - shift)
            total += y[i]
        for i in row(number, K):
            y[i] /= total


@parallel_kernel
def softmax_backward(dy, y, dx, K, worker, workers):
    """dx = y (dy - <dy, y>) in each row of dy, y, dx (rows, K)."""
    rows = len(y) // K
    for number in range(rows * worker // workers, rows * (worker + 1) // workers):
        product = y.dtype.type(0)
        for i in row(number, K):
            product += dy[i] * y[i]
        for i in row(number, K):
            dx[i] = y[i] * (dy[i] - product)


@parallel_kernel
def log_softmax(x, y, K, worker, workers):
    """y = x - log of the sum of exp(x) in each row of x, y (rows, K), shifted by the row's maximum."""
    rows = len(x) // K
    for number in range(rows * worker // workers, rows * (worker + 1) // workers):
        shift = largest(x, number, K)
        total = x.dtype.type(0)
        for i in row(number, K):
            total += exp(x[i] - shift)
        total = log(total)
        for i in row(number, K):
            y[i] = x[i] - shift - total


@parallel_kernel
def log_softmax_backward(dy, y, dx, K, worker, workers):
    """dx = dy - exp(y) sum(dy) in each row of dy, y, dx (rows, K)."""
    rows = len(y) // K
    for number in range(rows * worker // workers, rows * (worker + 1) // workers):
        total = y.dtype.type(0)
        for i in row(number, K):
            total += dy[i]
        for i in row(number, K):
            dx[i] = dy[i] - exp(y[i]) * total
