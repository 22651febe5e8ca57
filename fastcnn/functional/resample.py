"""Padding and upsampling: tables of which pixels make an output, and of the outputs a pixel has part in."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels import resample as kernels
from ..kernels.jit import threads
from ..kernels.resample import Table
from ..runtime import buffers
from ..shapes import Padding, Pair
from . import arrays

__all__ = ["pad2d", "pad2d_backward", "upsample2d", "upsample2d_backward"]

_GRAIN = 1 << 16  # elements that are worth a thread of their own
_ADDRESSES = 1 << 47  # bytes that a process can name on today's systems


def _require_addresses(function: str, shape: tuple[int, ...]) -> None:
    """MemoryError: no process can hold that many floats; tables for them would take most of the memory first."""
    count = math.prod(shape) * arrays.FLOAT32.itemsize
    if count > _ADDRESSES:
        raise MemoryError(f"{function}: the large images have shape {shape}, {count} bytes, expected at most {_ADDRESSES}")


class Axis(NamedTuple):
    """How the outputs along one axis follow from the inputs, and the gradients of inputs from those of outputs."""

    forward: Table
    backward: Table


def _axis(outputs: int, inputs: int, target: np.ndarray, source: np.ndarray, weight: Any = 1.0) -> Axis:
    """Make the tables of pairs of an output and an input."""
    weights = np.broadcast_to(np.asarray(weight, np.float64), target.shape)
    return Axis(_table(outputs, inputs, target, source, weights), _table(inputs, outputs, source, target, weights))


def _table(outputs: int, inputs: int, target: np.ndarray, source: np.ndarray, weight: np.ndarray) -> Table:
    order = np.argsort(target, kind="stable")
    starts = np.searchsorted(target[order], np.arange(outputs + 1))
    return Table(starts.astype(np.int64), source[order].astype(np.int64), weight[order], inputs)


@functools.lru_cache(maxsize=256)
def _padded(size: int, before: int, after: int, mode: str) -> Axis:
    target = np.arange(before + size + after)
    source = target - before
    if mode == "reflect":
        source = np.abs(source)
        source = np.where(source >= size, 2 * (size - 1) - source, source)
    elif mode == "replicate":
        source = np.clip(source, 0, size - 1)
    inside = (source >= 0) & (source < size)
    return _axis(len(target), size, target[inside], source[inside])


@functools.lru_cache(maxsize=256)
def _enlarged(size: int, factor: int, mode: str) -> Axis:
    target = np.arange(size * factor)
    if mode == "nearest":
        return _axis(len(target), size, target, target // factor)
    centre = np.maximum((target + 0.5) / factor - 0.5, 0)
    first = np.floor(centre).astype(np.int64)
    sources = np.stack([first, np.minimum(first + 1, size - 1)], axis=1)
    weights = np.stack([1 - (centre - first), centre - first], axis=1)
    return _axis(len(target), size, target.repeat(2), sources.reshape(-1), weights.reshape(-1))


@functools.lru_cache(maxsize=256)
def averaged(size: int, outputs: int) -> Axis:
    """Tables of means over parts of `size` pixels from floor(size * p / outputs) to ceil(size * (p + 1) / outputs)."""
    first, last = shapes.parts(size, outputs)
    counts = np.subtract(last, first)
    target = np.arange(outputs).repeat(counts)
    source = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    return _axis(outputs, size, target, source, (1 / counts).repeat(counts))


def apply(x: np.ndarray, rows: Table, columns: Table) -> np.ndarray:
    """Return y (N, P, Q, C) for x (N, H, W, C)."""
    N, _, W, C = x.shape
    y = buffers.empty((N, len(rows.starts) - 1, len(columns.starts) - 1, C), x.dtype)
    workers = threads.workers(max(x.size, y.size), _GRAIN)
    kernels.resample(x.reshape(-1), C, rows, columns, buffers.workspace("resample", workers * W * C, x.dtype), y.reshape(-1),
                     workers)
    return y


def transposed(function: str, dy: Any, x_shape: tuple[int, int, int, int], rows: Axis, columns: Axis) -> np.ndarray:
    """Return dx of x_shape for dy (N, P, Q, C); ShapeError, DTypeError."""
    dy = arrays.as_floats(function, "dy", dy)
    expected = (x_shape[0], len(rows.forward.starts) - 1, len(columns.forward.starts) - 1, x_shape[3])
    shapes.same_shape(function, "dy", dy.shape, expected, f"the result for x {x_shape}")
    return apply(dy, rows.backward, columns.backward)


def pad2d(x: Any, padding: Padding, *, mode: str = "constant", value: float = 0.0) -> np.ndarray:
    """Add rows and columns around images.

    Parameters
    ----------
    x : (N, H, W, C) array
    padding : int, (rows, columns) or ((top, bottom), (left, right))
    mode : "constant", "reflect" or "replicate"
        Fill with `value`; mirror the image without repeating its border (which needs more pixels than padding); or repeat
        the border.
    value : float
        For mode "constant".

    Returns
    -------
    y : (N, H + top + bottom, W + left + right, C) array

    Examples
    --------
    >>> F.pad2d(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1), ((0, 0), (2, 1)), mode="reflect").ravel()
    array([3., 2., 1., 2., 3., 2.])
    """
    x = arrays.as_floats("pad2d", "x", x)
    rows, columns = _padding("pad2d", shapes.images("pad2d", "x", x.shape), padding, mode)
    fill = _fill(value)
    return apply(x, rows.forward._replace(fill=fill), columns.forward._replace(fill=fill))


def _fill(value: Any) -> float:
    """Return a number to fill with: infinities and NaN too."""
    if isinstance(value, (bool, str, complex)) or not hasattr(value, "__float__"):
        raise shapes.DTypeError(f"pad2d: value is {value!r}, expected a number")
    return float(value)


def pad2d_backward(dy: Any, x_shape: tuple[int, int, int, int], padding: Padding, *, mode: str = "constant") -> np.ndarray:
    """Compute the gradient of `pad2d`: each pixel receives the sum of the gradients of its copies.

    Parameters
    ----------
    dy : (N, H + top + bottom, W + left + right, C) array
    x_shape : (N, H, W, C)
    padding, mode : pair, str
        As in `pad2d`.

    Returns
    -------
    dx : (N, H, W, C) array

    Examples
    --------
    >>> dy = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> F.pad2d_backward(dy, (1, 1, 2, 1), ((0, 0), (0, 1)), mode="replicate").ravel()
    array([1., 5.])
    """
    sizes = shapes.image_sizes("pad2d_backward", "x_shape", x_shape)
    return transposed("pad2d_backward", dy, sizes, *_padding("pad2d_backward", sizes, padding, mode))


def _padding(function: str, x: tuple[int, int, int, int], padding: Padding, mode: str) -> tuple[Axis, Axis]:
    top, bottom, left, right = shapes.padding2d(function, x, padding, mode)
    _require_addresses(function, (x[0], top + x[1] + bottom, left + x[2] + right, x[3]))
    return _padded(x[1], top, bottom, mode), _padded(x[2], left, right, mode)


def upsample2d(x: Any, scale: Pair, *, mode: str = "nearest") -> np.ndarray:
    """Enlarge images by whole factors.

    Parameters
    ----------
    x : (N, H, W, C) array
    scale : int or (rows, columns)
    mode : "nearest" or "bilinear"
        Repeat pixels, or interpolate between their centres (PyTorch's align_corners=False).

    Returns
    -------
    y : (N, H * rows, W * columns, C) array

    Examples
    --------
    >>> F.upsample2d(np.array([1.0, 3.0]).reshape(1, 1, 2, 1), (1, 2), mode="bilinear").ravel()
    array([1. , 1.5, 2.5, 3. ])
    """
    x = arrays.as_floats("upsample2d", "x", x)
    rows, columns = _scaled("upsample2d", shapes.images("upsample2d", "x", x.shape), scale, mode)
    return apply(x, rows.forward, columns.forward)


def upsample2d_backward(dy: Any, x_shape: tuple[int, int, int, int], scale: Pair, *, mode: str = "nearest") -> np.ndarray:
    """Compute the gradient of `upsample2d`.

    Parameters
    ----------
    dy : (N, H * rows, W * columns, C) array
    x_shape : (N, H, W, C)
    scale, mode : int or pair, str
        As in `upsample2d`.

    Returns
    -------
    dx : (N, H, W, C) array

    Examples
    --------
    >>> F.upsample2d_backward(np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1), (1, 1, 2, 1), (1, 2)).ravel()
    array([3., 7.])
    """
    sizes = shapes.image_sizes("upsample2d_backward", "x_shape", x_shape)
    return transposed("upsample2d_backward", dy, sizes, *_scaled("upsample2d_backward", sizes, scale, mode))


def _scaled(function: str, x: tuple[int, int, int, int], scale: Pair, mode: str) -> tuple[Axis, Axis]:
    rows, columns = shapes.scale2d(function, scale, mode)
    _require_addresses(function, (x[0], x[1] * rows, x[2] * columns, x[3]))
    return _enlarged(x[1], rows, mode), _enlarged(x[2], columns, mode)
