"""One step of each optimizer over flat buffers, in one pass: parameter and state change in place.

The formulas are PyTorch's. A gradient whose square overflows (beyond 1.8e19 in float32) makes a running square infinite,
after which its element no longer changes, as in PyTorch: clip gradients that may be so large.
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
    """Return the root of the sum of squares of all elements; not finite where an element is not.

    Parameters
    ----------
    gradient : (...) array

    Returns
    -------
    norm : float

    Examples
    --------
    >>> F.gradient_norm(np.array([3.0, -4.0]))
    5.0
    """
    return math.sqrt(sum_of_squares(arrays.as_floats("gradient_norm", "gradient", gradient)))


def sum_of_squares(array: np.ndarray) -> float:
    """Sum of the squares of all elements, taken in float64."""
    sums = np.empty(-(-array.size // kernels.CHUNK))
    kernels.sum_of_squares(array.ravel(), sums, threads.workers(array.size, 8 * _GRAIN))
    return float(sums.sum())


def sgd(parameter: np.ndarray, gradient: Any, velocity: np.ndarray, *, lr: float, momentum: float, nesterov: bool,
        weight_decay: float, step: int, scale: float = 1.0, zero: bool = False) -> None:
    """Take a step of gradient descent with momentum, in place.

        g = scale gradient + weight_decay parameter
        velocity = momentum velocity + g, or g in step 1
        parameter -= lr velocity, or with `nesterov` lr (g + momentum velocity)

    Parameters
    ----------
    parameter, gradient, velocity : (...) array
        `parameter` and `velocity` change.
    lr, momentum : float
    nesterov : bool
    weight_decay : float
    step : int
        Counted from 1.
    scale : float
        Factor of the gradient.
    zero : bool
        Set the gradient to 0 afterwards.

    Raises
    ------
    DTypeError
        An array that changes is not C-contiguous, writable and of floats.

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013, section 2.

    Examples
    --------
    >>> parameter = np.array([1.0, 2.0])
    >>> F.sgd(parameter, np.array([1.0, -1.0]), np.zeros(2), lr=0.5, momentum=0.9, nesterov=False, weight_decay=0, step=1)
    >>> parameter
    array([0.5, 2.5])
    """
    rate, momentum = real("sgd", "lr", lr, 0), real("sgd", "momentum", momentum, 0)
    decay = real("sgd", "weight_decay", weight_decay, 0)
    parameter, slopes, velocity = _buffers("sgd", parameter, gradient, decay, scale, zero, velocity=velocity)
    if integer("sgd", "step", step, 1) == 1:
        velocity.fill(0)
    kernels.sgd(parameter, slopes, velocity, rate, momentum, bool(nesterov), threads.workers(parameter.size, _GRAIN))


def adam(parameter: np.ndarray, gradient: Any, first: np.ndarray, second: np.ndarray, *, lr: float, beta1: float,
         beta2: float, eps: float, weight_decay: float, decoupled: bool, step: int, scale: float = 1.0,
         zero: bool = False) -> None:
    """Take a step of Adam, or of AdamW where the weight decay is decoupled, in place.

        g = scale gradient + weight_decay parameter; with `decoupled` g = scale gradient and parameter *= 1 - lr weight_decay
        first = beta1 first + (1 - beta1) g
        second = beta2 second + (1 - beta2) g^2
        parameter -= lr (first / (1 - beta1^step)) / (sqrt(second / (1 - beta2^step)) + eps)

    Parameters
    ----------
    parameter, gradient, first, second : (...) array
        `parameter`, `first` and `second` change; the last two start at 0.
    lr, beta1, beta2, eps, weight_decay : float
    decoupled : bool
    step, scale, zero : int, float, bool
        As in `sgd`.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.

    Examples
    --------
    >>> parameter = np.array([1.0, 2.0])
    >>> F.adam(parameter, np.array([1.0, -4.0]), np.zeros(2), np.zeros(2), lr=0.5, beta1=0.9, beta2=0.999, eps=0,
    ...        weight_decay=0, decoupled=False, step=1)
    >>> parameter.round(4)  # the first step is lr, whatever the size of the gradient
    array([0.5, 2.5])
    """
    rate, small = real("adam", "lr", lr, 0), real("adam", "eps", eps, 0)
    beta1, beta2 = real("adam", "beta1", beta1, 0, below=1), real("adam", "beta2", beta2, 0, below=1)
    decay, step = real("adam", "weight_decay", weight_decay, 0), integer("adam", "step", step, 1)
    shrink, coupled = (1 - rate * decay, 0.0) if decoupled else (1.0, decay)
    numbers = kernels.Step(rate / (1 - beta1**step), small, beta1, 1 - beta1, beta2, 1 - beta2,
                           1 / math.sqrt(1 - beta2**step), shrink)
    parameter, slopes, first, second = _buffers(
        "adam", parameter, gradient, coupled, scale, zero, first=first, second=second)
    kernels.adam(parameter, slopes, first, second, numbers, threads.workers(parameter.size, _GRAIN))


def rmsprop(parameter: np.ndarray, gradient: Any, square: np.ndarray, *, lr: float, alpha: float, eps: float,
            weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Take a step of RMSprop, in place.

        g = scale gradient + weight_decay parameter
        square = alpha square + (1 - alpha) g^2
        parameter -= lr g / (sqrt(square) + eps)

    Parameters
    ----------
    parameter, gradient, square : (...) array
        `parameter` and `square` change; the latter starts at 0.
    lr, alpha, eps, weight_decay : float
    scale, zero : float, bool
        As in `sgd`.

    References
    ----------
    Tieleman and Hinton, "Neural Networks for Machine Learning", 2012, lecture 6.5.

    Examples
    --------
    >>> parameter = np.array([1.0, 2.0])
    >>> F.rmsprop(parameter, np.array([1.0, -4.0]), np.zeros(2), lr=0.5, alpha=0.75, eps=0, weight_decay=0)
    >>> parameter
    array([0., 3.])
    """
    rate, alpha = real("rmsprop", "lr", lr, 0), real("rmsprop", "alpha", alpha, 0, 1)
    small, decay = real("rmsprop", "eps", eps, 0), real("rmsprop", "weight_decay", weight_decay, 0)
    parameter, slopes, square = _buffers("rmsprop", parameter, gradient, decay, scale, zero, square=square)
    kernels.rmsprop(parameter, slopes, square,
                    kernels.Step(rate, small, alpha, 1 - alpha), threads.workers(parameter.size, _GRAIN))


def adagrad(parameter: np.ndarray, gradient: Any, square: np.ndarray, *, lr: float, eps: float,
            weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Take a step of Adagrad, in place.

        g = scale gradient + weight_decay parameter
        square += g^2
        parameter -= lr g / (sqrt(square) + eps)

    Parameters
    ----------
    parameter, gradient, square : (...) array
        `parameter` and `square` change; the latter starts at 0.
    lr, eps, weight_decay : float
    scale, zero : float, bool
        As in `sgd`.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011, section 1.3.

    Examples
    --------
    >>> parameter = np.array([1.0, 2.0])
    >>> F.adagrad(parameter, np.array([3.0, -4.0]), np.array([16.0, 0.0]), lr=0.5, eps=0, weight_decay=0)
    >>> parameter
    array([0.7, 2.5])
    """
    rate, small = real("adagrad", "lr", lr, 0), real("adagrad", "eps", eps, 0)
    decay = real("adagrad", "weight_decay", weight_decay, 0)
    parameter, slopes, square = _buffers("adagrad", parameter, gradient, decay, scale, zero, square=square)
    kernels.adagrad(parameter, slopes, square, rate, small, threads.workers(parameter.size, _GRAIN))


def adadelta(parameter: np.ndarray, gradient: Any, square: np.ndarray, change: np.ndarray, *, lr: float, rho: float,
             eps: float, weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Take a step of Adadelta, in place.

        g = scale gradient + weight_decay parameter
        square = rho square + (1 - rho) g^2
        delta = sqrt(change + eps) / sqrt(square + eps) g
        change = rho change + (1 - rho) delta^2
        parameter -= lr delta

    Parameters
    ----------
    parameter, gradient, square, change : (...) array
        `parameter`, `square` and `change` change; the last two start at 0.
    lr, rho, eps, weight_decay : float
    scale, zero : float, bool
        As in `sgd`.

    References
    ----------
    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.

    Examples
    --------
    >>> parameter = np.array([1.0])
    >>> F.adadelta(parameter, np.array([2.0]), np.zeros(1), np.ones(1), lr=0.5, rho=0.75, eps=0, weight_decay=0)
    >>> parameter  # delta = 1 / sqrt(0.25 * 4) * 2
    array([0.])
    """
    rate, rho = real("adadelta", "lr", lr, 0), real("adadelta", "rho", rho, 0, 1)
    small, decay = real("adadelta", "eps", eps, 0), real("adadelta", "weight_decay", weight_decay, 0)
    parameter, slopes, square, change = _buffers(
        "adadelta", parameter, gradient, decay, scale, zero, square=square, change=change)
    kernels.adadelta(parameter, slopes, square, change,
                     kernels.Step(rate, small, rho, 1 - rho), threads.workers(parameter.size, _GRAIN))


def adamax(parameter: np.ndarray, gradient: Any, first: np.ndarray, largest: np.ndarray, *, lr: float, beta1: float,
           beta2: float, eps: float, weight_decay: float, step: int, scale: float = 1.0, zero: bool = False) -> None:
    """Take a step of Adamax, Adam with a decaying maximum of |gradient| in place of the root of squares, in place.

        g = scale gradient + weight_decay parameter
        first = beta1 first + (1 - beta1) g
        largest = max(beta2 largest, |g| + eps)
        parameter -= lr / (1 - beta1^step) first / largest

    Parameters
    ----------
    parameter, gradient, first, largest : (...) array
        `parameter`, `first` and `largest` change; the last two start at 0.
    lr, beta1, beta2, eps, weight_decay : float
    step, scale, zero : int, float, bool
        As in `sgd`.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 2.

    Examples
    --------
    >>> parameter = np.array([1.0, 2.0])
    >>> F.adamax(parameter, np.array([1.0, -4.0]), np.zeros(2), np.zeros(2), lr=0.5, beta1=0.5, beta2=0.999, eps=0,
    ...          weight_decay=0, step=1)
    >>> parameter
    array([0.5, 2.5])
    """
    rate, small = real("adamax", "lr", lr, 0), real("adamax", "eps", eps, 0)
    beta1, beta2 = real("adamax", "beta1", beta1, 0, below=1), real("adamax", "beta2", beta2, 0, below=1)
    decay, step = real("adamax", "weight_decay", weight_decay, 0), integer("adamax", "step", step, 1)
    parameter, slopes, first, largest = _buffers(
        "adamax", parameter, gradient, decay, scale, zero, first=first, largest=largest)
    kernels.adamax(parameter, slopes, first, largest,
                   kernels.Step(rate / (1 - beta1**step), small, beta1, 1 - beta1, beta2),
                   threads.workers(parameter.size, _GRAIN))


def lion(parameter: np.ndarray, gradient: Any, first: np.ndarray, *, lr: float, beta1: float, beta2: float,
         weight_decay: float, scale: float = 1.0, zero: bool = False) -> None:
    """Take a step of Lion, of size lr by the sign of a mean of gradients, in place.

        g = scale gradient
        parameter -= lr (sign(beta1 first + (1 - beta1) g) + weight_decay parameter)
        first = beta2 first + (1 - beta2) g

    Parameters
    ----------
    parameter, gradient, first : (...) array
        `parameter` and `first` change; the latter starts at 0.
    lr, beta1, beta2, weight_decay : float
    scale, zero : float, bool
        As in `sgd`.

    References
    ----------
    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2.

    Examples
    --------
    >>> parameter = np.array([1.0, 2.0])
    >>> F.lion(parameter, np.array([1.0, -4.0]), np.zeros(2), lr=0.5, beta1=0.9, beta2=0.99, weight_decay=0)
    >>> parameter
    array([0.5, 2.5])
    """
    rate, decay = real("lion", "lr", lr, 0), real("lion", "weight_decay", weight_decay, 0)
    beta1, beta2 = real("lion", "beta1", beta1, 0, below=1), real("lion", "beta2", beta2, 0, below=1)
    parameter, slopes, first = _buffers("lion", parameter, gradient, decay, scale, zero, first=first)
    kernels.lion(parameter, slopes, first,
                 kernels.Step(rate, 0.0, beta1, 1 - beta1, beta2, 1 - beta2), threads.workers(parameter.size, _GRAIN))


def clip_values(gradient: np.ndarray, limit: float) -> None:
    """Clip each element of gradient to -limit to limit, in place; NaN stays NaN.

    Parameters
    ----------
    gradient : (...) array
    limit : float
        At least 0.

    Examples
    --------
    >>> gradient = np.array([0.5, -3.0])
    >>> F.clip_values(gradient, 1.0)
    >>> gradient
    array([ 0.5, -1. ])
    """
    arrays.in_place("clip_values", gradient=gradient)
    gradient = arrays.as_floats("clip_values", "gradient", gradient)
    kernels.clip_values(gradient.ravel(), real("clip_values", "limit", limit, 0), threads.workers(gradient.size, _GRAIN))


def clip_norms(weight: np.ndarray, limit: float) -> None:
    """Scale each filter whose norm is above limit down to that norm, in place; NaN stays NaN.

    Parameters
    ----------
    weight : (..., K) array
        weight[..., k] is filter k, which is multiplied by limit / (norm + 1e-7) where its norm is larger.
    limit : float
        At least 0.

    References
    ----------
    Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1.

    Examples
    --------
    >>> weight = np.array([[3.0, 0.5], [4.0, 0.0]])
    >>> F.clip_norms(weight, 1.0)
    >>> weight.round(4)
    array([[0.6, 0.5],
           [0.8, 0. ]])
    """
    arrays.in_place("clip_norms", weight=weight)
    weight = arrays.as_floats("clip_norms", "weight", weight)
    if weight.ndim < 2:
        raise ShapeError(f"clip_norms: weight has shape {weight.shape}, expected (..., K) with two axes or more")
    bound, K = real("clip_norms", "limit", limit, 0), weight.shape[-1]
    workers = min(threads.workers(weight.size, _GRAIN), -(-K // kernels.FILTERS))
    kernels.clip_norms(weight.ravel(), K, bound, np.empty(K), workers)
