"""1x1 convolution with stride 1: a matrix product, pixels by channels, which is a direct convolution of one long image."""

from __future__ import annotations

import functools

from ...kernels.arguments import Epilogue, Floats
from ...shapes import Window
from . import direct
from .algorithm import Fit, Work, fits_if


def fits(w: Window) -> Fit:
    """Whether output pixel and input pixel are the same one; a transposed convolution may shift images of equal size."""
    return fits_if(((w.R, w.S) == (1, 1), f"the filter is {w.R}x{w.S}, not 1x1"),
                   ((w.stride_rows, w.stride_columns) == (1, 1), f"stride is {w.stride_rows, w.stride_columns}, not 1"),
                   (w.groups == 1, f"there are {w.groups} groups"),
                   ((w.P, w.Q, w.top, w.left) == (w.H, w.W, 0, 0), "padding moves the pixels"))


def work(w: Window, step: str) -> Work:
    """What it does in a pass: as the direct algorithm on one long image."""
    return direct.work(_rows(w), step)


@functools.lru_cache(maxsize=1024)
def rows(count: int, C: int, K: int) -> Window:
    """The product of `count` rows of C with a matrix (C, K), as a convolution of an image of one column."""
    return _image(count, 1, C, K)


def _image(H: int, W: int, C: int, K: int) -> Window:
    return Window(1, H, W, C, K, 1, 1, H, W, 1, 1, 0, 0, 0, 0, 1, 1, 1)


@functools.lru_cache(maxsize=1024)
def _rows(w: Window) -> Window:
    return _image(w.N * w.H, w.W, w.C, w.K)


def forward(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
    """Write x @ weight and the epilogue to y, pixel by pixel."""
    direct.forward(x, weight, epilogue, _rows(w), y)


def backward_input(dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
    """Write the gradient of x, dy @ weight^T, plus the residual to dx."""
    direct.backward_input(dy, weight, residual, _rows(w), dx)


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradient of the weight, x^T @ dy, to dweight, and that of the bias to dbias."""
    direct.backward_weight(dy, x, _rows(w), dweight, dbias)
