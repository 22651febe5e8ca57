"""Batch normalisation and its gradient."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .activation import relu_backward

__all__ = ["batch_norm", "batch_norm_backward", "group_norm", "group_norm_backward", "layer_norm", "layer_norm_backward"]


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
    add: Array | None = None,
) -> tuple[Array, tuple[Array, Array]]:
    """Give every channel mean beta and standard deviation gamma.

    x (N, H, W, C) or (N, C), all others (C,) -> y like x, saved = (mean, inverse_std), each (C,).
    Training uses mean and biased variance of the batch and moves the running ones in place (the variance
    unbiased); otherwise the running ones are used and saved. `add` is added to y, `relu` gives max(y, 0).
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
    y = (x - mean) * inverse_std * gamma + beta + (0 if add is None else add)
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


def layer_norm(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, tuple[Array, Array]]:
    """Give the values of every image, or of every row, mean 0 and deviation 1, then each of them beta and gamma.

    x (..., C), gamma and beta (C,) -> y like x, saved = (mean, inverse_std), each x.shape[:-1].
    Ba, Kiros and Hinton, "Layer Normalization", 2016, section 3.
    """
    mean = x.mean(axis=-1)
    inverse_std = 1 / np.sqrt(((x - mean[..., np.newaxis]) ** 2).mean(axis=-1) + eps)
    return (x - mean[..., np.newaxis]) * inverse_std[..., np.newaxis] * gamma + beta, (mean, inverse_std)


def layer_norm_backward(dy: Array, x: Array, gamma: Array, saved: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Differentiate layer_norm, also through mean and variance: dx like x, dgamma and dbeta (C,)."""
    mean, inverse_std = (array[..., np.newaxis] for array in saved)
    normalised, axes = (x - mean) * inverse_std, tuple(range(x.ndim - 1))
    dnormalised = dy * gamma
    slope = (dnormalised * normalised).mean(axis=-1, keepdims=True)
    dx = (dnormalised - dnormalised.mean(axis=-1, keepdims=True) - normalised * slope) * inverse_std
    return dx, (dy * normalised).sum(axis=axes), dy.sum(axis=axes)


def group_norm(
    x: Array, gamma: Array, beta: Array, groups: int, *, eps: float = 1e-5
) -> tuple[Array, tuple[Array, Array]]:
    """Give each of several groups of channels of every image mean 0 and deviation 1, then each channel beta and gamma.

    x (N, H, W, C) or (N, C), gamma and beta (C,) -> y like x, saved = (mean, inverse_std), each (N, groups).
    Wu and He, "Group Normalization", ECCV 2018, section 3.
    """
    rows = x.reshape(len(x), -1, groups, len(gamma) // groups)
    mean = rows.mean(axis=(1, 3))
    inverse_std = 1 / np.sqrt(((rows - mean[:, np.newaxis, :, np.newaxis]) ** 2).mean(axis=(1, 3)) + eps)
    normalised = (rows - mean[:, np.newaxis, :, np.newaxis]) * inverse_std[:, np.newaxis, :, np.newaxis]
    return normalised.reshape(x.shape) * gamma + beta, (mean, inverse_std)


def group_norm_backward(
    dy: Array, x: Array, gamma: Array, saved: tuple[Array, Array], groups: int
) -> tuple[Array, Array, Array]:
    """Differentiate group_norm, also through mean and variance: dx like x, dgamma and dbeta (C,)."""
    mean, inverse_std = (array[:, np.newaxis, :, np.newaxis] for array in saved)
    rows = x.reshape(len(x), -1, groups, len(gamma) // groups)
    normalised, axes = (rows - mean) * inverse_std, tuple(range(x.ndim - 1))
    dnormalised = (dy * gamma).reshape(rows.shape)
    slope = (dnormalised * normalised).mean(axis=(1, 3), keepdims=True)
    dx = (dnormalised - dnormalised.mean(axis=(1, 3), keepdims=True) - normalised * slope) * inverse_std
    return dx.reshape(x.shape), (dy * normalised.reshape(x.shape)).sum(axis=axes), dy.sum(axis=axes)
