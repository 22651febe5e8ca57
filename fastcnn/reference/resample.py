"""Padding and upsampling of images, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._types import Array, Integers, Padding, Pair
from ._window import pair, sides

__all__ = ["pad2d", "pad2d_backward", "upsample2d", "upsample2d_backward"]

MODES: dict[str, Any] = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def pad2d(x: Array, padding: Padding, *, mode: str = "constant", value: float = 0.0) -> Array:
    """Put rows and columns around images: the value, or pixels mirrored or repeated at the border.

    x (N, H, W, C) -> y (N, H + top + bottom, W + left + right, C); a mirror does not repeat the border itself.
    """
    rows, columns = sides(padding, (x.shape[1], x.shape[2]), (1, 1), 1, 1)
    options = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x, ((0, 0), rows, columns, (0, 0)), MODES[mode], **options)


def pad2d_backward(
    dy: Array, x_shape: tuple[int, int, int, int], padding: Padding, *, mode: str = "constant"
) -> Array:
    """Add the gradient of each pixel's copies to that of the pixel: dy (N, P, Q, C) -> dx of x_shape."""
    N, H, W, C = x_shape
    positions = pad2d(np.arange(H * W, dtype=np.float64).reshape(1, H, W, 1), padding, mode=mode, value=-1).astype(int)
    dx = np.zeros((N, H * W + 1, C), dy.dtype)  # the extra last position collects what is no copy
    np.add.at(dx, (np.arange(N).reshape(N, 1, 1), positions[..., 0]), dy)
    return dx[:, :-1].reshape(x_shape)


def upsample2d(x: Array, scale: Pair, *, mode: str = "nearest") -> Array:
    """Make images `scale` times as large: x (N, H, W, C) -> y (N, H * rows, W * columns, C).

    "nearest" repeats pixels; "bilinear" takes lines between their centres, and beyond the outer ones their values.
    """
    for axis, factor in zip((1, 2), pair(scale), strict=True):
        if mode == "nearest":
            x = x.repeat(factor, axis)
        else:
            first, second, share = _neighbours(x, axis, factor)
            x = x.take(first, axis) * (1 - share) + x.take(second, axis) * share
    return x


def upsample2d_backward(dy: Array, x_shape: tuple[int, int, int, int], scale: Pair, *, mode: str = "nearest") -> Array:
    """Add to each pixel its share of every gradient it had part in: dy (N, P, Q, C) -> dx of x_shape."""
    N, H, W, C = x_shape
    rows, columns = pair(scale)
    if mode == "nearest":
        dx: Array = dy.reshape(N, H, rows, W, columns, C).sum(axis=(2, 4))
        return dx
    for axis, factor in ((2, columns), (1, rows)):
        dx = np.zeros((*dy.shape[:axis], x_shape[axis], *dy.shape[axis + 1 :]), dy.dtype)
        first, second, share = _neighbours(dx, axis, factor)
        before: Any = (slice(None),) * axis
        np.add.at(dx, (*before, first), dy * (1 - share))
        np.add.at(dx, (*before, second), dy * share)
        dy = dx
    return dy


def _neighbours(x: Array, axis: int, factor: int) -> tuple[Integers, Integers, Array]:
    """Return the two pixels along an axis between whose centres each output's centre lies, and the second's share."""
    size = x.shape[axis]
    centre = np.maximum((np.arange(size * factor) + 0.5) / factor - 0.5, 0)
    first = np.floor(centre).astype(np.int64)
    share = (centre - first).astype(x.dtype).reshape([-1 if a == axis else 1 for a in range(4)])
    return first, np.minimum(first + 1, size - 1), share
