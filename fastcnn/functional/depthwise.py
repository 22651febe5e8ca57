"""Depthwise convolution: one filter for each channel."""

from __future__ import annotations

import numpy as np

from ..kernels import activation, threads
from ..kernels import depthwise as kernels
from ..shapes import Window
from . import arrays


def fits(w: Window) -> bool:
    """Whether each channel has its own filter."""
    return w.C == w.K == w.groups


def pays(w: Window) -> bool:
    """Whether this is the fastest algorithm: one channel alone is not depthwise."""
    return fits(w) and w.groups > 1


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray, relu: bool) -> None:
    """Write the convolution of x with weight, plus bias (which may be empty), to y, or max(y, 0) with `relu`."""
    kernels.depthwise_forward(x.reshape(-1), arrays.record(w), weight.reshape(-1), bias, y.reshape(-1),
                              threads.workers(y.size * w.R * w.S))
    if relu:
        activation.rectify(y.reshape(-1), threads.workers(y.size))


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    """Write the gradient of x to dx."""
    kernels.depthwise_backward_input(dy.reshape(-1), arrays.record(w), weight.reshape(-1), dx.reshape(-1),
                                     threads.workers(dy.size * w.R * w.S))


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    chunks = min(w.N * w.P, 32)
    partial = arrays.empty((chunks, w.R, w.S, w.C), x.dtype)
    kernels.depthwise_backward_weight(x.reshape(-1), arrays.record(w), dy.reshape(-1), partial.reshape(-1), chunks,
                                      threads.workers(dy.size * w.R * w.S))
    np.sum(partial, axis=0, out=dweight.reshape(w.R, w.S, w.C))
