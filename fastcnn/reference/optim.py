"""One step of each optimizer on flat arrays: parameter and state change in place.

`scale` multiplies the gradient, which is as before afterwards, or zero with `zero`.
"""

from __future__ import annotations

import numpy as np

from ._types import Array

__all__ = ["adadelta", "adagrad", "adam", "adamax", "clip_norms", "clip_values", "gradient_norm", "lion", "rmsprop", "sgd"]


def gradient_norm(gradient: Array) -> float:
    """Root of the sum of squares of gradient (n,)."""
    return float(np.sqrt(np.sum(gradient.astype(np.float64) ** 2)))


def sgd(
    parameter: Array,
    gradient: Array,
    velocity: Array,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    step: int,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Gradient descent with momentum; step counts from 1, step 1 sets velocity = gradient. All arrays (n,).

    Sutskever et al., "On the importance of initialization and momentum", ICML 2013, section 2.
    """
    slope = scale * gradient + weight_decay * parameter
    velocity[:] = slope if step == 1 else momentum * velocity + slope
    parameter -= lr * (slope + momentum * velocity if nesterov else velocity)
    if zero:
        gradient[:] = 0


def adam(
    parameter: Array,
    gradient: Array,
    first: Array,
    second: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Adam, or AdamW with decoupled weight decay; step counts from 1, moments start at 0. All arrays (n,).

    Kingma and Ba, "Adam", ICLR 2015, algorithm 1.
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """
    slope = scale * gradient
    if decoupled:
        parameter *= 1 - lr * weight_decay
    else:
        slope = slope + weight_decay * parameter
    first[:] = beta1 * first + (1 - beta1) * slope
    second[:] = beta2 * second + (1 - beta2) * slope**2
    unbiased_first = first / (1 - beta1**step)
    unbiased_second = second / (1 - beta2**step)
    parameter -= lr * unbiased_first / (np.sqrt(unbiased_second) + eps)
    if zero:
        gradient[:] = 0


def rmsprop(
    parameter: Array,
    gradient: Array,
    square: Array,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Divide by the root of a running mean of squares, which starts at 0. All arrays (n,).

    Tieleman and Hinton, "Neural Networks for Machine Learning", 2012, lecture 6.5.
    """
    slope = scale * gradient + weight_decay * parameter
    square[:] = alpha * square + (1 - alpha) * slope**2
    parameter -= lr * slope / (np.sqrt(square) + eps)
    if zero:
        gradient[:] = 0


def adagrad(
    parameter: Array,
    gradient: Array,
    square: Array,
    *,
    lr: float,
    eps: float,
    weight_decay: float,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Divide by the root of the sum of all squares so far, which starts at 0. All arrays (n,).

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011, section 1.3.
    """
    slope = scale * gradient + weight_decay * parameter
    square += slope**2
    parameter -= lr * slope / (np.sqrt(square) + eps)
    if zero:
        gradient[:] = 0


def adadelta(
    parameter: Array,
    gradient: Array,
    square: Array,
    change: Array,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Step by the ratio of two running roots, of squared changes and of squared gradients; both start at 0. All arrays (n,).

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.
    """
    slope = scale * gradient + weight_decay * parameter
    square[:] = rho * square + (1 - rho) * slope**2
    step = np.sqrt(change + eps) / np.sqrt(square + eps) * slope
    change[:] = rho * change + (1 - rho) * step**2
    parameter -= lr * step
    if zero:
        gradient[:] = 0


def adamax(
    parameter: Array,
    gradient: Array,
    first: Array,
    largest: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Adam with a fading maximum of |gradient| in place of the root of squares; step counts from 1. All arrays (n,).

    Kingma and Ba, "Adam", ICLR 2015, algorithm 2.
    """
    slope = scale * gradient + weight_decay * parameter
    first[:] = beta1 * first + (1 - beta1) * slope
    largest[:] = np.maximum(beta2 * largest, np.abs(slope) + eps)
    parameter -= lr / (1 - beta1**step) * first / largest
    if zero:
        gradient[:] = 0


def lion(
    parameter: Array,
    gradient: Array,
    first: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    scale: float = 1.0,
    zero: bool = False,
) -> None:
    """Step by lr against the sign of a mean of gradients, which starts at 0; decay shrinks the parameter. All arrays (n,).

    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2.
    """
    slope = scale * gradient
    parameter -= lr * (np.sign(beta1 * first + (1 - beta1) * slope) + weight_decay * parameter)
    first[:] = beta2 * first + (1 - beta2) * slope
    if zero:
        gradient[:] = 0


def clip_values(gradient: Array, limit: float) -> None:
    """Bring each element into -limit to limit in place; NaN stays NaN."""
    np.clip(gradient, -limit, limit, out=gradient)


def clip_norms(weight: Array, limit: float) -> None:
    """Scale each filter of weight (..., K) whose norm is above limit down to it, in place.

    Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1.
    """
    norms = np.sqrt(np.sum(weight**2, axis=tuple(range(weight.ndim - 1))))
    weight *= np.where(norms > limit, limit / (norms + 1e-7), 1)
