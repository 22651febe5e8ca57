"""1x1 convolution with stride 1: a matrix product, pixels by channels."""

from __future__ import annotations

import numpy as np

from ..shapes import Window
from . import arrays, products
from .products import Layout


def fits(w: Window) -> bool:
    """Whether output pixel and input pixel are the same one."""
    return (w.R, w.S, w.stride_rows, w.stride_columns, w.groups) == (1, 1, 1, 1, 1) and (w.P, w.Q) == (w.H, w.W)


pays = fits


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray) -> None:
    """Write x @ weight + bias to y, pixel by pixel."""
    layout = Layout(0, 0, 0, 0, w.K, 1, w.K, 1)
    products.rows_times_panels(x, w.C, products.pack(weight, layout, 1, 1, w.C, bias), y, w.K)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    """Write the gradient of x to dx: dy @ weight^T."""
    transposed = Layout(0, 0, 0, 0, 1, w.K, w.C, 1)
    products.rows_times_panels(dy, w.K, products.pack(weight, transposed, 1, 1, w.K, arrays.NOTHING[dy.dtype]), dx, w.C)


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight: x^T @ dy."""
    products.rows_times_rows(x, w.C, dy, w.K, dweight)
