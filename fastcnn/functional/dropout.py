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
    """Set elements to 0 with probability p and divide the others by 1 - p.

    Element i in row-major order depends on the seed and on i alone. The random numbers are those of Philox4x32-10.

    Parameters
    ----------
    x : (...) array
    p : float
        From 0 up to, but not including, 1.
    seed : int
        At least 0; 64 bits count.

    Returns
    -------
    y : (...) array
        x / (1 - p) where the mask is True, else 0.
    mask : (...) array of bool
        Which elements are kept.

    Raises
    ------
    ValueError
        `p` or `seed` is out of range.

    References
    ----------
    Srivastava et al., "Dropout", JMLR 15, 2014.
    Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> F.dropout(np.array([1.0, 2.0, 3.0, 4.0]), 0.5, seed=0)
    (array([0., 4., 6., 8.]), array([False,  True,  True,  True]))
    """
    return dropout_by_key(x, p, key_of(shapes.integer("dropout", "seed", seed, 0)))


def key_of(seed: int) -> np.ndarray:
    """Return the 64 bits of a seed that count as two words, the low one first: a key (2,), int64."""
    return np.array([seed & _WORD, seed >> 32 & _WORD], arrays.INT64)


def dropout_by_key(x: Any, p: float, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what `dropout` does with the seed of a key."""
    x = arrays.as_floats("dropout", "x", x)
    shapes.at_least_1d("dropout", "x", x.shape)
    p = shapes.real("dropout", "p", p, 0, below=1)
    mask = _mask(x.size, p, key).reshape(x.shape)
    return _scale(x, mask, p), mask


def _mask(size: int, p: float, key: np.ndarray) -> np.ndarray:
    """Return which of `size` elements are kept."""
    words = buffers.empty((-(-size // 4) * 4,), _BOOL)
    kernels.dropout_mask(words, key, int(p * 2**32), threads.workers(size, 16384))
    return words[:size]


def dropout_backward(dy: Any, mask: Any, p: float) -> np.ndarray:
    """Compute the gradient of `dropout`: dx = dy / (1 - p) where the mask is True, else 0.

    Parameters
    ----------
    dy : (...) array
    mask : (...) array of bool
        From `dropout`.
    p : float
        As in `dropout`.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.dropout_backward(np.array([1.0, 2.0]), mask=np.array([True, False]), p=0.5)
    array([2., 0.])
    """
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
    """Set whole channels of images to 0 with probability p and divide the others by 1 - p.

    Parameters
    ----------
    x : (N, H, W, C) array
    p, seed : float, int
        As in `dropout`.

    Returns
    -------
    y : (N, H, W, C) array
    mask : (N, C) array of bool
        Which channels are kept, drawn as the mask of `dropout`.

    References
    ----------
    Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015, section 3.2.

    Examples
    --------
    >>> y, mask = F.dropout2d(np.ones((1, 1, 2, 4)), 0.5, seed=0)
    >>> mask
    array([[False,  True,  True,  True]])
    >>> y[0, 0]
    array([[0., 2., 2., 2.],
           [0., 2., 2., 2.]])
    """
    return dropout2d_by_key(x, p, key_of(shapes.integer("dropout2d", "seed", seed, 0)))


def dropout2d_by_key(x: Any, p: float, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what `dropout2d` does with the seed of a key."""
    x = arrays.as_floats("dropout2d", "x", x)
    N, _, _, C = shapes.images("dropout2d", "x", x.shape)
    p = shapes.real("dropout2d", "p", p, 0, below=1)
    mask = _mask(N * C, p, key).reshape(N, C)
    return _scale_channels(x, mask, p), mask


def dropout2d_backward(dy: Any, mask: Any, p: float) -> np.ndarray:
    """Compute the gradient of `dropout2d`: dx = dy / (1 - p) in the channels whose mask is True, else 0.

    Parameters
    ----------
    dy : (N, H, W, C) array
    mask : (N, C) array of bool
        From `dropout2d`.
    p : float
        As in `dropout`.

    Returns
    -------
    dx : (N, H, W, C) array

    Examples
    --------
    >>> F.dropout2d_backward(np.ones((1, 1, 1, 2)), mask=np.array([[True, False]]), p=0.5).ravel()
    array([2., 0.])
    """
    dy = arrays.as_floats("dropout2d_backward", "dy", dy)
    N, _, _, C = shapes.images("dropout2d_backward", "dy", dy.shape)
    p = shapes.real("dropout2d_backward", "p", p, 0, below=1)
    return _scale_channels(dy, _as_mask("dropout2d_backward", mask, (N, C), "N, C of dy"), p)


def _scale_channels(x: np.ndarray, mask: np.ndarray, p: float) -> np.ndarray:
    y = buffers.empty(x.shape, x.dtype)
    kernels.dropout2d(x.ravel(), x.shape[1] * x.shape[2], x.shape[3], mask.ravel(), 1 / (1 - p), y.ravel(),
                      threads.workers(x.size))
    return y
