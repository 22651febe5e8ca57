"""Sums of arrays, and arrays side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import shapes
from ..kernels import arithmetic as kernels
from ..kernels.jit import threads
from ..runtime import buffers
from . import arrays

__all__ = ["add", "concat", "concat_backward"]


def add(a: Any, b: Any, *, relu: bool = False) -> np.ndarray:
    """Add two arrays, such as the branches of a residual block.

    Parameters
    ----------
    a, b : (...) array
    relu : bool
        Return max(a + b, 0).

    Returns
    -------
    y : (...) array

    Examples
    --------
    >>> F.add(np.array([1.0, -2.0]), np.array([3.0, 1.0]), relu=True)
    array([4., 0.])
    """
    a, b = arrays.floats("add", a=a, b=b)
    shapes.same_shape("add", "b", b.shape, a.shape, "the shape of a")
    y = buffers.empty(a.shape, a.dtype)
    kernels.add(a.ravel(), b.ravel(), bool(relu), y.ravel(), threads.workers(a.size))
    return y


def concat(parts: Sequence[Any]) -> np.ndarray:
    """Join arrays along the last axis, such as the branches of a network along their channels.

    Parameters
    ----------
    parts : sequence of (..., C) arrays
        All axes but the last are equal.

    Returns
    -------
    y : (..., sum of C) array

    Examples
    --------
    >>> F.concat([np.array([[1.0], [2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])])
    array([[1., 3., 4.],
           [2., 5., 6.]])
    """
    if not isinstance(parts, (tuple, list)) or not parts:
        raise shapes.DTypeError(f"concat: parts is {parts!r}, expected a tuple of at least one array")
    given = arrays.floats("concat", **{f"parts[{i}]": part for i, part in enumerate(parts)})
    *outer, _ = given[0].shape or (0, 0)
    for index, part in enumerate(given):
        shapes.at_least_1d("concat", f"parts[{index}]", part.shape)
        shapes.same_shape("concat", f"parts[{index}]", part.shape, (*outer, part.shape[-1]), "as parts[0], but the channels")
    total = sum(part.shape[-1] for part in given)
    y, first = buffers.empty((*outer, total), given[0].dtype), 0
    for part in given:
        C = part.shape[-1]
        kernels.copy_channels(part.ravel(), C, y.ravel()[first:], total, C, threads.workers(part.size))
        first += C
    return y


def concat_backward(dy: Any, channels: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Split the gradient of `concat` into those of its parts.

    Parameters
    ----------
    dy : (..., sum of channels) array
    channels : sequence of int
        Channels of each part.

    Returns
    -------
    dparts : tuple of (..., C) arrays

    Examples
    --------
    >>> F.concat_backward(np.array([[1.0, 3.0, 4.0]]), channels=[1, 2])
    (array([[1.]]), array([[3., 4.]]))
    """
    dy = arrays.as_floats("concat_backward", "dy", dy)
    shapes.at_least_1d("concat_backward", "dy", dy.shape)
    sizes = [shapes.integer("concat_backward", "channels", C, 1) for C in channels]
    *outer, total = dy.shape
    shapes.same_shape("concat_backward", "dy", dy.shape, (*outer, sum(sizes)), "the sum of channels")
    parts, first = [], 0
    for C in sizes:
        part = buffers.empty((*outer, C), dy.dtype)
        kernels.copy_channels(dy.ravel()[first:], total, part.ravel(), C, C, threads.workers(part.size))
        parts.append(part)
        first += C
    return tuple(parts)
