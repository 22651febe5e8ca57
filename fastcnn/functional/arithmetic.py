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
    """a + b for arrays of one shape, such as the branches of a residual block; `relu` gives max(a + b, 0).

    ShapeError, DTypeError: the arrays do not fit.
    """
    a, b = arrays.floats("add", a=a, b=b)
    shapes.same_shape("add", "b", b.shape, a.shape, "the shape of a")
    y = buffers.empty(a.shape, a.dtype)
    kernels.add(a.ravel(), b.ravel(), bool(relu), y.ravel(), threads.workers(a.size))
    return y


def concat(parts: Sequence[Any]) -> np.ndarray:
    """Join arrays (..., C) along the last axis, such as the branches of a network along their channels: y (..., sum of C).

    ShapeError, DTypeError: the arrays do not fit.
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
    """Cut dy (..., sum of channels) into the gradients of the parts, which have so many channels each."""
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
