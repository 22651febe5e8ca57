"""One step of each optimizer: parameter and state (n,) change in place.

The weights of a running mean, beta and rest = 1 - beta, both come from outside: computed here, LLVM would turn the mean into
new + beta (old - new), which loses what is small beside the new and makes NaN of infinity.

Formulas and sources: fastcnn/reference/optim.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .arguments import Floats
from .jit.compile import parallel_kernel
from .vector.scalar import ONE, ZERO, positions, quotient, runs, unsigned

CHUNK = 4096  # elements whose squares are added up by one worker
FILTERS = 16  # columns that belong to one worker: a cache line of them


class Gradient(NamedTuple):
    """What a step takes for the gradient: scale values + decay parameter. `zero` sets the values to zero afterwards."""

    values: Floats  # (n,)
    scale: float
    decay: float
    zero: bool


class Step(NamedTuple):
    """Numbers of a step with running means, mean = beta mean + rest new, of which an optimizer has one or two."""

    rate: float
    eps: float
    beta1: float
    rest1: float
    beta2: float = 0.0
    rest2: float = 0.0
    root_scale: float = 1.0  # multiplies the root of a mean of squares,
    shrink: float = 1.0  # and this the parameter


@parallel_kernel
def sgd(parameter: Floats, gradient: Gradient, velocity: Floats, lr: float, momentum: float, nesterov: bool,
        worker: int, workers: int) -> None:
    """velocity = momentum velocity + gradient; step by lr velocity, or with Nesterov one momentum ahead."""
    real, values = parameter.dtype.type, gradient.values
    rate, kept, decay, scale = real(lr), real(momentum), real(gradient.decay), real(gradient.scale)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i] + decay * parameter[i]
        speed = kept * velocity[i] + slope
        velocity[i] = speed
        parameter[i] -= rate * (slope + kept * speed if nesterov else speed)
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def adam(parameter: Floats, gradient: Gradient, first: Floats, second: Floats, step: Step,
         worker: int, workers: int) -> None:
    """Step by rate first / (root_scale sqrt(second) + eps), with first and second the running means of gradient and
    its square.
    """
    real, values = parameter.dtype.type, gradient.values
    rate, bias, small, kept = real(step.rate), real(step.root_scale), real(step.eps), real(step.shrink)
    decay, scale = real(gradient.decay), real(gradient.scale)
    old1, new1, old2, new2 = real(step.beta1), real(step.rest1), real(step.beta2), real(step.rest2)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i] + decay * parameter[i]
        first[i] = old1 * first[i] + new1 * slope
        second[i] = old2 * second[i] + new2 * (slope * slope)
        parameter[i] = kept * parameter[i] - rate * first[i] / (bias * np.sqrt(second[i]) + small)
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def rmsprop(parameter: Floats, gradient: Gradient, square: Floats, step: Step, worker: int, workers: int) -> None:
    """square = beta1 square + rest1 gradient^2; step by rate gradient / (sqrt(square) + eps)."""
    real, values = parameter.dtype.type, gradient.values
    rate, old, new, small = real(step.rate), real(step.beta1), real(step.rest1), real(step.eps)
    decay, scale = real(gradient.decay), real(gradient.scale)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i] + decay * parameter[i]
        square[i] = old * square[i] + new * (slope * slope)
        parameter[i] -= rate * slope / (np.sqrt(square[i]) + small)
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def adagrad(parameter: Floats, gradient: Gradient, square: Floats, lr: float, eps: float, worker: int, workers: int) -> None:
    """square += gradient^2; step by lr gradient / (sqrt(square) + eps)."""
    real, values = parameter.dtype.type, gradient.values
    rate, small, decay, scale = real(lr), real(eps), real(gradient.decay), real(gradient.scale)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i] + decay * parameter[i]
        square[i] += slope * slope
        parameter[i] -= rate * slope / (np.sqrt(square[i]) + small)
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def sum_of_squares(gradient: Floats, sums: Floats, worker: int, workers: int) -> None:
    """Sum of the squares of each chunk of the gradient."""
    chunks = len(sums)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        total = 0.0
        for i in range(unsigned(chunk * CHUNK), unsigned(min((chunk + 1) * CHUNK, len(gradient)))):
            total += np.float64(gradient[i]) * np.float64(gradient[i])
        sums[chunk] = total


@parallel_kernel
def adadelta(parameter: Floats, gradient: Gradient, square: Floats, change: Floats, step: Step,
             worker: int, workers: int) -> None:
    """Step by rate sqrt(change + eps) / sqrt(square + eps) gradient; both are running means of squares."""
    real, values = parameter.dtype.type, gradient.values
    rate, old, new, small = real(step.rate), real(step.beta1), real(step.rest1), real(step.eps)
    decay, scale = real(gradient.decay), real(gradient.scale)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i] + decay * parameter[i]
        square[i] = old * square[i] + new * (slope * slope)
        ratio = quotient(np.sqrt(change[i] + small), np.sqrt(square[i] + small)) * slope
        change[i] = old * change[i] + new * (ratio * ratio)
        parameter[i] -= rate * ratio
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def adamax(parameter: Floats, gradient: Gradient, first: Floats, largest: Floats, step: Step,
           worker: int, workers: int) -> None:
    """Step by rate first / largest, with first the running mean of gradients and largest their fading maximum."""
    real, values = parameter.dtype.type, gradient.values
    rate, old, new, fade, small = real(step.rate), real(step.beta1), real(step.rest1), real(step.beta2), real(step.eps)
    decay, scale = real(gradient.decay), real(gradient.scale)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i] + decay * parameter[i]
        first[i] = old * first[i] + new * slope
        size, faded = abs(slope) + small, fade * largest[i]
        largest[i] = size if faded <= size or np.isnan(size) else faded
        parameter[i] -= rate * first[i] / largest[i]
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def lion(parameter: Floats, gradient: Gradient, first: Floats, step: Step, worker: int, workers: int) -> None:
    """Step by rate against the sign of beta1 first + rest1 gradient; first = beta2 first + rest2 gradient.

    The decay of the gradient belongs to the step: it shrinks the parameter and leaves the mean as it is.
    """
    real, values = parameter.dtype.type, gradient.values
    rate, decay, scale = real(step.rate), real(gradient.decay), real(gradient.scale)
    old1, new1, old2, new2 = real(step.beta1), real(step.rest1), real(step.beta2), real(step.rest2)
    for i in positions(len(parameter), worker, workers):
        slope = scale * values[i]
        mean = old1 * first[i] + new1 * slope
        sign = ONE if mean > ZERO else -ONE if mean < ZERO else mean
        parameter[i] -= rate * (sign + decay * parameter[i])
        first[i] = old2 * first[i] + new2 * slope
        if gradient.zero:
            values[i] = ZERO


@parallel_kernel
def clip_values(gradient: Floats, limit: float, worker: int, workers: int) -> None:
    """gradient within -limit and limit; NaN stays."""
    bound = gradient.dtype.type(limit)
    for i in positions(len(gradient), worker, workers):
        value = gradient[i]
        value = bound if value > bound else value
        gradient[i] = -bound if value < -bound else value


@parallel_kernel
def clip_norms(weight: Floats, K: int, limit: float, sums: Floats, worker: int, workers: int) -> None:
    """Filters, the columns of weight (rows, K), scaled down to the norm `limit` where theirs is above; NaN stays.

    sums (K,), float64, receives their squares, added up row by row, and then their scales.
    """
    start, stop = runs(K, FILTERS, worker, workers)
    first, last = unsigned(start), unsigned(stop)
    for k in range(first, last):
        sums[k] = 0.0
    for row in range(0, len(weight), K):
        for k in range(first, last):
            value = np.float64(weight[unsigned(row) + k])
            sums[k] += value * value
    for k in range(first, last):
        norm = np.sqrt(sums[k])
        sums[k] = limit / (norm + 1e-7) if norm > limit else 1.0
    for row in range(0, len(weight), K):
        for k in range(first, last):
            weight[unsigned(row) + k] *= weight.dtype.type(sums[k])
