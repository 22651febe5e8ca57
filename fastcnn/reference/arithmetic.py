"""Sums of arrays, and arrays side by side."""

from __future__ import annotations

import numpy as np

from ._types import Array

__all__ = ["add", "concat", "concat_backward"]


def add(a: np.ndarray, b: np.ndarray, *, relu: bool = False) -> np.ndarray:
    """a + b for arrays of one shape, and max(a + b, 0) with `relu`; NaN stays NaN."""
    total = np.asarray(a) + np.asarray(b)
    return np.maximum(total, 0) if relu else total


def concat(parts: tuple[Array, ...]) -> Array:
    """Join arrays (..., C) along the last axis: y (..., sum of C)."""
    return np.concatenate(parts, axis=-1)


def concat_backward(dy: Array, channels: tuple[int, ...]) -> tuple[Array, ...]:
    """Cut dy (..., sum of channels) into the gradients of the parts."""
    return tuple(part.copy() for part in np.split(dy, np.cumsum(channels)[:-1], axis=-1))
