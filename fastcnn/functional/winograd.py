"""Winograd convolution F(4x4, 3x3): when it can be used and when it pays, allocation, launch."""

from __future__ import annotations

import functools

import numpy as np

from ..kernels import simd, threads
from ..kernels import winograd as kernels
from ..shapes import Window
from . import arrays, products
from .products import GRAIN, Layout, round_up

_PARTIAL_BYTES = 8 * 1024 * 1024  # partial sums of the weight gradient, all chunks together


def fits(w: Window) -> bool:
    """Whether the filter is 3x3 with stride 1, without dilation and groups."""
    steps = w.stride_rows, w.stride_columns, w.dilation_rows, w.dilation_columns
    return (w.R, w.S, w.groups) == (3, 3, 1) and steps == (1, 1, 1, 1)


def pays(w: Window) -> bool:
    """Whether there are channels enough to outweigh the transforms, and output blocks not mostly empty (measured)."""
    return fits(w) and min(w.C, w.K) >= 16 and min(w.P, w.Q) >= 3


@functools.lru_cache(maxsize=1024)
def _forward_layout(C: int, K: int) -> Layout:
    return Layout(0, 0, 3 * C * K, C * K, K, 1, K, 1)


@functools.lru_cache(maxsize=1024)
def _backward_layout(C: int, K: int) -> Layout:
    """The filter flipped and transposed."""
    return Layout(8 * C * K, 0, -3 * C * K, -C * K, 1, K, C, 1)


def _convolve(x: np.ndarray, weight: np.ndarray, layout: Layout, bias: np.ndarray, w: Window, y: np.ndarray) -> None:
    lanes = products.lanes(x)
    size = kernels.ELEMENTS * round_up(w.K, lanes) * (w.C + 1)
    panels = arrays.scratch("panels", size, x.dtype)[:size]
    workers = threads.workers(panels.size)
    kernels.winograd_filter(weight.reshape(-1), arrays.record(layout), w.C, panels,
                            arrays.scratch("winograd_filter", workers * 32 * lanes, x.dtype), workers)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    scratch = _scratch(x, w, workers)
    kernels.winograd_forward(x.reshape(-1), arrays.record(w), panels, bias, y.reshape(-1), scratch, workers)


def _scratch(x: np.ndarray, w: Window, workers: int) -> np.ndarray:
    """Working memory: transformed inputs, one panel of products or gradients, and a block under transformation."""
    lanes = products.lanes(x)
    transformed = kernels.ELEMENTS * kernels.BLOCK
    size = workers * round_up(transformed * (w.C + simd.VECTORS * lanes) + kernels.GAP + kernels.ELEMENTS * lanes, 16)
    return arrays.scratch("winograd", size, x.dtype)[:size]


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray) -> None:
    """Write the convolution of x with weight, plus bias (which may be empty), to y."""
    _convolve(x, weight, _forward_layout(w.C, w.K), bias, w, y)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    """Write the gradient of x to dx: the convolution of dy with the flipped, transposed filter."""
    window = w._replace(H=w.P, W=w.Q, C=w.K, K=w.C, P=w.H, Q=w.W, top=2 - w.top, left=2 - w.left)
    _convolve(dy, weight, _backward_layout(w.C, w.K), arrays.NOTHING[dy.dtype], window, dx)


@functools.lru_cache(maxsize=1024)
def _chunks(w: Window, size: int) -> tuple[int, int]:
    """Chunks of output blocks with partial sums of their own, and parts of the output channels: eight tasks or more."""
    parts = -(-w.K // 64)
    blocks = w.N * -(-w.P // 4) * -(-w.Q // 4)
    return min(blocks, max(min(16, _PARTIAL_BYTES // size), -(-8 // parts))), parts


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    lanes = products.lanes(x)
    size = kernels.ELEMENTS * round_up(w.C, simd.ROWS) * round_up(w.K, lanes)
    chunks, parts = _chunks(w, size * x.itemsize)
    partial = arrays.empty((chunks * size,), x.dtype)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.winograd_backward_weight(x.reshape(-1), arrays.record(w), dy.reshape(-1), chunks, parts, partial,
                                     _scratch(x, w, workers), workers)
    workers = threads.workers(partial.size)
    kernels.winograd_filter_gradient(partial, arrays.record(w), chunks, dweight.reshape(-1),
                                     arrays.scratch("winograd_filter", workers * 64 * lanes, x.dtype), workers)
