"""Dropout with counter-based random numbers: element and seed alone decide."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import dropout as kernels
from ..kernels import threads
from . import arrays

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
    words = arrays.empty((-(-x.size // 4) * 4,), _BOOL)
    kernels.dropout_mask(words, seed & _WORD, seed >> 32 & _WORD, int(p * 2**32), threads.workers(x.size, 16384))
    mask = words[:x.size].reshape(x.shape)
    return _scale(x, mask, p), mask


def dropout_backward(dy: Any, mask: Any, p: float) -> np.ndarray:
    """Gradient of dropout: the same map as forward, dx = dy / (1 - p) where the mask kept the element."""
    dy = arrays.as_floats("dropout_backward", "dy", dy)
    p = shapes.real("dropout_backward", "p", p, 0, below=1)
    mask = np.asarray(mask)
    if mask.dtype != _BOOL:
        raise shapes.DTypeError(f"dropout_backward: mask has dtype {mask.dtype}, expected bool")
    shapes.same_shape("dropout_backward", "mask", mask.shape, dy.shape, "the shape of dy")
    return _scale(dy, np.require(mask, requirements=["C", "A", "W"]), p)


def _scale(x: np.ndarray, mask: np.ndarray, p: float) -> np.ndarray:
    y = arrays.empty(x.shape, x.dtype)
    kernels.dropout(x.reshape(-1), mask.reshape(-1), 1 / (1 - p), y.reshape(-1), threads.workers(x.size))
    return y
