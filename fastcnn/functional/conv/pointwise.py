"""1x1 convolution with stride 1: a matrix product, pixels by channels, which is a direct convolution of one long image."""

from __future__ import annotations

import functools

import numpy as np

from ...shapes import Window
from . import direct


def fits(w: Window) -> bool:
    """Whether output pixel and input pixel are the same one; a transposed convolution may shift images of equal size."""
    plain = (w.R, w.S, w.stride_rows, w.stride_columns, w.groups) == (1, 1, 1, 1, 1)
    return plain and (w.P, w.Q, w.top, w.left) == (w.H, w.W, 0, 0)


pays = fits


@functools.lru_cache(maxsize=1024)
def rows(count: int, C: int, K: int) -> Window:
    """The product of `count` rows of C with a matrix (C, K), as a convolution of an image of one column."""
    return _image(count, 1, C, K)


def _image(H: int, W: int, C: int, K: int) -> Window:
    return Window(1, H, W, C, K, 1, 1, H, W, 1, 1, 0, 0, 0, 0, 1, 1, 1)


@functools.lru_cache(maxsize=1024)
def _rows(w: Window) -> Window:
    return _image(w.N * w.H, w.W, w.C, w.K)


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, addend: np.ndarray, y: np.ndarray,
            relu: bool) -> None:
    """Write x @ weight + bias + addend to y, pixel by pixel, or max(y, 0) with `relu`."""
    direct.forward(x, weight, bias, _rows(w), addend, y, relu)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, addend: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient of x, dy @ weight^T, plus addend to dx."""
    direct.backward_input(dy, weight, _rows(w), addend, dx)


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight: x^T @ dy."""
    direct.backward_weight(dy, x, _rows(w), dweight)
