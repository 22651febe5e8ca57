"""1x1 convolution with stride 1: a matrix product, pixels by channels, which is a direct convolution of one long image."""

from __future__ import annotations

import functools

import numpy as np

from ...kernels.arguments import Epilogue, Floats
from ...kernels.conv import pointwise as kernels
from ...kernels.conv.pointwise import Blocks
from ...kernels.conv.products import Chunked, Walk
from ...kernels.vector import simd
from ...runtime import caches
from ...shapes import Window
from .. import arrays
from . import direct
from .algorithm import Fit, Work, fits_if, multiply_adds
from .products import round_up


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


_BAND_PIXELS = caches.L1 // 2 // 64  # a panel of so many gradients stays in the L1 cache
_BLOCK_BYTES = caches.L2 // 4  # and the blocks of a part in the L2 cache
_TASKS = 8
_CHUNK_PIXELS = 768  # of a chunk, at least


def _blocks_pay(w: Window) -> bool:
    """Whether sorting takes less time than it saves: for few panels of gradients it does not, nor for few channels.

    Tasks that share the pixels of a chunk each sort all of dy, which is too much where that is most of what there is.
    (Measured: 256 to 64 channels lose a tenth by it, 512 to 64 gain a quarter.)
    """
    few = w.C < 128 or w.K <= 32 or (w.K <= 64 and w.C < 512)
    return not few and (w.K <= 2 * w.C or w.N * w.P * w.Q >= _TASKS * _CHUNK_PIXELS)


@functools.lru_cache(maxsize=1024)
def _weight_plan(w: Window, itemsize: int) -> direct.WeightGradient:
    tile = direct.width_for(w, itemsize)
    lanes, rows, count = sum(tile), simd.ROWS[len(tile)], w.N * w.P * w.Q
    weights = round_up(w.C, rows)
    chunks = max(1, min(32, count // _CHUNK_PIXELS, 2 * 1024 * 1024 // (weights * round_up(w.K, lanes) * itemsize)))
    pixels = -(-count // chunks)
    pixels = -(-pixels // -(-pixels // _BAND_PIXELS))
    most = max(1, _BLOCK_BYTES // (pixels * rows * itemsize))  # blocks
    parts = max(-(-weights // rows // most), min(-(-_TASKS // chunks), weights // rows))
    inputs = round_up(-(-w.C // parts), rows)
    parts = -(-w.C // inputs)
    block = pixels * rows + simd.VECTOR_BYTES // itemsize
    panel = round_up(inputs // rows * block, 16)
    floats = panel + pixels * round_up(w.K, lanes)
    d = np.arange(weights)
    walk = Walk(arrays.record(w, Blocks(pixels, block, inputs, parts, chunks, floats, panel)),
                d // rows * block + d % rows, tile)
    return direct.WeightGradient(walk, multiply_adds(w), floats, 1, chunked=Chunked(chunks, w.C, weights, w.K, 1))


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradient of the weight, x^T @ dy, to dweight, and that of the bias to dbias."""
    if _blocks_pay(w):
        direct.sum_of_chunks(kernels.matmul_backward_weight, dy, x, _weight_plan(w, x.itemsize), dweight, dbias)
    else:
        direct.backward_weight(dy, x, _rows(w), dweight, dbias)
