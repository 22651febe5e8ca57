"""Batch normalisation and its gradient."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .activation import relu_backward


def batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    relu: bool = False,
) -> tuple[Array, tuple[Array, Array]]:
    """Give every channel mean beta and standard deviation gamma.

    x (N, H, W, C) or (N, C), all others (C,) -> y like x, saved = (mean, inverse_std), each (C,).
    Training uses mean and biased variance of the batch and moves the running ones in place (the variance
    unbiased); otherwise the running ones are used and saved. `relu` gives max(y, 0).
    Ioffe and Szegedy, "Batch Normalization", ICML 2015, sections 3 and 3.1.
    """
    axes = tuple(range(x.ndim - 1))
    if training:
        mean = x.mean(axis=axes)
        variance = ((x - mean) ** 2).mean(axis=axes)
        count = x.size // x.shape[-1]
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (variance * (count / (count - 1)) - running_var)
    else:
        mean, variance = running_mean.copy(), running_var
    inverse_std = 1 / np.sqrt(variance + eps)
    y = (x - mean) * inverse_std * gamma + beta
    return np.maximum(y, 0) if relu else y, (mean, inverse_std)


def batch_norm_backward(
    dy: Array,
    x: Array,
    gamma: Array,
    saved: tuple[Array, Array],
    *,
    training: bool = True,
    y: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Differentiate batch_norm; in training also through the mean and the variance of the batch.

    dy and x (N, H, W, C) or (N, C), gamma (C,), saved from batch_norm -> dx like x, dgamma (C,), dbeta (C,).
    y is what batch_norm gave with relu, and None without.
    Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.
    """
    dy = dy if y is None else relu_backward(dy, y)
    mean, inverse_std = saved
    axes = tuple(range(x.ndim - 1))
    normalised = (x - mean) * inverse_std
    dgamma = (dy * normalised).sum(axis=axes)
    dbeta = dy.sum(axis=axes)
    if training:
        dy = dy - dy.mean(axis=axes) - normalised * (dy * normalised).mean(axis=axes)
    return dy * gamma * inverse_std, dgamma, dbeta
