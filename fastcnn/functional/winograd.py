"""Winograd convolution F(4x4, 3x3): when it can be used and when it pays, allocation, launch."""

from __future__ import annotations

import functools

import numpy as np

from ..kernels import simd, threads
from ..kernels import winograd as kernels
from ..shapes import Window
from . import arrays, caches, prepared, products
from .products import GRAIN, Layout, round_up

_PARTIAL_BYTES = 8 * 1024 * 1024  # partial sums of the weight gradient, all chunks together
_GROUP_BYTES = caches.L2 // 2  # transformed inputs and gradients that are multiplied together
_STAGED_BYTES = 2 * caches.L2  # transformed filters that would be read from memory for every group of blocks
_STAGE_BYTES = 16 * 1024 * 1024  # transformed inputs and products of a pass
_FEW = 16  # output blocks whose products take no longer than the transform of the filter
_TASKS = 8  # groups of output blocks at least, for the threads to share


def fits(w: Window) -> bool:
    """Whether the filter is 3x3 with stride 1, without dilation and groups."""
    steps = w.stride_rows, w.stride_columns, w.dilation_rows, w.dilation_columns
    return (w.R, w.S, w.groups) == (3, 3, 1) and steps == (1, 1, 1, 1)


def pays(w: Window) -> bool:
    """Whether there are channels enough to outweigh the transforms of images, output blocks enough to outweigh that of the
    filter, and these not mostly empty (measured).
    """
    return fits(w) and min(w.C, w.K) >= 16 and min(w.P, w.Q) >= 3 and _blocks(w) >= _FEW


def _blocks(w: Window) -> int:
    """Output blocks of all images."""
    return w.N * -(-w.P // 4) * -(-w.Q // 4)


def _group(w: Window, panels: np.ndarray, vectors: int) -> int:
    """Output blocks that are transformed and multiplied together: whole tiles, fewer where threads would have too few
    groups to share, unless the filter has to come from memory for each.
    """
    rows = simd.ROWS[vectors]
    group = 30 // rows * rows
    if panels.nbytes > caches.L2 // 2:
        return group
    return min(group, round_up(-(-_blocks(w) // _TASKS), rows))


@functools.lru_cache(maxsize=1024)
def _forward_layout(C: int, K: int) -> Layout:
    return Layout(0, 0, 3 * C * K, C * K, K, 1, K, 1)


@functools.lru_cache(maxsize=1024)
def _backward_layout(C: int, K: int) -> Layout:
    """The filter flipped and transposed."""
    return Layout(8 * C * K, 0, -3 * C * K, -C * K, 1, K, C, 1)


def _convolve(x: np.ndarray, weight: np.ndarray, layout: Layout, bias: np.ndarray, w: Window, y: np.ndarray,
              relu: bool = False) -> None:
    width = products.width_for(w.K, x.itemsize)
    panels = _transformed(weight, layout, w.C, width)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    if panels.nbytes > _STAGED_BYTES:
        _in_stages(x, panels, bias, w, y, relu, width, workers)
    else:
        group = _group(w, panels, len(width))
        kernels.winograd_forward(x.reshape(-1), arrays.record(w), panels, bias, arrays.floor(relu), y.reshape(-1), group,
                                 width, _scratch(x, w, group, width, workers), arrays.queue(), workers)


def _transformed(weight: np.ndarray, layout: Layout, depth: int, width: tuple[int, ...]) -> np.ndarray:
    """Panels of the transformed filter: see `prepared.form`."""
    lanes = sum(width)
    size = kernels.ELEMENTS * round_up(layout.channels, lanes) * depth

    def write(panels: np.ndarray) -> None:
        workers = threads.workers(size)
        room = workers * (9 * width[0] + kernels.ELEMENTS * (kernels.STRIP * lanes + width[0]))
        kernels.winograd_filter(weight.reshape(-1), arrays.record(layout), depth, lanes, panels,
                                arrays.scratch("winograd_filter", room, weight.dtype)[:room], arrays.queue(), workers)

    return prepared.form(weight, "panels", ("winograd", layout, width), size, write)


def _in_stages(x: np.ndarray, panels: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray, relu: bool,
               width: tuple[int, ...], workers: int) -> None:
    """Transform the inputs of many output blocks, then multiply, then transform the products: each panel is read once."""
    lanes = sum(width)
    blocks = -(-w.K // lanes)
    block_bytes = kernels.ELEMENTS * (w.C + blocks * lanes) * x.itemsize
    total = _blocks(w)
    passes = -(-total * block_bytes // _STAGE_BYTES)
    work = arrays.scratch("winograd_filter", workers * kernels.ELEMENTS * width[0], x.dtype)
    for number in range(passes):
        first, last = total * number // passes, total * (number + 1) // passes
        count = last - first
        columns = arrays.scratch("winograd", 6 * _spacing(count, w.C), x.dtype)
        results = arrays.scratch("winograd_products", 6 * blocks * _spacing(count, lanes), x.dtype)
        kernels.winograd_inputs(x.reshape(-1), arrays.record(w), first, count, columns, work, arrays.queue(),
                                workers)
        kernels.winograd_products(columns, count, w.C, panels, results, width, arrays.queue(), workers)
        kernels.winograd_outputs(arrays.record(w), first, count, results, lanes, bias, arrays.floor(relu), y.reshape(-1),
                                 arrays.queue(), workers)


def _spacing(count: int, channels: int) -> int:
    """What `kernels.winograd.spacing` gives."""
    return 6 * (count + simd.MOST_ROWS) * channels // 256 * 256 + 272


def _scratch(x: np.ndarray, w: Window, group: int, width: tuple[int, ...], workers: int) -> np.ndarray:
    """Working memory: transformed inputs, one panel of products or gradients, and a block under transformation."""
    elements = kernels.ELEMENTS * (group * (w.C + sum(width)) + width[0]) + kernels.GAP
    size = workers * round_up(elements, 16)
    return arrays.scratch("winograd", size, x.dtype)[:size]


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray, relu: bool) -> None:
    """Write the convolution of x with weight, plus bias (which may be empty), to y, or max(y, 0) with `relu`."""
    _convolve(x, weight, _forward_layout(w.C, w.K), bias, w, y, relu)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    """Write the gradient of x to dx: the convolution of dy with the flipped, transposed filter."""
    window = w._replace(H=w.P, W=w.Q, C=w.K, K=w.C, P=w.H, Q=w.W, top=2 - w.top, left=2 - w.left)
    _convolve(dy, weight, _backward_layout(w.C, w.K), arrays.NOTHING[dy.dtype], window, dx)


@functools.lru_cache(maxsize=1024)
def _chunks(w: Window, size: int, itemsize: int) -> tuple[int, int, int]:
    """Chunks of output blocks with partial sums of their own, parts of the output channels, and blocks of a group.

    Adding up a chunk takes as long as the products of about ten blocks; partial sums are read once for each group.
    """
    parts = -(-w.K // 64)
    blocks = _blocks(w)
    chunks = max(1, min(16, blocks // 48, _PARTIAL_BYTES // size), min(-(-8 // parts), blocks // 24))
    in_chunk = -(-blocks // chunks)
    most = max(32, _GROUP_BYTES // (kernels.ELEMENTS * (w.C + 64) * itemsize))
    return chunks, parts, -(-in_chunk // -(-in_chunk // most))


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    width = products.width_for(w.K, x.itemsize)
    padded_C = round_up(w.C, simd.ROWS[len(width)])
    size = kernels.ELEMENTS * padded_C * round_up(w.K, sum(width))
    chunks, parts, group = _chunks(w, size * x.itemsize, x.itemsize)
    partial = arrays.empty((chunks * size,), x.dtype)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.winograd_backward_weight(x.reshape(-1), arrays.record(w), dy.reshape(-1), chunks, parts, group, partial, width,
                                     _scratch(x, w, group, width, workers), arrays.queue(), workers)
    workers = threads.workers(partial.size)
    kernels.winograd_filter_gradient(partial, arrays.record(w), chunks, padded_C, sum(width), dweight.reshape(-1),
                                     arrays.scratch("winograd_filter", workers * 64 * width[0], x.dtype), workers)
