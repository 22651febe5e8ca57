"""One step of each optimizer: parameter and state (n,) change in place. `scale` multiplies the gradient, which is as before
afterwards, or zero with `zero`.

Formulas and sources: fastcnn/reference/optim.py.
"""

import numpy as np

from .jit.compile import parallel_kernel
from .vector.scalar import ONE, ZERO, positions, quotient, runs, unsigned

CHUNK = 4096  # elements whose squares are added up by one worker
FILTERS = 16  # columns that belong to one worker: a cache line of them


@parallel_kernel
def sgd(parameter, gradient, velocity, lr, momentum, nesterov, weight_decay, scale, zero, worker, workers):
    """velocity = momentum velocity + gradient; step by lr velocity, or with Nesterov one momentum ahead."""
    real = parameter.dtype.type
    rate, kept, decay, share = real(lr), real(momentum), real(weight_decay), real(scale)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i] + decay * parameter[i]
        speed = kept * velocity[i] + slope
        velocity[i] = speed
        parameter[i] -= rate * (slope + kept * speed if nesterov else speed)
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def adam(parameter, gradient, first, second, rate, beta1, rest1, beta2, rest2, root_scale, eps, shrink, decay, scale,
         zero, worker, workers):
    """Step by rate first / (root_scale sqrt(second) + eps), with first and second the running means of gradient and
    its square; `shrink` multiplies the parameter, `decay` times the parameter joins the gradient.

    `rest1` is 1 - beta1: computed here, LLVM would turn the mean into new + beta (old - new), which loses what is small
    beside the new and makes NaN of infinity.
    """
    real = parameter.dtype.type
    step, bias, small, kept, coupled = real(rate), real(root_scale), real(eps), real(shrink), real(decay)
    old1, new1, old2, new2, share = real(beta1), real(rest1), real(beta2), real(rest2), real(scale)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i] + coupled * parameter[i]
        first[i] = old1 * first[i] + new1 * slope
        second[i] = old2 * second[i] + new2 * (slope * slope)
        parameter[i] = kept * parameter[i] - step * first[i] / (bias * np.sqrt(second[i]) + small)
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def rmsprop(parameter, gradient, square, lr, alpha, rest, eps, weight_decay, scale, zero, worker, workers):
    """square = alpha square + rest gradient^2, rest = 1 - alpha; step by lr gradient / (sqrt(square) + eps)."""
    real = parameter.dtype.type
    rate, old, new, small, decay = real(lr), real(alpha), real(rest), real(eps), real(weight_decay)
    share = real(scale)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i] + decay * parameter[i]
        square[i] = old * square[i] + new * (slope * slope)
        parameter[i] -= rate * slope / (np.sqrt(square[i]) + small)
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def adagrad(parameter, gradient, square, lr, eps, weight_decay, scale, zero, worker, workers):
    """square += gradient^2; step by lr gradient / (sqrt(square) + eps)."""
    real = parameter.dtype.type
    rate, small, decay, share = real(lr), real(eps), real(weight_decay), real(scale)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i] + decay * parameter[i]
        square[i] += slope * slope
        parameter[i] -= rate * slope / (np.sqrt(square[i]) + small)
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def sum_of_squares(gradient, sums, worker, workers):
    """Sum of the squares of each chunk of the gradient."""
    chunks = len(sums)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        total = 0.0
        for i in range(unsigned(chunk * CHUNK), unsigned(min((chunk + 1) * CHUNK, len(gradient)))):
            total += np.float64(gradient[i]) * np.float64(gradient[i])
        sums[chunk] = total


@parallel_kernel
def adadelta(parameter, gradient, square, change, lr, rho, rest, eps, weight_decay, scale, zero, worker, workers):
    """Step by lr sqrt(change + eps) / sqrt(square + eps) gradient, with running means of squares, rest = 1 - rho."""
    real = parameter.dtype.type
    rate, old, new, small, decay, share = real(lr), real(rho), real(rest), real(eps), real(weight_decay), real(scale)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i] + decay * parameter[i]
        square[i] = old * square[i] + new * (slope * slope)
        step = quotient(np.sqrt(change[i] + small), np.sqrt(square[i] + small)) * slope
        change[i] = old * change[i] + new * (step * step)
        parameter[i] -= rate * step
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def adamax(parameter, gradient, first, largest, rate, beta1, rest1, beta2, eps, weight_decay, scale, zero, worker, workers):
    """Step by rate first / largest, with first the running mean of gradients and largest their fading maximum."""
    real = parameter.dtype.type
    step, old, new, fade = real(rate), real(beta1), real(rest1), real(beta2)
    small, decay, share = real(eps), real(weight_decay), real(scale)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i] + decay * parameter[i]
        first[i] = old * first[i] + new * slope
        size, faded = abs(slope) + small, fade * largest[i]
        largest[i] = size if faded <= size or np.isnan(size) else faded
        parameter[i] -= step * first[i] / largest[i]
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def lion(parameter, gradient, first, lr, beta1, rest1, beta2, rest2, weight_decay, scale, zero, worker, workers):
    """Step by lr against the sign of beta1 first + rest1 gradient; first = beta2 first + rest2 gradient, rest = 1 - beta."""
    real = parameter.dtype.type
    rate, decay, share = real(lr), real(weight_decay), real(scale)
    old1, new1, old2, new2 = real(beta1), real(rest1), real(beta2), real(rest2)
    for i in positions(len(parameter), worker, workers):
        slope = share * gradient[i]
        mean = old1 * first[i] + new1 * slope
        sign = ONE if mean > ZERO else -ONE if mean < ZERO else mean
        parameter[i] -= rate * (sign + decay * parameter[i])
        first[i] = old2 * first[i] + new2 * slope
        if zero:
            gradient[i] = ZERO


@parallel_kernel
def clip_values(gradient, limit, worker, workers):
    """gradient within -limit and limit; NaN stays."""
    bound = gradient.dtype.type(limit)
    for i in positions(len(gradient), worker, workers):
        value = gradient[i]
        value = bound if value > bound else value
        gradient[i] = -bound if value < -bound else value


@parallel_kernel
def clip_norms(weight, K, limit, sums, worker, workers):
    """Filters, the columns of weight (rows, K), scaled down to the norm `limit` where theirs is above; NaN stays.

    sums (K,), float64, has room for their squares, added up row by row, and then for their scales.
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
