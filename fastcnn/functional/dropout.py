"""Dropout with counter-based random numbers: element and seed alone decide."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import dropout as kernels
from ..kernels.jit import threads
from ..runtime import buffers
from . import arrays

__all__ = ["dropout", "dropout2d", "dropout2d_backward", "dropout_backward"]

_BOOL = np.dtype(bool)
_WORD = 0xFFFFFFFF


def dropout(x: Any, p: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Set elements to 0 with probability p and scale the others by 1 / (1 - p) -> y, mask (True = kept).

    Element i in row-major order depends on the seed (64 bits) and on i alone. Srivastava et al., "Dropout",
    JMLR 15, 2014; random numbers by Philox4x32-10, see fastcnn/reference/dropout.py.
    """
    x = arrays.as_floats("dropout", "x", x)
    shapes.at_least_1d("dropout", "x", x.shape)
    p = shapes.real("dropout", "p", p, 0, below=1)
    seed = shapes.integer("dropout", "seed", seed, 0)
    mask = _mask(x.size, p, seed).reshape(x.shape)
    return _scale(x, mask, p), mask


def _mask(size: int, p: float, seed: int) -> np.ndarray:
    """Return which of `size` elements are kept."""
    words = buffers.empty((-(-size // 4) * 4,), _BOOL)
    kernels.dropout_mask(words, seed & _WORD, seed >> 32 & _WORD, int(p * 2**32), threads.workers(size, 16384))
    return words[:size]


def dropout_backward(dy: Any, mask: Any, p: float) -> np.ndarray:
    """Gradient of dropout: the same map as forward, dx = dy / (1 - p) where the mask kept the element."""
    dy = arrays.as_floats("dropout_backward", "dy", dy)
    shapes.at_least_1d("dropout_backward", "dy", dy.shape)
    p = shapes.real("dropout_backward", "p", p, 0, below=1)
    return _scale(dy, _as_mask("dropout_backward", mask, dy.shape, "the shape of dy"), p)


def _as_mask(function: str, mask: Any, shape: tuple[int, ...], why: str) -> np.ndarray:
    """Return `mask` as an array for a kernel; DTypeError, ShapeError."""
    mask = np.asarray(mask)
    if mask.dtype != _BOOL:
        raise shapes.DTypeError(f"{function}: mask has dtype {mask.dtype}, expected bool")
    shapes.same_shape(function, "mask", mask.shape, shape, why)
    return np.require(mask, requirements=["C", "A", "W"])


def _scale(x: np.ndarray, mask: np.ndarray, p: float) -> np.ndarray:
    y = buffers.empty(x.shape, x.dtype)
    kernels.dropout(x.ravel(), mask.ravel(), 1 / (1 - p), y.ravel(), threads.workers(x.size))
    return y


def dropout2d(x: Any, p: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Set whole channels of images to 0 with probability p and scale the others by 1 / (1 - p) -> y, mask (True = kept).

    x (N, H, W, C) -> y like x, mask (N, C), drawn as that of dropout. Tompson et al., "Efficient Object Localization Using
    Convolutional Networks", CVPR 2015, section 3.2.
    """
    x = arrays.as_floats("dropout2d", "x", x)
    N, _, _, C = shapes.images("dropout2d", "x", x.shape)
    p = shapes.real("dropout2d", "p", p, 0, below=1)
    mask = _mask(N * C, p, shapes.integer("dropout2d", "seed", seed, 0)).reshape(N, C)
    return _scale_channels(x, mask, p), mask


def dropout2d_backward(dy: Any, mask: Any, p: float) -> np.ndarray:
    """Gradient of dropout2d: the same map as forward, dx = dy / (1 - p) where the mask (N, C) kept the channel."""
    dy = arrays.as_floats("dropout2d_backward", "dy", dy)
    N, _, _, C = shapes.images("dropout2d_backward", "dy", dy.shape)
    p = shapes.real("dropout2d_backward", "p", p, 0, below=1)
    return _scale_channels(dy, _as_mask("dropout2d_backward", mask, (N, C), "N, C of dy"), p)


def _scale_channels(x: np.ndarray, mask: np.ndarray, p: float) -> np.ndarray:
    y = buffers.empty(x.shape, x.dtype)
    kernels.dropout2d(x.ravel(), x.shape[1] * x.shape[2], x.shape[3], mask.ravel(), 1 / (1 - p), y.ravel(),
                      threads.workers(x.size))
    return y
