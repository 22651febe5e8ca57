"""One step of each optimizer over flat buffers, in one pass: parameter and state change in place.

The formulas are PyTorch's; `step` counts from 1. `scale` multiplies the gradient, which is as before afterwards, or zero
with `zero`. A gradient whose square overflows (beyond 1.8e19 in float32) makes a running square infinite, and its element
stands still from then on, as in PyTorch: clip gradients that may be so large.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..kernels import optim as kernels
from ..kernels.jit import threads
from ..shapes import ShapeError, integer, real, same_shape
from . import arrays

__all__ = ["adadelta", "adagrad", "adam", "adamax", "clip_norms", "clip_values", "gradient_norm", "lion", "rmsprop", "sgd"]

_GRAIN = 16384  # elements that are worth a thread of their own
_shape = operator.attrgetter("shape")


def _buffers(function: str, parameter: np.ndarray, gradient: Any, decay: float, scale: float, zero: bool,
             **state: np.ndarray) -> tuple[Any, ...]:
    """Return parameter, kernels.Gradient and state, arrays (n,): all are written in place, the gradient only with `zero`."""
    given = [parameter, gradient, *state.values()]
    if not (arrays.fit(given) and len(set(map(_shape, given))) == 1):
        arrays.in_place(function, parameter=parameter, **state)
        if zero:
            arrays.in_place(function, gradient=gradient)
        values = {"parameter": parameter, "gradient": gradient, **state}
        given = arrays.floats(function, **values)
        for name, array in zip(values, given, strict=True):
            same_shape(function, name, array.shape, parameter.shape, "the shape of parameter")
    parameter, slopes, *rest = [array.ravel() for array in given]
    return parameter, kernels.Gradient(slopes, real(function, "scale", scale, 0), decay, bool(zero)), *rest


def gradient_norm(gradient: Any) -> float:
    """Root of the sum of squares of gradient (n,); not finite where an element is not."""
    return math.sqrt(sum_of_squares(arrays.as_floats("gradient_norm", "gradient", gradient)))


def sum_of_squares(array: np.ndarray) -> float:
    """Sum of the squares of all elements, taken in float64."""
    sums = np.empty(-(-array.size // kernels.CHUNK))
    kernels.sum_of_squares(array.ravel(), sums, threads.workers(array.size, 8 * _GRAIN))
    return float(sums.sum())


def sgd(parameter: np.ndarray, gradient: Any, velocity: np.ndarray, *, lr: float, momentum: float, nesterov: bool,
        weight_decay: float, step: int, scale: float = 1.0, zero: bool = False) -> None:
    """Gradient descent with momentum; step 1 sets velocity = gradient.

    g = scale gradient + weight_decay parameter; velocity = momentum velocity + g; parameter -= lr velocity, or with
    `nesterov` lr (g + momentum velocity).

    Sutskever et al., "On the importance of initialization and momentum", ICML 2013, section 2.
    """
    rate, momentum = real("sgd", "lr", lr, 0), real("sgd", "momentum", momentum, 0)
    decay = real("sgd", "weight_decay", weight_decay, 0)
    buffers = _buffers("sgd", parameter, gradient, decay, scale, zero, velocity=velocity)
    if integer("sgd", "step", step, 1) == 1:
        velocity.fill(0)
    kernels.sgd(*buffers, rate, momentum, bool(nesterov), threads.workers(parameter.size, _GRAIN))


def adam(parameter: np.ndarray, gradient: Any, first: np.ndarray, second: np.ndarray, *, lr: float, beta1: float,
         beta2: float, eps: float, weight_decay: float, decoupled: bool, step: int, scale: float = 1.0,
         zero: bool = False) -> None:
    """Adam, or AdamW with decoupled weight decay; the running means first and second start at 0.

    first = beta1 first + (1 - beta1) g; second = beta2 second + (1 - beta2) g^2; parameter -= lr (first / (1 - beta1^step))
    / (sqrt(second / (1 - beta2^step)) + eps), with g = scale gradient + weight_decay parameter, or `decoupled`: g = scale
    gradient and parameter *= 1 - lr weight_decay before.

    Kingma and Ba, "Adam", ICLR 2015, algorithm 1. Loshchilov and Hutter, "Decoupled Weight Decay
    Regularization", ICLR 2019, algorithm 2.
    """
    rate, small = real("adam", "lr", lr, 0), real("adam", "eps", eps, 0)
    beta1, beta2 = real("adam", "beta1", beta1, 0, below=1), real("adam", "beta2", beta2, 0, below=1)
    decay, step = real("adam", "weight_decay", weight_decay, 0), integer("adam", "step", step, 1)
    shrink, coupled = (1 - rate * decay, 0.0) if decoupled else (1.0, decay)
    numbers = kernels.Step(rate / (1 - beta1**step), small, beta1, 1 - beta1, beta2, 1 - beta2,
                           1 / math.sqrt(1 - beta2**step), shrink)
    kernels.adam(*_buffers("adam", parameter, gradient, coupled, scale, zero, first=first, second=second), numbers,
                 threads.workers(parameter.size, _GRAIN))


def rmsprop(parameter: np.ndarray, gradient: Any, square: np.ndarray, *, lr: float, alpha: float, eps: float,
            weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Divide by the root of a running mean of squares, which starts at 0.

    g = scale gradient + weight_decay parameter; square = alpha square + (1 - alpha) g^2; parameter -= lr g /
    (sqrt(square) + eps).

    Tieleman and Hinton, "Neural Networks for Machine Learning", 2012, lecture 6.5.
    """
    rate, alpha = real("rmsprop", "lr", lr, 0), real("rmsprop", "alpha", alpha, 0, 1)
    small, decay = real("rmsprop", "eps", eps, 0), real("rmsprop", "weight_decay", weight_decay, 0)
    kernels.rmsprop(*_buffers("rmsprop", parameter, gradient, decay, scale, zero, square=square),
                    kernels.Step(rate, small, alpha, 1 - alpha), threads.workers(parameter.size, _GRAIN))


def adagrad(parameter: np.ndarray, gradient: Any, square: np.ndarray, *, lr: float, eps: float,
            weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Divide by the root of the sum of all squares so far, which starts at 0.

    g = scale gradient + weight_decay parameter; square += g^2; parameter -= lr g / (sqrt(square) + eps).

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011, section 1.3.
    """
    rate, small = real("adagrad", "lr", lr, 0), real("adagrad", "eps", eps, 0)
    decay = real("adagrad", "weight_decay", weight_decay, 0)
    kernels.adagrad(*_buffers("adagrad", parameter, gradient, decay, scale, zero, square=square), rate, small,
                    threads.workers(parameter.size, _GRAIN))


def adadelta(parameter: np.ndarray, gradient: Any, square: np.ndarray, change: np.ndarray, *, lr: float, rho: float,
             eps: float, weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Step by the ratio of two running roots, of squared changes and of squared gradients; both start at 0.

    g = scale gradient + weight_decay parameter; square = rho square + (1 - rho) g^2; step = sqrt(change + eps) /
    sqrt(square + eps) g; change = rho change + (1 - rho) step^2; parameter -= lr step.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.
    """
    rate, rho = real("adadelta", "lr", lr, 0), real("adadelta", "rho", rho, 0, 1)
    small, decay = real("adadelta", "eps", eps, 0), real("adadelta", "weight_decay", weight_decay, 0)
    kernels.adadelta(*_buffers("adadelta", parameter, gradient, decay, scale, zero, square=square, change=change),
                     kernels.Step(rate, small, rho, 1 - rho), threads.workers(parameter.size, _GRAIN))


def adamax(parameter: np.ndarray, gradient: Any, first: np.ndarray, largest: np.ndarray, *, lr: float, beta1: float,
           beta2: float, eps: float, weight_decay: float, step: int, scale: float = 1.0, zero: bool = False) -> None:
    """Adam with a fading maximum of |gradient| in place of the root of squares; both arrays start at 0.

    g = scale gradient + weight_decay parameter; first = beta1 first + (1 - beta1) g; largest = max(beta2 largest, |g| +
    eps); parameter -= lr / (1 - beta1^step) first / largest.

    Kingma and Ba, "Adam", ICLR 2015, algorithm 2.
    """
    rate, small = real("adamax", "lr", lr, 0), real("adamax", "eps", eps, 0)
    beta1, beta2 = real("adamax", "beta1", beta1, 0, below=1), real("adamax", "beta2", beta2, 0, below=1)
    decay, step = real("adamax", "weight_decay", weight_decay, 0), integer("adamax", "step", step, 1)
    kernels.adamax(*_buffers("adamax", parameter, gradient, decay, scale, zero, first=first, largest=largest),
                   kernels.Step(rate / (1 - beta1**step), small, beta1, 1 - beta1, beta2),
                   threads.workers(parameter.size, _GRAIN))


def lion(parameter: np.ndarray, gradient: Any, first: np.ndarray, *, lr: float, beta1: float, beta2: float,
         weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Step by lr against the sign of a mean of gradients, which starts at 0; decay shrinks the parameter.

    g = scale gradient; parameter -= lr (sign(beta1 first + (1 - beta1) g) + weight_decay parameter); first = beta2 first +
    (1 - beta2) g.

    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2.
    """
    rate, decay = real("lion", "lr", lr, 0), real("lion", "weight_decay", weight_decay, 0)
    beta1, beta2 = real("lion", "beta1", beta1, 0, below=1), real("lion", "beta2", beta2, 0, below=1)
    kernels.lion(*_buffers("lion", parameter, gradient, decay, scale, zero, first=first),
                 kernels.Step(rate, 0.0, beta1, 1 - beta1, beta2, 1 - beta2), threads.workers(parameter.size, _GRAIN))


def clip_values(gradient: np.ndarray, limit: float) -> None:
    """Bring each element of gradient into -limit to limit in place, min(max(g, -limit), limit); NaN stays NaN."""
    arrays.in_place("clip_values", gradient=gradient)
    gradient = arrays.as_floats("clip_values", "gradient", gradient)
    kernels.clip_values(gradient.ravel(), real("clip_values", "limit", limit, 0), threads.workers(gradient.size, _GRAIN))


def clip_norms(weight: np.ndarray, limit: float) -> None:
    """Scale each filter of weight (..., K) whose norm is above limit down to it, w *= limit / |w|, in place; NaN stays NaN.

    Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1.
    """
    arrays.in_place("clip_norms", weight=weight)
    weight = arrays.as_floats("clip_norms", "weight", weight)
    if weight.ndim < 2:
        raise ShapeError(f"clip_norms: weight has shape {weight.shape}, expected (..., K) with two axes or more")
    bound, K = real("clip_norms", "limit", limit, 0), weight.shape[-1]
    workers = min(threads.workers(weight.size, _GRAIN), -(-K // kernels.FILTERS))
    kernels.clip_norms(weight.ravel(), K, bound, np.empty(K), workers)
